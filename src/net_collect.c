/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net_collect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <stdarg.h>
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
#include "net_collect_priv.h"
#include "net_redirect.h"

#define COLLECT_TRIES 5
#define NOTES_MAX 1024
#define SYSCTL_NET "/proc/sys/net/"

void net_device_mac(uint32_t number, uint8_t mac[AGENT_MAC_LEN])
{
	const uint8_t base[AGENT_MAC_LEN] = { 0x02, 'k', 'r', 'u', 'n', (uint8_t)number };

	memcpy(mac, base, AGENT_MAC_LEN);
}

int collect_refuse(struct collect *c, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!c->found->joined)
		return error_set(c->err, 0, "%s", text);
	net_found_note(c->found, text);
	return 0;
}

void net_found_note(struct net_found *found, const char *text)
{
	char **notes = &found->notes, *more = NULL;

	if (*notes && (strlen(*notes) > NOTES_MAX || strstr(*notes, text)))
		return;
	if (asprintf(&more, "%s%s%s", *notes ? *notes : "", *notes ? "; " : "", text) < 0)
		return;
	free(*notes);
	*notes = more;
}

static int refuse_second(struct collect *c)
{
	return error_set(c->err, 0, "a microVM is connected to this network namespace already, "
			 "and receives all that arrives there: give the container a network of its "
			 "own");
}

/* What of a link is of interest. */
struct link {
	const struct ifinfomsg *info;
	const char *name;
	const struct rtattr *mac;
	int below;    /* ifindex of the one on which it is stacked; 0: none of this namespace */
	bool veth;    /* a pair's, of which the other end is not below it */
	bool for_guest;
	bool enslaved; /* to a bond, a bridge… */
	uint32_t mtu;
};

/* IFLA_LINKINFO's IFLA_INFO_KIND. */
static bool is_kind(const struct rtattr *info, const char *kind)
{
	const struct rtattr *a = info ? RTA_DATA(info) : NULL;
	size_t left = info ? RTA_PAYLOAD(info) : 0;

	for (; a && RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_INFO_KIND)
			return netlink_str(a) && !strcmp(netlink_str(a), kind);
	return false;
}

/* False: none that could be for the guest. */
static bool link_parse(const struct nlmsghdr *h, struct link *l)
{
	const struct rtattr *tb[IFLA_LINK_NETNSID + 1];
	bool pair;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*l->info)))
		return false;
	netlink_attrs(h, sizeof(*l->info), tb, IFLA_LINK_NETNSID + 1);
	*l = (struct link){ .info = NLMSG_DATA(h), .name = netlink_str(tb[IFLA_IFNAME]),
			    .mac = tb[IFLA_ADDRESS], .enslaved = netlink_u32(tb[IFLA_MASTER]),
			    .mtu = netlink_u32(tb[IFLA_MTU]) };
	l->veth = is_kind(tb[IFLA_LINKINFO], "veth");
	pair = l->veth || is_kind(tb[IFLA_LINKINFO], "netkit");
	if (!pair && !tb[IFLA_LINK_NETNSID] && netlink_u32(tb[IFLA_LINK]) != (uint32_t)l->info->ifi_index)
		l->below = (int)netlink_u32(tb[IFLA_LINK]);
	l->for_guest = l->info->ifi_type == ARPHRD_ETHER && l->info->ifi_flags & IFF_UP && l->mac &&
		       RTA_PAYLOAD(l->mac) == AGENT_MAC_LEN;
	return l->name && !(l->info->ifi_flags & IFF_LOOPBACK);
}

static int note_lower(void *data, const struct nlmsghdr *h)
{
	struct collect *c = data;
	struct link l;

	if (!link_parse(h, &l) || !l.for_guest || !l.below || c->num_lowers == COLLECT_LOWERS_MAX)
		return 0;
	c->lowers[c->num_lowers].ifindex = l.below;
	snprintf(c->lowers[c->num_lowers++].upper, IFNAMSIZ, "%s", l.name);
	return 0;
}

/*
 * What arrives at an interface is redirected before it can come to one that is stacked on it (a VLAN, a
 * bond…): of the two the upper one is the guest's.
 */
static bool is_below(struct collect *c, const struct link *l)
{
	const char *upper = l->enslaved ? "the one that it is part of" : NULL;
	char text[128];

	for (size_t i = 0; i < c->num_lowers && !upper; i++)
		if (c->lowers[i].ifindex == l->info->ifi_index)
			upper = c->lowers[i].upper;
	if (!upper)
		return false;
	snprintf(text, sizeof(text), "interface %s is not the guest's: %s is", l->name, upper);
	net_found_note(c->found, text);
	return true;
}

/* 1: to be taken; 0: not; -1 with an error. */
static int link_choose(struct collect *c, const struct link *l)
{
	const size_t max = c->found->joined ? NET_FOUND_MAX : AGENT_INTERFACES_MAX;

	if (c->only)
		return l->info->ifi_index == c->only;
	if (net_tap_is_ours(l->name))
		return c->found->joined ? 0 : refuse_second(c);
	if (!l->for_guest) {
		log_debug("interface %s is not for the guest", l->name);
		return 0;
	}
	if (is_below(c, l))
		return 0;
	return c->found->count < max ? 1 :
	       collect_refuse(c, "the container has more than %zu networks, and a microVM no more "
			      "interfaces", max);
}

static int take_link(void *data, const struct nlmsghdr *h)
{
	struct collect *c = data;
	struct agent_interface *i;
	struct link l;
	int r;

	if (!link_parse(h, &l))
		return 0;
	r = link_choose(c, &l);
	if (r <= 0)
		return r;
	i = &c->found->interfaces[c->found->count];
	memset(i, 0, sizeof(*i));
	c->found->ifindex[c->found->count++] = l.info->ifi_index;
	c->found->veth |= l.veth;
	i->name = strdup(l.name);
	i->mtu = l.mtu;
	i->flags = c->only ? 0 : l.info->ifi_flags & IFF_NOARP;
	if (!c->only)
		memcpy(i->mac, RTA_DATA(l.mac), AGENT_MAC_LEN);
	return i->name ? 0 : error_set(c->err, ENOMEM, "interface %s", l.name);
}

static int dump(struct netlink *nl, struct collect *c, uint16_t type, netlink_fn fn)
{
	const union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		struct ndmsg neighbour;
		struct fib_rule_hdr rule;
	} any = { 0 };
	const size_t len = type == RTM_GETLINK  ? sizeof(any.link) :
			   type == RTM_GETADDR  ? sizeof(any.address) :
			   type == RTM_GETROUTE ? sizeof(any.route) :
			   type == RTM_GETRULE  ? sizeof(any.rule) :
						  sizeof(any.neighbour);
	struct netlink_request req;

	netlink_begin(&req, type, 0, &any, len);
	return netlink_dump(nl, &req, fn, c);
}

/*
 * What engines set of an interface beside addresses. Read of this thread's namespace, which is what
 * /proc/sys/net shows.
 */
static int take_sysctls(struct agent_interface *i)
{
	static const char *const names[][2] = {
		{ "ipv4", "arp_notify" }, { "ipv4", "rp_filter" },  { "ipv6", "disable_ipv6" },
		{ "ipv6", "accept_ra" },  { "ipv6", "accept_dad" }, { "ipv6", "autoconf" },
	};
	const size_t count = sizeof(names) / sizeof(*names);

	i->sysctls = calloc(count, sizeof(*i->sysctls));
	if (!i->sysctls)
		return -ENOMEM;
	for (size_t n = 0; n < count; n++) {
		struct agent_pair *p = &i->sysctls[i->num_sysctls];
		cleanup_close int fd = -1;
		char path[128];

		snprintf(path, sizeof(path), SYSCTL_NET "%s/conf/%s/%s", names[n][0], i->name,
			 names[n][1]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		p->value = fd < 0 ? NULL : fd_read_file(fd, 64, NULL);
		if (!p->value)
			continue; /* a host without IPv6, or an MTU too small for it */
		p->value[strcspn(p->value, "\n")] = 0;
		p->key = strdup(path + strlen(SYSCTL_NET));
		i->num_sysctls++;
		if (!p->key)
			return -ENOMEM;
	}
	return 0;
}

/* What is the container's alone: a host's neighbours and settings are not the guest's. */
static int collect_container(struct netlink *nl, struct collect *c)
{
	int r = dump(nl, c, RTM_GETRULE, collect_rule);

	/* A kernel without policy routing. */
	if (r == -EOPNOTSUPP || r == -EAFNOSUPPORT)
		r = 0;
	if (r == 0)
		r = dump(nl, c, RTM_GETNEIGH, collect_neighbour);
	for (size_t i = 0; i < c->found->count && r == 0; i++)
		r = take_sysctls(&c->found->interfaces[i]);
	return r;
}

static int collect_once(struct netlink *nl, struct collect *c)
{
	int r;

	c->num_lowers = 0;
	r = dump(nl, c, RTM_GETLINK, note_lower);
	if (r == 0)
		r = dump(nl, c, RTM_GETLINK, take_link);
	if (r < 0 || !c->found->count)
		return r;
	r = dump(nl, c, RTM_GETADDR, collect_address);
	if (r == 0)
		r = dump(nl, c, RTM_GETROUTE, collect_route);
	return r < 0 || c->only ? r : collect_container(nl, c);
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
	free(found->notes);
	found->notes = NULL;
	found->count = 0;
	found->veth = false;
}
