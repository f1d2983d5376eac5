/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, routes and neighbours of the guest, one at a time. */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

#include "base/agent_net_proto.h"
#include "base/netlink.h"
#include "guest-agent/agent_net_priv.h"

static void put_ip(struct netlink_request *req, uint16_t type, const struct agent_ip *ip)
{
	if (ip->family)
		netlink_put(req, type, ip->bytes, ip->family == AF_INET ? 4 : 16);
}

/* Of what the kernel or the container has taken away meanwhile. */
static int deleted(int r)
{
	return r == -ESRCH || r == -ENOENT || r == -ENODEV || r == -EADDRNOTAVAIL ||
			       r == -EAFNOSUPPORT || r == -EOPNOTSUPP ? 0 : r;
}

static void address_begin(struct netlink_request *req, uint16_t type, uint16_t flags, int ifindex,
			  const struct agent_address *a)
{
	const struct ifaddrmsg msg = {
		.ifa_family = a->local.family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope,
		.ifa_index = (uint32_t)ifindex,
	};

	netlink_begin(req, type, flags, &msg, sizeof(msg));
	put_ip(req, IFA_LOCAL, &a->local);
	put_ip(req, IFA_ADDRESS, a->peer.family ? &a->peer : &a->local);
}

int net_address_add(struct netlink *nl, int ifindex, const struct agent_address *a)
{
	const struct ifa_cacheinfo life = { .ifa_prefered = a->preferred, .ifa_valid = a->valid };
	/* The engine has found out already that nobody else has it. */
	const uint32_t nodad = a->local.family == AF_INET6 ? IFA_F_NODAD : 0;
	struct netlink_request req;
	int r;

	address_begin(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, a);
	put_ip(&req, IFA_BROADCAST, &a->broadcast);
	netlink_put_u32(&req, IFA_FLAGS, a->flags | nodad);
	if (a->priority)
		netlink_put_u32(&req, IFA_RT_PRIORITY, a->priority);
	if (a->preferred != AGENT_FOREVER || a->valid != AGENT_FOREVER)
		netlink_put(&req, IFA_CACHEINFO, &life, sizeof(life));
	r = netlink_do(nl, &req);
	/* Every interface has a link-local address where there is IPv6; a guest kernel may lack it. */
	if (r == -EOPNOTSUPP && a->local.family == AF_INET6 && a->scope == RT_SCOPE_LINK)
		return 0;
	return r == -EEXIST ? 0 : r;
}

int net_address_delete(struct netlink *nl, int ifindex, const struct agent_address *a)
{
	struct netlink_request req;

	address_begin(&req, RTM_DELADDR, 0, ifindex, a);
	return deleted(netlink_do(nl, &req));
}

bool net_address_same(const struct agent_address *a, const struct agent_address *b)
{
	return !memcmp(&a->local, &b->local, sizeof(a->local)) &&
	       !memcmp(&a->peer, &b->peer, sizeof(a->peer)) &&
	       !memcmp(&a->broadcast, &b->broadcast, sizeof(a->broadcast)) &&
	       a->prefix == b->prefix && a->scope == b->scope && a->flags == b->flags &&
	       a->priority == b->priority &&
	       (a->valid == AGENT_FOREVER) == (b->valid == AGENT_FOREVER);
}

static void route_begin(struct netlink_request *req, uint16_t type, uint16_t flags, int ifindex,
			const struct agent_route *t)
{
	const struct rtmsg msg = {
		.rtm_family = t->family, .rtm_dst_len = t->prefix, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = t->protocol, .rtm_scope = t->scope, .rtm_type = t->type,
		.rtm_flags = t->flags,
	};

	netlink_begin(req, type, flags, &msg, sizeof(msg));
	put_ip(req, RTA_DST, &t->destination);
	put_ip(req, RTA_GATEWAY, &t->gateway);
	put_ip(req, RTA_PREFSRC, &t->source);
	if (t->type == RTN_UNICAST)
		netlink_put_u32(req, RTA_OIF, (uint32_t)ifindex);
	if (t->priority)
		netlink_put_u32(req, RTA_PRIORITY, t->priority);
}

/* Beside those to the same destination that there are: IPv6 makes one of several ways of them. */
int net_route_add(struct netlink *nl, int ifindex, const struct agent_route *t)
{
	struct netlink_request req;
	int r;

	route_begin(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, ifindex, t);
	if (t->metrics_len)
		netlink_put(&req, RTA_METRICS, t->metrics, t->metrics_len);
	r = netlink_do(nl, &req);
	return r == -EEXIST ? 0 : r;
}

int net_route_delete(struct netlink *nl, int ifindex, const struct agent_route *t)
{
	struct netlink_request req;

	route_begin(&req, RTM_DELROUTE, 0, ifindex, t);
	return deleted(netlink_do(nl, &req));
}

bool net_route_same(const struct agent_route *a, const struct agent_route *b)
{
	return a->family == b->family && a->type == b->type && a->prefix == b->prefix &&
	       a->protocol == b->protocol && a->scope == b->scope && a->flags == b->flags &&
	       a->priority == b->priority && a->metrics_len == b->metrics_len &&
	       !memcmp(&a->destination, &b->destination, sizeof(a->destination)) &&
	       !memcmp(&a->gateway, &b->gateway, sizeof(a->gateway)) &&
	       !memcmp(&a->source, &b->source, sizeof(a->source)) &&
	       (!a->metrics_len || !memcmp(a->metrics, b->metrics, a->metrics_len));
}

static void neighbour_begin(struct netlink_request *req, uint16_t type, uint16_t flags, int ifindex,
			    const struct agent_neighbour *n)
{
	const struct ndmsg msg = {
		.ndm_family = n->ip.family, .ndm_ifindex = ifindex, .ndm_state = NUD_PERMANENT,
	};

	netlink_begin(req, type, flags, &msg, sizeof(msg));
	put_ip(req, NDA_DST, &n->ip);
}

int net_neighbour_add(struct netlink *nl, int ifindex, const struct agent_neighbour *n)
{
	struct netlink_request req;

	neighbour_begin(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex, n);
	netlink_put(&req, NDA_LLADDR, n->mac, AGENT_MAC_LEN);
	return netlink_do(nl, &req);
}

int net_neighbour_delete(struct netlink *nl, int ifindex, const struct agent_neighbour *n)
{
	struct netlink_request req;

	neighbour_begin(&req, RTM_DELNEIGH, 0, ifindex, n);
	return deleted(netlink_do(nl, &req));
}
