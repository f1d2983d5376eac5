/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_COLLECT_PRIV_H
#define NET_COLLECT_PRIV_H

/* Between net_collect.c, which looks at links, and net_collect_ip.c. */

#include <linux/if.h>
#include <stddef.h>

#include "net_collect.h"

struct nlmsghdr;

#define COLLECT_LOWERS_MAX 64

/** struct collect - one look at a namespace */
struct collect {
	struct net_found *found;
	int only; /* ifindex of the one that is looked for; 0: those that a guest can have */
	struct error **err;
	/* Links on which another one that a guest can have is stacked, and that one's name. */
	struct {
		int ifindex;
		char upper[IFNAMSIZ];
	} lowers[COLLECT_LOWERS_MAX];
	size_t num_lowers;
};

/**
 * collect_refuse() - what a microVM cannot be given
 *
 * Return: -1 with the error; or 0 where a guest is connected already: then it is noted, and left out.
 */
__attribute__((format(printf, 2, 3))) int collect_refuse(struct collect *c, const char *fmt, ...);

/* For netlink_dump(); data is the struct collect. */
int collect_address(void *data, const struct nlmsghdr *h);
int collect_route(void *data, const struct nlmsghdr *h);
int collect_neighbour(void *data, const struct nlmsghdr *h);
int collect_rule(void *data, const struct nlmsghdr *h);

#endif
