/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NET_PRIV_H
#define GUEST_AGENT_AGENT_NET_PRIV_H

/*
 * Addresses, routes and neighbours of an interface, for agent_net_interface.c. 0 or -errno; what is
 * there already, or is not any more, is no error.
 */

#include <stdbool.h>

struct agent_address;
struct agent_neighbour;
struct agent_route;
struct netlink;

int net_address_add(struct netlink *nl, int ifindex, const struct agent_address *a);
int net_address_delete(struct netlink *nl, int ifindex, const struct agent_address *a);

/** net_address_same() - but for how long a lifetime is */
bool net_address_same(const struct agent_address *a, const struct agent_address *b);

int net_route_add(struct netlink *nl, int ifindex, const struct agent_route *t);
int net_route_delete(struct netlink *nl, int ifindex, const struct agent_route *t);

/** net_route_same() - but for their order */
bool net_route_same(const struct agent_route *a, const struct agent_route *b);

int net_neighbour_add(struct netlink *nl, int ifindex, const struct agent_neighbour *n);
int net_neighbour_delete(struct netlink *nl, int ifindex, const struct agent_neighbour *n);

#endif
