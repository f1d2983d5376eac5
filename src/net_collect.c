/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net_collect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/netlink.h"
#include "net_redirect.h"

#define COLLECT_TRIES 5
/* Of one interface: more than any engine makes, and all fit into one message. */
#define LIST_MAX 256
#define SYSCTL_NET "/proc/sys/net/"

void net_device_mac(uint32_t number, uint8_t mac[AGENT_MAC_LEN])
{
	const uint8_t base[AGENT_MAC_LEN] = { 0x02, 'k', 'r', 'u', 'n', (uint8_t)number };

	memcpy(mac, base, AGENT_MAC_LEN);
}

struct collect {
	struct net_found *found;
	int only; /* ifindex of the one that is looked for; 0: those that a guest can have */
	struct error **err;
};

/* One more element of a list that doubles as it grows; NULL with an error. */
static void *list_grow(void **list, size_t *count, size_t size, struct error **err)
{
	void *p = *list;

	if (*count == LIST_MAX) {
		error_set(err, E2BIG, "the container's network has more than %d addresses, routes "
			  "or neighbours", LIST_MAX);
		return NULL;
	}
	if ((*count & (*count - 1)) == 0)
		p = realloc(p, (*count ? *count * 2 : 1) * size);
	if (!p) {
		error_set(err, ENOMEM, "cannot look at the container's network");
		return NULL;
	}
	*list = p;
	p = (char *)p + (*count)++ * size;
	memset(p, 0, size);
	return p;
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

static int refuse_second(struct collect *c)
{
	return error_set(c->err, 0, "a microVM is connected to this network namespace already, "
			 "and receives all that arrives there: give the container a network of its "
			 "own");
}

static bool is_for_guest(const struct ifinfomsg *link, const struct rtattr *mac)
{
	return link->ifi_type == ARPHRD_ETHER && link->ifi_flags & IFF_UP && mac &&
	       RTA_PAYLOAD(mac) == AGENT_MAC_LEN;
}

/* IFLA_LINKINFO's IFLA_INFO_KIND. */
static bool is_veth(const struct rtattr *info)
{
	const struct rtattr *a = info ? RTA_DATA(info) : NULL;
	size_t left = info ? RTA_PAYLOAD(info) : 0;

	for (; a && RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_INFO_KIND)
			return netlink_str(a) && !strcmp(netlink_str(a), "veth");
	return false;
}

static int take_link(void *data, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	struct collect *c = data;
	const struct rtattr *tb[IFLA_LINKINFO + 1];
	struct agent_interface *i;
	const char *name;

	if (c->only && link->ifi_index != c->only)
		return 0;
	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return 0;
	netlink_attrs(h, sizeof(*link), tb, IFLA_LINKINFO + 1);
	name = netlink_str(tb[IFLA_IFNAME]);
	if (!name || link->ifi_flags & IFF_LOOPBACK)
		return 0;
	if (!c->only && net_tap_is_ours(name))
		return c->found->joined ? 0 : refuse_second(c);
	if (!c->only && !is_for_guest(link, tb[IFLA_ADDRESS])) {
		log_debug("interface %s is not for the guest", name);
		return 0;
	}
	if (c->found->count == AGENT_INTERFACES_MAX)
		return error_set(c->err, 0, "the container has more than %d networks, and a microVM "
				 "no more interfaces", AGENT_INTERFACES_MAX);
	i = &c->found->interfaces[c->found->count];
	memset(i, 0, sizeof(*i));
	c->found->ifindex[c->found->count++] = link->ifi_index;
	c->found->veth |= is_veth(tb[IFLA_LINKINFO]);
	i->name = strdup(name);
	i->mtu = netlink_u32(tb[IFLA_MTU]);
	if (!c->only)
		memcpy(i->mac, RTA_DATA(tb[IFLA_ADDRESS]), AGENT_MAC_LEN);
	return i->name ? 0 : error_set(c->err, ENOMEM, "interface %s", name);
}

static int take_address(void *data, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *a = NLMSG_DATA(h);
	struct collect *c = data;
	const struct rtattr *tb[IFA_BROADCAST + 1];
	struct agent_interface *i;
	struct agent_address *out;
	struct agent_ip local;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*a)) ||
	    (a->ifa_family != AF_INET && a->ifa_family != AF_INET6))
		return 0;
	i = found_by_index(c->found, a->ifa_index);
	/* Link-local addresses are the host's own, and the guest has some. */
	if (!i || (c->only && a->ifa_scope == RT_SCOPE_LINK))
		return 0;
	netlink_attrs(h, sizeof(*a), tb, IFA_BROADCAST + 1);
	/* IFA_LOCAL where there is one: IFA_ADDRESS is then the other end's. */
	local = ip_of(a->ifa_family, tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS]);
	if (!local.family)
		return 0;
	out = list_grow((void **)&i->addresses, &i->num_addresses, sizeof(*out), c->err);
	if (!out)
		return -1;
	out->local = local;
	out->prefix = a->ifa_prefixlen;
	out->scope = a->ifa_scope;
	out->broadcast = ip_of(AF_INET, tb[IFA_BROADCAST]);
	out->peer = ip_of(a->ifa_family, tb[IFA_ADDRESS]);
	if (!memcmp(&out->peer, &local, sizeof(local)))
		out->peer.family = 0;
	return 0;
}

static int route_fill(struct agent_route *out, const struct rtmsg *rt, const struct rtattr **tb)
{
	const struct rtattr *metrics = tb[RTA_METRICS];

	out->family = rt->rtm_family;
	out->destination = ip_of(rt->rtm_family, tb[RTA_DST]);
	out->gateway = ip_of(rt->rtm_family, tb[RTA_GATEWAY]);
	out->source = ip_of(rt->rtm_family, tb[RTA_PREFSRC]);
	out->prefix = rt->rtm_dst_len;
	out->protocol = rt->rtm_protocol;
	out->scope = rt->rtm_scope;
	out->flags = rt->rtm_flags & RTNH_F_ONLINK;
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

static int take_route(void *data, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	struct collect *c = data;
	const struct rtattr *tb[RTA_VIA + 1];
	struct agent_interface *i;
	struct agent_route *out;

	/* Those of addresses come with the addresses; other tables are the local one, or policy. */
	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*rt)) ||
	    (rt->rtm_family != AF_INET && rt->rtm_family != AF_INET6) ||
	    rt->rtm_type != RTN_UNICAST || rt->rtm_protocol == RTPROT_KERNEL ||
	    rt->rtm_flags & RTM_F_CLONED)
		return 0;
	netlink_attrs(h, sizeof(*rt), tb, RTA_VIA + 1);
	if ((tb[RTA_TABLE] ? netlink_u32(tb[RTA_TABLE]) : rt->rtm_table) != RT_TABLE_MAIN)
		return 0;
	if ((tb[RTA_MULTIPATH] || tb[RTA_VIA]) && c->only)
		return 0;
	if (tb[RTA_MULTIPATH] || tb[RTA_VIA])
		return error_set(c->err, 0, "the container's network has a route by several ways or "
				 "of two address families, which a microVM is not given");
	i = found_by_index(c->found, netlink_u32(tb[RTA_OIF]));
	if (!i)
		return 0;
	out = list_grow((void **)&i->routes, &i->num_routes, sizeof(*out), c->err);
	if (!out)
		return -1;
	return route_fill(out, rt, tb) < 0 ? error_set(c->err, ENOMEM, "routes") : 0;
}

static int take_neighbour(void *data, const struct nlmsghdr *h)
{
	const struct ndmsg *nd = NLMSG_DATA(h);
	struct collect *c = data;
	const struct rtattr *tb[NDA_LLADDR + 1];
	struct agent_neighbour *out;
	struct agent_interface *i;

	if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*nd)) ||
	    (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    !(nd->ndm_state & NUD_PERMANENT) || nd->ndm_flags & NTF_PROXY)
		return 0;
	i = found_by_index(c->found, (uint32_t)nd->ndm_ifindex);
	netlink_attrs(h, sizeof(*nd), tb, NDA_LLADDR + 1);
	if (!i || !tb[NDA_LLADDR] || RTA_PAYLOAD(tb[NDA_LLADDR]) != AGENT_MAC_LEN ||
	    !ip_of(nd->ndm_family, tb[NDA_DST]).family)
		return 0;
	out = list_grow((void **)&i->neighbours, &i->num_neighbours, sizeof(*out), c->err);
	if (!out)
		return -1;
	out->ip = ip_of(nd->ndm_family, tb[NDA_DST]);
	memcpy(out->mac, RTA_DATA(tb[NDA_LLADDR]), AGENT_MAC_LEN);
	return 0;
}

static int dump(struct netlink *nl, struct collect *c, uint16_t type, netlink_fn fn)
{
	const union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		struct ndmsg neighbour;
	} any = { 0 };
	const size_t len = type == RTM_GETLINK  ? sizeof(any.link) :
			   type == RTM_GETADDR  ? sizeof(any.address) :
			   type == RTM_GETROUTE ? sizeof(any.route) :
						  sizeof(any.neighbour);
	struct netlink_request req;

	netlink_begin(&req, type, 0, &any, len);
	return netlink_dump(nl, &req, fn, c);
}

/*
 * What engines set of an interface's IPv6 beside addresses. Read of this thread's namespace, which
 * is what /proc/sys/net shows.
 */
static int take_sysctls(struct agent_interface *i)
{
	static const char *const names[] = { "disable_ipv6", "accept_ra", "autoconf" };
	const size_t count = sizeof(names) / sizeof(*names);

	i->sysctls = calloc(count, sizeof(*i->sysctls));
	if (!i->sysctls)
		return -ENOMEM;
	for (size_t n = 0; n < count; n++) {
		struct agent_pair *p = &i->sysctls[i->num_sysctls];
		cleanup_close int fd = -1;
		char path[128];

		snprintf(path, sizeof(path), SYSCTL_NET "ipv6/conf/%s/%s", i->name, names[n]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		p->value = fd < 0 ? NULL : fd_read_file(fd, 64, NULL);
		if (!p->value)
			continue; /* a host without IPv6 */
		p->value[strcspn(p->value, "\n")] = 0;
		p->key = strdup(path + strlen(SYSCTL_NET));
		i->num_sysctls++;
		if (!p->key)
			return -ENOMEM;
	}
	return 0;
}

static int collect_once(struct netlink *nl, struct collect *c)
{
	int r = dump(nl, c, RTM_GETLINK, take_link);

	if (r == 0)
		r = dump(nl, c, RTM_GETADDR, take_address);
	if (r == 0)
		r = dump(nl, c, RTM_GETROUTE, take_route);
	/* Not the host's own neighbours and settings. */
	if (r == 0 && !c->only)
		r = dump(nl, c, RTM_GETNEIGH, take_neighbour);
	for (size_t i = 0; i < c->found->count && r == 0 && !c->only; i++)
		r = take_sysctls(&c->found->interfaces[i]);
	return r;
}

static int collect(struct netlink *nl, struct collect *c)
{
	int r = -EINTR;

	/* Again when it changed while it was read. */
	for (int i = 0; i < COLLECT_TRIES && r == -EINTR; i++) {
		net_found_release(c->found);
		r = collect_once(nl, c);
	}
	if (r == 0)
		return 0;
	net_found_release(c->found);
	if (!*c->err)
		error_set(c->err, -r, "cannot look at the container's network");
	return -1;
}

int net_collect(struct netlink *nl, struct net_found *found, struct error **err)
{
	cleanup_error struct error *why = NULL;
	struct collect c = { .found = found, .err = &why };

	if (collect(nl, &c) == 0)
		return 0;
	return error_move(err, &why);
}

/** struct default_route - the best one seen */
struct default_route {
	uint32_t oif, priority;
};

static int match_default(void *data, const struct nlmsghdr *h)
{
	const struct rtmsg *rt = NLMSG_DATA(h);
	const struct rtattr *tb[RTA_TABLE + 1];
	struct default_route *best = data;
	uint32_t priority;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*rt)) ||
	    rt->rtm_type != RTN_UNICAST || rt->rtm_dst_len || rt->rtm_flags & RTM_F_CLONED ||
	    (rt->rtm_family != AF_INET && rt->rtm_family != AF_INET6))
		return 0;
	netlink_attrs(h, sizeof(*rt), tb, RTA_TABLE + 1);
	priority = netlink_u32(tb[RTA_PRIORITY]);
	if ((tb[RTA_TABLE] ? netlink_u32(tb[RTA_TABLE]) : rt->rtm_table) == RT_TABLE_MAIN &&
	    tb[RTA_OIF] && (!best->oif || priority < best->priority))
		*best = (struct default_route){ netlink_u32(tb[RTA_OIF]), priority };
	return 0;
}

int net_collect_default(struct netlink *nl, struct net_found *found, struct error **err)
{
	const struct rtmsg v4 = { .rtm_family = AF_INET }, v6 = { .rtm_family = AF_INET6 };
	cleanup_error struct error *why = NULL;
	struct collect c = { .found = found, .err = &why };
	struct default_route best = { 0 };
	struct netlink_request req;

	net_found_release(found);
	netlink_begin(&req, RTM_GETROUTE, 0, &v4, sizeof(v4));
	netlink_dump(nl, &req, match_default, &best);
	if (!best.oif) {
		netlink_begin(&req, RTM_GETROUTE, 0, &v6, sizeof(v6));
		netlink_dump(nl, &req, match_default, &best);
	}
	c.only = (int)best.oif;
	if (!best.oif || collect(nl, &c) == 0)
		return 0;
	return error_move(err, &why);
}

void net_found_release(struct net_found *found)
{
	for (size_t i = 0; i < found->count; i++)
		agent_interface_reset(&found->interfaces[i]);
	found->count = 0;
	found->veth = false;
}
