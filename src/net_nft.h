/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_NFT_H
#define NET_NFT_H

/* The one table that nf_tables is asked for. */

#include <stdint.h>

#include "base/netlink.h"

/**
 * net_nft_redirect() - TCP connections that begin in a network namespace, to an address of its own, go
 *                      to a port of the loopback interface's instead
 * @nl:     of NETLINK_NETFILTER, opened in that namespace: the table lives as long as this socket
 * @family: NFPROTO_IPV4 or NFPROTO_IPV6
 * @port:   TCP
 * @mark:   sockets with this mark are left alone
 *
 * Return: 0 or -errno, as from a kernel without nf_tables or one of the modules.
 */
int net_nft_redirect(struct netlink *nl, uint8_t family, uint16_t port, uint32_t mark);

#endif
