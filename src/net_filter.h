/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_FILTER_H
#define NET_FILTER_H

/* Filters of traffic control at the ingress of an interface, where its qdisc is ingress or clsact. */

#include <stdbool.h>
#include <stdint.h>

struct netlink;

#define NET_SHARE_KEYS_MAX 4

/** struct net_share - packets of a protocol, by words of them */
struct net_share {
	uint32_t priority;
	uint16_t protocol; /* ETH_P_* */
	bool alone; /* the namespace has them, and nobody else: no copy is sent */
	uint8_t num_keys;
	struct {
		int off; /* from the network header */
		uint32_t mask, value; /* in host byte order */
	} keys[NET_SHARE_KEYS_MAX];
};

/** struct net_filter - what becomes of what arrives at an interface */
struct net_filter {
	int at, to;		       /* interfaces; to 0: it is dropped, but what is shared is not */
	const uint8_t *source;	       /* only what has this MAC as its source; NULL: everything */
	uint32_t priority;
	const struct net_share *share; /* only that, of which a copy is sent; NULL: everything, itself */
};

/**
 * net_filter_add() - add a filter, by a classifier that the kernel has, and the qdisc if there is none
 *
 * It takes the place of one with the same priority and protocol. Those of a lower priority come first.
 *
 * Return: 0; -ENOENT when the kernel lacks the classifiers, or the action; another -errno.
 */
int net_filter_add(struct netlink *nl, const struct net_filter *f);

/** net_filter_delete() - delete a filter; ETH_P_ALL for one that is not of a net_share; 0 or -errno */
int net_filter_delete(struct netlink *nl, int ifindex, uint32_t priority, uint16_t protocol);

/** net_filter_remove_ingress() - the qdisc, unless somebody has filters in it, or it is a clsact */
void net_filter_remove_ingress(struct netlink *nl, int ifindex);

#endif
