/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_REDIRECT_H
#define NET_REDIRECT_H

/* A tap beside an interface, and what arrives at either sent out by the other. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct netlink;

/** net_tap_is_ours() - is this the name of an interface that net_tap_create() made? */
bool net_tap_is_ours(const char *name);

/**
 * net_tap_create() - a tap in this thread's network namespace, up, with vnet headers
 * @ifindex: of the interface that it stands beside: it is named after it
 * @mtu:     the same as that interface's
 * @fds:     out: its queues; it exists as long as one of them is open
 * @queues:  how many
 *
 * Return: its ifindex; or -1, and @fds are -1.
 */
int net_tap_create(struct netlink *nl, int ifindex, uint32_t mtu, int *fds, size_t queues,
		   struct error **err);

/**
 * net_redirect_join() - redirect in both directions
 * @mac: the interface's: what comes from the tap with another one as its source is dropped
 *
 * An earlier redirect of ours of either interface, whose other end may be gone, is replaced.
 */
int net_redirect_join(struct netlink *nl, int ifindex, int tap, const uint8_t *mac,
		      struct error **err);

/** net_redirect_set_mac() - the interface, which is joined to a tap, has another MAC now */
int net_redirect_set_mac(struct netlink *nl, int ifindex, const uint8_t *mac, struct error **err);

/**
 * net_redirect_share_names() - let answers to questions about names arrive in the namespace, too
 *
 * For a name server there, which asks others: IPv4 datagrams from port 53, ARP replies, and of TCP what
 * comes from port 53 to the ports of net_redirect_names_ports(), which the guest does not have then. After
 * net_redirect_join(). Where that is not possible a warning is logged: such a server then knows only what
 * it need not ask.
 */
void net_redirect_share_names(struct netlink *nl, int ifindex, int tap);

/**
 * net_redirect_open_ports() - of this thread's network namespace, while files can be opened for writing
 *
 * Return: a file descriptor for net_redirect_names_ports(), or -errno.
 */
int net_redirect_open_ports(void);

/**
 * net_redirect_names_ports() - what begins in the network namespace does so at such ports from now on
 * @fd: of net_redirect_open_ports(), or what that has failed with, which is logged
 */
void net_redirect_names_ports(int fd);

/** net_redirect_remove() - take ours from an interface; harmless when there is none */
void net_redirect_remove(struct netlink *nl, int ifindex);

/** net_redirect_remove_stale() - take ours from every interface whose tap is gone */
void net_redirect_remove_stale(struct netlink *nl);

#endif
