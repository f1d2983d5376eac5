/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the guest kernel has named its virtio-net devices as it found them. Each is
 * found by the address that the device says it has, moved out of the way of the others' names, and
 * then made what the engine had made of its counterpart on the host. Routes without a gateway come
 * before those that need them.
 */
#include "guest-agent/agent_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/netlink.h"
#include "guest-agent/agent_file.h"

/* Below it no IPv6 (RFC 8200). */
#define IPV6_MTU_MIN 1280

struct link_search {
	const uint8_t *mac;
	int ifindex; /* 0: not found */
};

static int match_link(void *data, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	const struct rtattr *tb[IFLA_PERM_ADDRESS + 1], *mac;
	struct link_search *s = data;

	if (h->nlmsg_type != RTM_NEWLINK)
		return 0;
	netlink_attrs(h, sizeof(*link), tb, IFLA_PERM_ADDRESS + 1);
	mac = tb[IFLA_PERM_ADDRESS] ? tb[IFLA_PERM_ADDRESS] : tb[IFLA_ADDRESS];
	if (mac && RTA_PAYLOAD(mac) == AGENT_MAC_LEN && !memcmp(RTA_DATA(mac), s->mac, AGENT_MAC_LEN))
		s->ifindex = link->ifi_index;
	return 0;
}

int net_find(struct netlink *nl, const uint8_t *device_mac)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct link_search s = { .mac = device_mac };
	struct netlink_request req;
	int r;

	netlink_begin(&req, RTM_GETLINK, 0, &any, sizeof(any));
	r = netlink_dump(nl, &req, match_link, &s);
	return r < 0 ? r : s.ifindex;
}

int net_rename(struct netlink *nl, int ifindex, const char *name)
{
	const struct ifinfomsg link = { .ifi_index = ifindex };
	struct netlink_request req;

	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_put_str(&req, IFLA_IFNAME, name);
	return netlink_do(nl, &req);
}

static int link_find(struct netlink *nl, const struct agent_interface *i, struct error **err)
{
	const int r = net_find(nl, i->device_mac);

	return r > 0 ? r : error_set(err, r < 0 ? -r : ENODEV, "interface %s in the guest", i->name);
}

static int link_rename(struct netlink *nl, int ifindex, const char *name, struct error **err)
{
	const int r = net_rename(nl, ifindex, name);

	return r < 0 ? error_set(err, -r, "name the guest's interface %s", name) : 0;
}

static int link_up(struct netlink *nl, int ifindex, const struct agent_interface *i)
{
	const struct ifinfomsg link = {
		.ifi_index = ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP,
	};
	struct netlink_request req;

	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_put_u32(&req, IFLA_MTU, i->mtu);
	if (memcmp(i->mac, i->device_mac, AGENT_MAC_LEN))
		netlink_put(&req, IFLA_ADDRESS, i->mac, AGENT_MAC_LEN);
	return netlink_do(nl, &req);
}

static void put_ip(struct netlink_request *req, uint16_t type, const struct agent_ip *ip)
{
	if (ip->family)
		netlink_put(req, type, ip->bytes, ip->family == AF_INET ? 4 : 16);
}

static int address_add(struct netlink *nl, int ifindex, const struct agent_address *a)
{
	const struct ifaddrmsg msg = {
		.ifa_family = a->local.family, .ifa_prefixlen = a->prefix, .ifa_scope = a->scope,
		.ifa_index = (uint32_t)ifindex,
		/* The engine has found out already that nobody else has it. */
		.ifa_flags = a->local.family == AF_INET6 ? IFA_F_NODAD : 0,
	};
	struct netlink_request req;
	int r;

	netlink_begin(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	put_ip(&req, IFA_LOCAL, &a->local);
	put_ip(&req, IFA_ADDRESS, a->peer.family ? &a->peer : &a->local);
	put_ip(&req, IFA_BROADCAST, &a->broadcast);
	r = netlink_do(nl, &req);
	/* Every interface has a link-local address where there is IPv6; a guest kernel may lack it. */
	if (r == -EOPNOTSUPP && a->local.family == AF_INET6 && a->scope == RT_SCOPE_LINK)
		return 0;
	return r == -EEXIST ? 0 : r;
}

static int route_add(struct netlink *nl, int ifindex, const struct agent_route *t)
{
	const struct rtmsg msg = {
		.rtm_family = t->family, .rtm_dst_len = t->prefix, .rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = t->protocol, .rtm_scope = t->scope, .rtm_type = RTN_UNICAST,
		.rtm_flags = t->flags,
	};
	struct netlink_request req;
	int r;

	netlink_begin(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &msg, sizeof(msg));
	put_ip(&req, RTA_DST, &t->destination);
	put_ip(&req, RTA_GATEWAY, &t->gateway);
	put_ip(&req, RTA_PREFSRC, &t->source);
	netlink_put_u32(&req, RTA_OIF, (uint32_t)ifindex);
	if (t->priority)
		netlink_put_u32(&req, RTA_PRIORITY, t->priority);
	if (t->metrics_len)
		netlink_put(&req, RTA_METRICS, t->metrics, t->metrics_len);
	r = netlink_do(nl, &req);
	return r == -EEXIST ? 0 : r;
}

static int neighbour_add(struct netlink *nl, int ifindex, const struct agent_neighbour *n)
{
	const struct ndmsg msg = {
		.ndm_family = n->ip.family, .ndm_ifindex = ifindex, .ndm_state = NUD_PERMANENT,
	};
	struct netlink_request req;

	netlink_begin(&req, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	put_ip(&req, NDA_DST, &n->ip);
	netlink_put(&req, NDA_LLADDR, n->mac, AGENT_MAC_LEN);
	return netlink_do(nl, &req);
}

static int interface_sysctls(const struct agent_interface *i, struct error **err)
{
	for (size_t n = 0; n < i->num_sysctls; n++) {
		char path[256];

		snprintf(path, sizeof(path), "/proc/sys/net/%s", i->sysctls[n].key);
		if (file_write(AT_FDCWD, path, i->sysctls[n].value, err) < 0)
			return -1;
	}
	return 0;
}

static int interface_routes(struct netlink *nl, int ifindex, const struct agent_interface *i)
{
	for (int gateways = 0; gateways < 2; gateways++)
		for (size_t n = 0; n < i->num_routes; n++) {
			const struct agent_route *t = &i->routes[n];
			int r = 0;

			if (!!t->gateway.family == gateways)
				r = route_add(nl, ifindex, t);
			if (r < 0)
				return r;
		}
	return 0;
}

static int interface_configure(struct netlink *nl, int ifindex, const struct agent_interface *i,
			       struct error **err)
{
	int r;

	if (i->mtu >= IPV6_MTU_MIN && access("/proc/sys/net/ipv6", F_OK) == 0 &&
	    interface_sysctls(i, err) < 0)
		return -1;
	r = link_up(nl, ifindex, i);
	for (size_t n = 0; n < i->num_addresses && r == 0; n++)
		r = address_add(nl, ifindex, &i->addresses[n]);
	if (r < 0)
		return error_set(err, -r, "set up the guest's interface %s", i->name);
	r = interface_routes(nl, ifindex, i);
	if (r < 0)
		return error_set(err, -r, "add the routes of the guest's interface %s", i->name);
	for (size_t n = 0; n < i->num_neighbours && r == 0; n++)
		r = neighbour_add(nl, ifindex, &i->neighbours[n]);
	return r < 0 ? error_set(err, -r, "add the neighbours of the guest's interface %s",
				 i->name) : 0;
}

int net_configure(const struct agent_interface *v, size_t count, bool rename, struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	int ifindex[AGENT_INTERFACES_MAX];

	if (!count)
		return 0;
	if (count > AGENT_INTERFACES_MAX)
		return error_set(err, E2BIG, "the guest's interfaces");
	if (netlink_open(&nl, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "krun-%zu", i);
		ifindex[i] = link_find(&nl, &v[i], err);
		if (ifindex[i] < 0 || (rename && link_rename(&nl, ifindex[i], name, err) < 0))
			return -1;
	}
	for (size_t i = 0; i < count; i++)
		if ((rename && link_rename(&nl, ifindex[i], v[i].name, err) < 0) ||
		    interface_configure(&nl, ifindex[i], &v[i], err) < 0)
			return -1;
	return 0;
}
