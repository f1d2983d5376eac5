/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NET_H
#define GUEST_AGENT_AGENT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/agent_net_proto.h"

struct error;
struct netlink;

/** net_loopback_up() - bring `lo` up in the caller's network namespace (netdevice(7)) */
int net_loopback_up(struct error **err);

#define NET_KNOWN_MAX 8

/** struct net_known - the interfaces that were set up, as the host told of them */
struct net_known {
	struct agent_interface interfaces[NET_KNOWN_MAX]; /* owned */
	size_t count;
};

/** struct net_spares - where the devices are that stand for no interface: not in the container's sight */
struct net_spares {
	int netns; /* owned: their network namespace; -1: there are none */
	int own;   /* owned: the agent's, which is the container's */
};

/** net_spares_hide() - move what net_configure() has left out of sight */
int net_spares_hide(struct net_spares *s, struct error **err);

/** net_plug() - an interface that is new, or has changed; it is taken over, and zero then */
int net_plug(struct net_spares *s, struct net_known *k, struct agent_interface *i,
	     struct error **err);

/** net_unplug() - the interface of this device is gone; unknown ones are no error */
int net_unplug(struct net_spares *s, struct net_known *k, const uint8_t *device_mac,
	       struct error **err);

#define NET_EARLY_MAX 32

/** struct net - the guest's network */
struct net {
	struct net_spares spares;
	struct net_known known;
	bool begun;
	struct net_early { /* messages that came before net_begin() */
		uint32_t type;
		void *payload; /* owned */
		size_t len;
	} early[NET_EARLY_MAX];
	size_t num_early;
};

/** net_begin() - the container's interfaces, which are taken over from @v; 0 or -1 */
int net_begin(struct net *n, struct agent_interface *v, size_t count, struct error **err);

/** net_message() - obey AGENT_INTERFACE or AGENT_INTERFACE_GONE, or keep it for net_early(); 0 or -1 */
int net_message(struct net *n, uint32_t type, const void *payload, size_t len, struct error **err);

/** net_early() - obey the oldest message that came too early; false when there is none, or no container */
bool net_early(struct net *n, struct error **err);

/** net_find() - the ifindex of the device with this address of its own, 0: none, or -errno */
int net_find(struct netlink *nl, const uint8_t *device_mac);

/** net_rename() - 0 or -errno */
int net_rename(struct netlink *nl, int ifindex, const char *name);

/**
 * net_configure() - make the guest's interfaces what those of the container are on the host
 * @v: taken over into @k, and zero then. Of one that is in there already only the difference is made.
 *
 * Return: 0, or -1 with what could not be had.
 */
int net_configure(struct net_known *k, struct agent_interface *v, size_t count, struct error **err);

/** net_forget() - a device stands for nothing any more */
void net_forget(struct net_known *k, struct netlink *nl, const uint8_t *device_mac);

#endif
