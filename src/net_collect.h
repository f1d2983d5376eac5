/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_COLLECT_H
#define NET_COLLECT_H

/* What a container engine has set up in a network namespace, as far as a guest can have it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/agent_net_proto.h"

struct error;
struct netlink;

/* Where a guest is connected there may be more interfaces than it has. */
#define NET_FOUND_MAX 32

/** struct net_found - the interfaces of a namespace; zero to begin */
struct net_found {
	struct agent_interface interfaces[NET_FOUND_MAX]; /* owned, but for device_mac */
	int ifindex[NET_FOUND_MAX];
	size_t count;
	uint32_t name_server; /* of create's: 127.x.y.z at which somebody answers there; 0: none */
	char *notes; /* owned, out: what is there and not the guest's, to be logged; NULL: nothing */
	bool veth;   /* out: one of them is a virtual Ethernet pair's, as engines make them */
	bool joined; /* in: a guest is connected, by taps that are no interfaces of it */
};

/** net_device_mac() - the address of a machine's Nth network device while it stands for none */
void net_device_mac(uint32_t number, uint8_t mac[AGENT_MAC_LEN]);

/**
 * net_collect() - look at a thread's own network namespace
 * @nl: opened in it
 *
 * Ethernet interfaces that are up and have none stacked on them, with their addresses, routes of the
 * main table and permanent neighbours. Refused: more interfaces than a guest can have, routes and rules
 * that it is not given, and a namespace to which a guest is connected already. Where found->joined says
 * that this is known they are only noted.
 */
int net_collect(struct netlink *nl, struct net_found *found, struct error **err);

/**
 * net_collect_default() - the interface of a host's default route alone
 *
 * Whatever its type; its MAC is not taken. None is found where there is no default route.
 */
int net_collect_default(struct netlink *nl, struct net_found *found, struct error **err);

/** net_found_note() - add to the notes, once */
void net_found_note(struct net_found *found, const char *text);

void net_found_release(struct net_found *found);

#endif
