/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a network namespace has of addresses, routes and neighbours, for the guest's interfaces. A guest
 * is given all that counts, or refused: a route that is left out leads its packets somewhere else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/netlink.h"
#include "net_collect_priv.h"

/* Of one interface: more than any engine makes, and all fit into one message. */
#define LIST_MAX 256
/* The kernel's own rules: the tables local, main and default, in this order. */
#define RULE_MAIN 32766u
#define RULE_DEFAULT 32767u

/* One more element of a list that doubles as it grows. 1, 0: it is left out; -1 with an error. */
static int list_grow(struct collect *c, void **list, size_t *count, size_t size, void **element)
{
	void *p = *list;

	if (*count == LIST_MAX)
		return collect_refuse(c, "the container's network has more than %d addresses, routes "
				      "or neighbours", LIST_MAX);
	if ((*count & (*count - 1)) == 0)
		p = realloc(p, (*count ? *count * 2 : 1) * size);
	if (!p)
		return error_set(c->err, ENOMEM, "cannot look at the container's network");
	*list = p;
	*element = (char *)p + (*count)++ * size;
	memset(*element, 0, size);
	return 1;
}

static struct agent_interface *found_by_index(struct net_found *found, uint32_t ifindex)
{
	for (size_t i = 0; i < found->count; i++)
		if ((uint32_t)found->ifindex[i] == ifindex)
			return &found->interfaces[i];
	return NULL;
}

/* An address of an attribute; family 0 where it is absent. */
static struct agent_ip ip_of(uint8_t family, const struct rtattr *a)
{
	const size_t len = family == AF_INET ? 4 : 16;
	struct agent_ip ip = { 0 };

	if (a && RTA_PAYLOAD(a) == len) {
		ip.family = family;
		memcpy(ip.bytes, RTA_DATA(a), len);
	}
	return ip;
}

static void address_fill(struct agent_address *out, const struct ifaddrmsg *a,
			 const struct rtattr **tb)
{
	const struct rtattr *cache = tb[IFA_CACHEINFO];
	struct ifa_cacheinfo life = { .ifa_prefered = AGENT_FOREVER, .ifa_valid = AGENT_FOREVER };

	if (cache && RTA_PAYLOAD(cache) >= sizeof(life))
		memcpy(&life, RTA_DATA(cache), sizeof(life));
	out->prefix = a->ifa_prefixlen;
	out->scope = a->ifa_scope;
	out->flags = (tb[IFA_FLAGS] ? netlink_u32(tb[IFA_FLAGS]) : a->ifa_flags) &
		     (IFA_F_NOPREFIXROUTE | IFA_F_MANAGETEMPADDR);
	out->priority = netlink_u32(tb[IFA_RT_PRIORITY]);
	out->preferred = life.ifa_prefered;
	out->valid = life.ifa_valid;
	out->broadcast = ip_of(AF_INET, tb[IFA_BROADCAST]);
	out->peer = ip_of(a->ifa_family, tb[IFA_ADDRESS]);
	if (!memcmp(&out->peer, &out->local, sizeof(out->local)))
		out->peer.family = 0;
}

int collect_address(void *data, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	const struct rtattr *tb[IFA_RT_PRIORITY + 1];
	struct collect *c = data;
	struct agent_interface *i;
	struct agent_ip local;
	void *out;
	int r;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*a)) ||
	    (a->ifa_family != AF_INET && a->ifa_family != AF_INET6))
		return 0;
	i = found_by_index(c->found, a->ifa_index);
	/* Link-local addresses are the host's own, and the guest has some. */
	if (!i || (c->only && a->ifa_scope == RT_SCOPE_LINK))
		return 0;
	netlink_attrs(h, sizeof(*a), tb, IFA_RT_PRIORITY + 1);
	/* IFA_LOCAL where there is one: IFA_ADDRESS is then the other end's. */
	local = ip_of(a->ifa_family, tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS]);
	if (!local.family)
		return 0;
	r = list_grow(c, (void **)&i->addresses, &i->num_addresses, sizeof(*i->addresses), &out);
	if (r <= 0)
		return r;
	((struct agent_address *)out)->local = local;
	address_fill(out, a, tb);
	return 0;
}

/* One way of a route: what of it is not in the message's head and its common attributes. */
struct way {
	uint32_t ifindex, flags;
	const struct rtattr *gateway;
};

static int route_fill(struct agent_route *out, const struct rtmsg *rt, const struct rtattr **tb,
		      const struct way *way)
{
	const struct rtattr *metrics = tb[RTA_METRICS];

	out->family = rt->rtm_family;
	out->type = rt->rtm_type;
	out->destination = ip_of(rt->rtm_family, tb[RTA_DST]);
	out->gateway = ip_of(rt->rtm_family, way->gateway);
	out->source = ip_of(rt->rtm_family, tb[RTA_PREFSRC]);
	out->prefix = rt->rtm_dst_len;
	out->protocol = rt->rtm_protocol;
	out->scope = rt->rtm_scope;
	out->flags = way->flags & RTNH_F_ONLINK;
	out->priority = netlink_u32(tb[RTA_PRIORITY]);
	if (!metrics || !RTA_PAYLOAD(metrics))
		return 0;
	out->metrics_len = RTA_PAYLOAD(metrics);
	out->metrics = malloc(out->metrics_len);
	if (!out->metrics)
		return -ENOMEM;
	memcpy(out->metrics, RTA_DATA(metrics), out->metrics_len);
	return 0;
}

/* IPv4 has the kernel try equal routes in their order; IPv6 makes one of them. */
static uint32_t route_order(const struct net_found *found, const struct agent_route *r)
{
	uint32_t before = 0;

	for (size_t i = 0; i < found->count && r->family == AF_INET; i++)
		for (size_t n = 0; n < found->interfaces[i].num_routes; n++) {
			const struct agent_route *other = &found->interfaces[i].routes[n];

			if (other != r && other->family == AF_INET &&
			    other->priority == r->priority && other->prefix == r->prefix &&
			    !memcmp(&other->destination, &r->destination, sizeof(r->destination)))
				before++;
		}
	return before;
}

static int route_add(struct collect *c, const struct rtmsg *rt, const struct rtattr **tb,
		     const struct way *way)
{
	/* What leads nowhere is of no interface. */
	struct agent_interface *i = rt->rtm_type == RTN_UNICAST ?
					    found_by_index(c->found, way->ifindex) :
					    &c->found->interfaces[0];
	struct agent_route *route;
	void *out;
	int r;

	if (!i)
		return 0;
	r = list_grow(c, (void **)&i->routes, &i->num_routes, sizeof(*i->routes), &out);
	if (r <= 0)
		return r;
	route = out;
	if (route_fill(route, rt, tb, way) < 0)
		return error_set(c->err, ENOMEM, "routes");
	route->order = route_order(c->found, route);
	return 0;
}

static int refuse_route(struct collect *c, const struct rtmsg *rt, const struct rtattr **tb,
			const char *what)
{
	const struct agent_ip to = ip_of(rt->rtm_family, tb[RTA_DST]);
	char text[INET6_ADDRSTRLEN] = "::";

	if (c->only)
		return 0;
	if (to.family || rt->rtm_family == AF_INET)
		inet_ntop(rt->rtm_family, to.bytes, text, sizeof(text));
	return collect_refuse(c, "the container's network has a route to %s/%u %s, which a microVM is "
			      "not given", text, rt->rtm_dst_len, what);
}

/* IPv6 alone: each way is a route of its interface, and the guest's kernel puts them together again. */
static int take_ways(struct collect *c, const struct rtmsg *rt, const struct rtattr **tb)
{
	const struct rtnexthop *nh = RTA_DATA(tb[RTA_MULTIPATH]);
	int left = (int)RTA_PAYLOAD(tb[RTA_MULTIPATH]), r = 0;

	for (; r == 0 && RTNH_OK(nh, left);
	     left -= (int)RTNH_ALIGN(nh->rtnh_len), nh = RTNH_NEXT(nh)) {
		struct way way = { .ifindex = (uint32_t)nh->rtnh_ifindex, .flags = nh->rtnh_flags };
		const struct rtattr *a = RTNH_DATA(nh);
		size_t len = nh->rtnh_len - sizeof(*nh);

		if (nh->rtnh_hops)
			return refuse_route(c, rt, tb, "by ways of several weights");
		for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
			if (a->rta_type == RTA_GATEWAY)
				way.gateway = a;
			else if (a->rta_type == RTA_ENCAP)
				return refuse_route(c, rt, tb, "with an encapsulation");
		}
		r = route_add(c, rt, tb, &way);
	}
	return r;
}

/* Why a guest is not given this one; NULL: it is. */
static const char *route_oddity(const struct rtmsg *rt, uint32_t table, const struct rtattr **tb)
{
	if (table != RT_TABLE_MAIN)
		return table == RT_TABLE_LOCAL ? "of the table local" : "of a table but main";
	if (rt->rtm_type != RTN_UNICAST && rt->rtm_type != RTN_BLACKHOLE &&
	    rt->rtm_type != RTN_UNREACHABLE && rt->rtm_type != RTN_PROHIBIT &&
	    rt->rtm_type != RTN_THROW)
		return "of an unusual type";
	if (rt->rtm_tos)
		return "for one type of service";
	if (rt->rtm_src_len || tb[RTA_SRC])
		return "for some source addresses";
	if (tb[RTA_ENCAP])
		return "with an encapsulation";
	if (tb[RTA_VIA])
		return "by a gateway of another address family";
	if (tb[RTA_MULTIPATH] && rt->rtm_family == AF_INET)
		return "by several ways";
	return NULL;
}

int collect_route(void *data, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	const struct rtattr *tb[RTA_ENCAP + 1];
	struct collect *c = data;
	const char *oddity;
	struct way way;
	uint32_t table;

	/* Those of addresses come with the addresses. */
	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*rt)) ||
	    (rt->rtm_family != AF_INET && rt->rtm_family != AF_INET6) ||
	    rt->rtm_protocol == RTPROT_KERNEL || rt->rtm_flags & RTM_F_CLONED)
		return 0;
	netlink_attrs(h, sizeof(*rt), tb, RTA_ENCAP + 1);
	table = tb[RTA_TABLE] ? netlink_u32(tb[RTA_TABLE]) : rt->rtm_table;
	/* Older kernels have no protocol for their own. */
	if (table == RT_TABLE_LOCAL && (rt->rtm_protocol == RTPROT_UNSPEC || rt->rtm_type != RTN_LOCAL))
		return 0;
	oddity = route_oddity(rt, table, tb);
	if (oddity)
		return refuse_route(c, rt, tb, oddity);
	if (c->only && (tb[RTA_MULTIPATH] || rt->rtm_type != RTN_UNICAST))
		return 0;
	if (tb[RTA_MULTIPATH])
		return take_ways(c, rt, tb);
	way = (struct way){ netlink_u32(tb[RTA_OIF]), rt->rtm_flags, tb[RTA_GATEWAY] };
	return route_add(c, rt, tb, &way);
}

int collect_neighbour(void *data, const struct nlmsghdr *h)
{
	const struct ndmsg *nd = NLMSG_DATA(h);
	const struct rtattr *tb[NDA_LLADDR + 1];
	struct agent_neighbour *neighbour;
	struct collect *c = data;
	struct agent_interface *i;
	void *out;
	int r;

	if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*nd)) ||
	    (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    !(nd->ndm_state & NUD_PERMANENT) || nd->ndm_flags & NTF_PROXY)
		return 0;
	i = found_by_index(c->found, (uint32_t)nd->ndm_ifindex);
	netlink_attrs(h, sizeof(*nd), tb, NDA_LLADDR + 1);
	if (!i || !tb[NDA_LLADDR] || RTA_PAYLOAD(tb[NDA_LLADDR]) != AGENT_MAC_LEN ||
	    !ip_of(nd->ndm_family, tb[NDA_DST]).family)
		return 0;
	r = list_grow(c, (void **)&i->neighbours, &i->num_neighbours, sizeof(*i->neighbours), &out);
	if (r <= 0)
		return r;
	neighbour = out;
	neighbour->ip = ip_of(nd->ndm_family, tb[NDA_DST]);
	memcpy(neighbour->mac, RTA_DATA(tb[NDA_LLADDR]), AGENT_MAC_LEN);
	return 0;
}

/* One of the three (IPv6: two) that every namespace begins with. */
static bool is_own_rule(const struct fib_rule_hdr *rule, const struct rtattr **tb)
{
	const uint32_t priority = netlink_u32(tb[FRA_PRIORITY]);
	const uint32_t table = tb[FRA_TABLE] ? netlink_u32(tb[FRA_TABLE]) : rule->table;
	const uint32_t wanted = priority == 0		 ? RT_TABLE_LOCAL :
				priority == RULE_MAIN	 ? RT_TABLE_MAIN :
				priority == RULE_DEFAULT ? RT_TABLE_DEFAULT :
							   RT_TABLE_UNSPEC;

	for (size_t i = 1; i <= FRA_MAX; i++)
		if (tb[i] && i != FRA_PRIORITY && i != FRA_TABLE && i != FRA_PROTOCOL &&
		    i != FRA_SUPPRESS_PREFIXLEN)
			return false;
	return rule->action == FR_ACT_TO_TBL && !rule->src_len && !rule->dst_len && !rule->tos &&
	       !(rule->flags & FIB_RULE_INVERT) && table == wanted;
}

int collect_rule(void *data, const struct nlmsghdr *h)
{
	const struct fib_rule_hdr *rule = NLMSG_DATA(h);
	const struct rtattr *tb[FRA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWRULE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*rule)) ||
	    (rule->family != AF_INET && rule->family != AF_INET6))
		return 0;
	netlink_attrs(h, sizeof(*rule), tb, FRA_MAX + 1);
	if (is_own_rule(rule, tb))
		return 0;
	return collect_refuse(data, "the container's network has a policy routing rule (ip rule, "
			      "priority %u), which a microVM is not given",
			      netlink_u32(tb[FRA_PRIORITY]));
}
