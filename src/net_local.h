/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

/*
 * Connections that begin in the container's network namespace on the host, and end at an address of its
 * own: port forwarders of engines without root make them. The guest has those addresses; so they are
 * handed to it. What another container listens for in the same namespace, it still gets.
 */

#include <stdint.h>
#include <sys/socket.h>

#include "base/netlink.h"

#define NET_LOCAL_FAMILIES 2

/** struct net_local - for IPv4 and for IPv6, each as far as the kernel has it */
struct net_local {
	struct netlink nft;		/* holds the tables */
	int listeners[NET_LOCAL_FAMILIES]; /* owned, non-blocking; -1: none */
	uint16_t ports[NET_LOCAL_FAMILIES];
};

/** net_local_open() - in this thread's network namespace; what is not possible is logged */
void net_local_open(struct net_local *l);

/** net_local_close() - connections end where they would have ended without us */
void net_local_close(struct net_local *l);

/**
 * net_local_accept() - take a connection that a listener has
 * @which: of the listeners
 * @vmm:   a connection for the guest goes there, as VMM_NET_LOCAL; when it ends, so do those that are
 *         relayed in the namespace, by processes of their own
 */
void net_local_accept(struct net_local *l, unsigned int which, int vmm);

/**
 * net_local_connect() - connect by TCP to who listens in the namespace, and not to ourselves
 * @address:     IPv4 or IPv6
 * @patience_ms: the longest to wait: one that is still connecting then is as good
 *
 * Return: a non-blocking socket, or -errno; -ECONNREFUSED: nobody listens.
 */
int net_local_connect(const struct sockaddr *address, int patience_ms);

#endif
