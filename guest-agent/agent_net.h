/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NET_H
#define GUEST_AGENT_AGENT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_interface;
struct error;
struct netlink;

/** net_loopback_up() - bring `lo` up in the caller's network namespace (netdevice(7)) */
int net_loopback_up(struct error **err);

/** struct net_spares - where the devices are that stand for no interface: not in the container's sight */
struct net_spares {
	int netns; /* owned: their network namespace; -1: there are none */
	int own;   /* owned: the agent's, which is the container's */
};

/** net_spares_hide() - move what net_configure() has left out of sight */
int net_spares_hide(struct net_spares *s, struct error **err);

/** net_plug() - an interface that is new, or to which something was added */
int net_plug(struct net_spares *s, const struct agent_interface *i, struct error **err);

/** net_unplug() - the interface of this device is gone; unknown ones are no error */
int net_unplug(struct net_spares *s, const uint8_t *device_mac, struct error **err);

/** net_find() - the ifindex of the device with this address of its own, 0: none, or -errno */
int net_find(struct netlink *nl, const uint8_t *device_mac);

/** net_rename() - 0 or -errno */
int net_rename(struct netlink *nl, int ifindex, const char *name);

/**
 * net_configure() - make the guest's interfaces what those of the container are on the host
 * @rename: false: they have their names, and may be up
 *
 * Return: 0, or -1 with what could not be had.
 */
int net_configure(const struct agent_interface *v, size_t count, bool rename, struct error **err);

#endif
