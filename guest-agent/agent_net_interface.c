/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the guest kernel has named its virtio-net devices as it found them. Each is
 * found by the address that the device says it has, moved out of the way of the others' names, and
 * then made what the engine had made of its counterpart on the host. Routes without a gateway come
 * before those that need them.
 *
 * What was set is remembered. When the host tells of an interface again, what is new is added and what
 * is gone is deleted, and nothing else is touched: the rest may be the container's own by now.
 */
#include "guest-agent/agent_net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/netlink.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_net_priv.h"

/* As many as all lists of routes have elements. */
#define ORDERS_MAX 1024

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

/* What was set before; of an interface that is new nothing. */
static const struct agent_interface nothing;

/* One interface: as it was told before, and as it is to be. */
struct change {
	int ifindex;
	const struct agent_interface *before, *now;
	bool again; /* the kernel may have taken away with an address what was set beside it */
};

static int link_set(struct netlink *nl, const struct change *c, uint32_t flags, uint32_t mask)
{
	const struct agent_interface *i = c->now;
	const struct ifinfomsg link = {
		.ifi_index = c->ifindex, .ifi_flags = flags, .ifi_change = mask,
	};
	struct netlink_request req;

	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	if (!mask && i->mtu != c->before->mtu)
		netlink_put_u32(&req, IFLA_MTU, i->mtu);
	if (!mask && memcmp(i->mac, c->before->name ? c->before->mac : i->device_mac, AGENT_MAC_LEN))
		netlink_put(&req, IFLA_ADDRESS, i->mac, AGENT_MAC_LEN);
	return netlink_do(nl, &req);
}

static bool sysctl_known(const struct agent_interface *i, const struct agent_pair *p)
{
	for (size_t n = 0; n < i->num_sysctls; n++)
		if (!strcmp(i->sysctls[n].key, p->key) && !strcmp(i->sysctls[n].value, p->value))
			return true;
	return false;
}

static int sysctls_change(const struct change *c, struct error **err)
{
	const bool ipv6 = access("/proc/sys/net/ipv6", F_OK) == 0;

	for (size_t n = 0; n < c->now->num_sysctls; n++) {
		const struct agent_pair *p = &c->now->sysctls[n];
		char path[256];

		if (sysctl_known(c->before, p) || (!ipv6 && !strncmp(p->key, "ipv6/", 5)))
			continue;
		snprintf(path, sizeof(path), "/proc/sys/net/%s", p->key);
		if (file_write(AT_FDCWD, path, p->value, err) < 0)
			return -1;
	}
	return 0;
}

/* Its MTU before its settings: one that is too small for IPv6 has none of that. */
static int link_change(struct netlink *nl, const struct change *c, struct error **err)
{
	const struct agent_interface *i = c->now;
	int r = link_set(nl, c, 0, 0);

	if (r == 0 && sysctls_change(c, err) < 0)
		return -1;
	if (r == 0 && (!c->before->name || c->before->flags != i->flags))
		r = link_set(nl, c, IFF_UP | (i->flags & IFF_NOARP), IFF_UP | IFF_NOARP);
	return r < 0 ? error_set(err, -r, "set up the guest's interface %s", i->name) : 0;
}

static bool address_in(const struct agent_interface *i, const struct agent_address *a)
{
	for (size_t n = 0; n < i->num_addresses; n++)
		if (net_address_same(&i->addresses[n], a))
			return true;
	return false;
}

/* Those with a lifetime are the kernel's to end: the guest hears the router that renews them, not we. */
static int addresses_change(struct netlink *nl, struct change *c)
{
	int r = 0;

	for (size_t n = 0; n < c->before->num_addresses && r == 0; n++) {
		const struct agent_address *a = &c->before->addresses[n];

		if (a->valid != AGENT_FOREVER || address_in(c->now, a))
			continue;
		r = net_address_delete(nl, c->ifindex, a);
		c->again = true;
	}
	for (size_t n = 0; n < c->now->num_addresses && r == 0; n++)
		if (c->again || !address_in(c->before, &c->now->addresses[n]))
			r = net_address_add(nl, c->ifindex, &c->now->addresses[n]);
	return r;
}

static const struct agent_route *route_in(const struct agent_interface *i, const struct agent_route *t)
{
	for (size_t n = 0; n < i->num_routes; n++)
		if (net_route_same(&i->routes[n], t))
			return &i->routes[n];
	return NULL;
}

/* One that leads nowhere may have come with another interface meanwhile. */
static bool route_in_others(const struct net_known *k, const struct agent_interface *but,
			    const struct agent_route *t)
{
	for (size_t i = 0; i < k->count; i++)
		if (&k->interfaces[i] != but && route_in(&k->interfaces[i], t))
			return true;
	return false;
}

/* What routers told comes and goes with what the guest hears of them. */
static int routes_delete(struct netlink *nl, const struct net_known *k, const struct change *c)
{
	int r = 0;

	for (size_t n = 0; n < c->before->num_routes && r == 0; n++) {
		const struct agent_route *t = &c->before->routes[n], *now = route_in(c->now, t);

		if (t->protocol == RTPROT_RA || (now && now->order <= t->order))
			continue;
		if (t->type == RTN_UNICAST || !route_in_others(k, c->before, t))
			r = net_route_delete(nl, c->ifindex, t);
	}
	return r;
}

static bool route_is_new(const struct change *c, const struct agent_route *t)
{
	const struct agent_route *before = c->again ? NULL : route_in(c->before, t);

	return !before || t->order > before->order;
}

static int routes_add(struct netlink *nl, const struct change *c, bool gateways, uint32_t order)
{
	int r = 0;

	for (size_t n = 0; n < c->now->num_routes && r == 0; n++) {
		const struct agent_route *t = &c->now->routes[n];

		if (!!t->gateway.family == gateways && t->order == order && route_is_new(c, t))
			r = net_route_add(nl, c->ifindex, t);
	}
	return r;
}

/* Those without gateways first; equal ones in their order, whichever interfaces they lead to. */
static int routes_change(struct netlink *nl, const struct net_known *k, const struct change *v,
			 size_t count)
{
	uint32_t orders = 1;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		for (size_t n = 0; n < v[i].now->num_routes; n++)
			if (v[i].now->routes[n].order >= orders)
				orders = v[i].now->routes[n].order + 1;
		r = routes_delete(nl, k, &v[i]);
	}
	if (orders > ORDERS_MAX)
		return -E2BIG;
	for (int gateways = 0; gateways < 2; gateways++)
		for (uint32_t order = 0; order < orders; order++)
			for (size_t i = 0; i < count && r == 0; i++)
				r = routes_add(nl, &v[i], gateways, order);
	return r;
}

static bool neighbour_in(const struct agent_interface *i, const struct agent_neighbour *n)
{
	for (size_t k = 0; k < i->num_neighbours; k++)
		if (!memcmp(&i->neighbours[k], n, sizeof(*n)))
			return true;
	return false;
}

static int neighbours_change(struct netlink *nl, const struct change *c)
{
	int r = 0;

	for (size_t n = 0; n < c->before->num_neighbours && r == 0; n++)
		if (!neighbour_in(c->now, &c->before->neighbours[n]))
			r = net_neighbour_delete(nl, c->ifindex, &c->before->neighbours[n]);
	for (size_t n = 0; n < c->now->num_neighbours && r == 0; n++)
		if (!neighbour_in(c->before, &c->now->neighbours[n]))
			r = net_neighbour_add(nl, c->ifindex, &c->now->neighbours[n]);
	return r;
}

static int changes_make(struct netlink *nl, const struct net_known *k, struct change *v, size_t count,
			struct error **err)
{
	int r;

	for (size_t i = 0; i < count; i++) {
		if (link_change(nl, &v[i], err) < 0)
			return -1;
		r = addresses_change(nl, &v[i]);
		if (r < 0)
			return error_set(err, -r, "set up the guest's interface %s", v[i].now->name);
	}
	r = routes_change(nl, k, v, count);
	if (r < 0)
		return error_set(err, -r, "set the routes of the guest's interface %s", v->now->name);
	for (size_t i = 0; i < count; i++) {
		r = neighbours_change(nl, &v[i]);
		if (r < 0)
			return error_set(err, -r, "set the neighbours of the guest's interface %s",
					 v[i].now->name);
	}
	return 0;
}

static struct agent_interface *known_find(struct net_known *k, const uint8_t *device_mac)
{
	for (size_t i = 0; i < k->count; i++)
		if (!memcmp(k->interfaces[i].device_mac, device_mac, AGENT_MAC_LEN))
			return &k->interfaces[i];
	return NULL;
}

/* It is known even if setting it failed: what there is of it is to go with it. */
static void known_keep(struct net_known *k, struct agent_interface *v)
{
	struct agent_interface *place = known_find(k, v->device_mac);

	if (!place)
		place = &k->interfaces[k->count++];
	agent_interface_reset(place);
	*place = *v;
	memset(v, 0, sizeof(*v));
}

void net_forget(struct net_known *k, struct netlink *nl, const uint8_t *device_mac)
{
	struct agent_interface *i = known_find(k, device_mac);

	if (!i)
		return;
	/* The others go with the device. */
	for (size_t n = 0; n < i->num_routes; n++)
		if (i->routes[n].type != RTN_UNICAST && !route_in_others(k, i, &i->routes[n]))
			net_route_delete(nl, 0, &i->routes[n]);
	agent_interface_reset(i);
	*i = k->interfaces[--k->count];
	memset(&k->interfaces[k->count], 0, sizeof(*i));
}

/* Under names that are not in the way of any other's. */
static int changes_begin(struct netlink *nl, struct net_known *k, struct change *c,
			 const struct agent_interface *v, size_t number, struct error **err)
{
	char name[IFNAMSIZ];

	c->now = v;
	c->before = known_find(k, v->device_mac);
	if (!c->before)
		c->before = &nothing;
	c->ifindex = link_find(nl, v, err);
	snprintf(name, sizeof(name), "krun-%zu", number);
	return c->ifindex < 0 || (!c->before->name && link_rename(nl, c->ifindex, name, err) < 0) ?
		       -1 : 0;
}

int net_configure(struct net_known *k, struct agent_interface *v, size_t count, struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	struct change changes[AGENT_INTERFACES_MAX] = { 0 };
	int r = 0;

	if (!count)
		return 0;
	if (count > AGENT_INTERFACES_MAX || k->count + count > NET_KNOWN_MAX)
		return error_set(err, E2BIG, "the guest's interfaces");
	if (netlink_open(&nl, err) < 0)
		return -1;
	for (size_t i = 0; i < count && r == 0; i++)
		r = changes_begin(&nl, k, &changes[i], &v[i], i, err);
	for (size_t i = 0; i < count && r == 0; i++)
		if (!changes[i].before->name)
			r = link_rename(&nl, changes[i].ifindex, v[i].name, err);
	if (r == 0)
		r = changes_make(&nl, k, changes, count, err);
	for (size_t i = 0; i < count; i++)
		known_keep(k, &v[i]);
	return r;
}
