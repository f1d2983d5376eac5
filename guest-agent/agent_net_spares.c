/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a machine has more network devices than its container has networks, since the
 * engine may connect one later and no device can be added then. Those that stand for nothing wait in
 * a network namespace that no process is in. Moving a device from one namespace to another takes all
 * that was configured of it away, so that one which comes back is as new.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/agent_net_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/netlink.h"
#include "guest-agent/agent_net.h"

#define NET_NAMESPACE "/proc/self/ns/net"

struct unused {
	int ifindex[8];
	size_t count;
};

/* Ethernet, and down: not configured. */
static int list_unused(void *data, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	struct unused *u = data;

	if (h->nlmsg_type == RTM_NEWLINK && link->ifi_type == ARPHRD_ETHER &&
	    !(link->ifi_flags & IFF_UP) && u->count < sizeof(u->ifindex) / sizeof(*u->ifindex))
		u->ifindex[u->count++] = link->ifi_index;
	return 0;
}

/* Under a name that nobody else has there, and down. */
static int link_move(struct netlink *nl, int ifindex, int netns)
{
	const struct ifinfomsg link = { .ifi_index = ifindex, .ifi_change = IFF_UP };
	struct netlink_request req;
	char name[IFNAMSIZ];
	int r;

	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	r = netlink_do(nl, &req);
	snprintf(name, sizeof(name), "krun-spare%d", ifindex);
	if (r == 0)
		r = net_rename(nl, ifindex, name);
	if (r < 0)
		return r;
	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_put_u32(&req, IFLA_NET_NS_FD, (uint32_t)netns);
	return netlink_do(nl, &req);
}

/* The agent is one thread, and back in its namespace when this returns. */
static int spares_open_netlink(const struct net_spares *s, struct netlink *nl, struct error **err)
{
	int r;

	if (setns(s->netns, CLONE_NEWNET) < 0)
		return error_set(err, errno, "enter the guest's spare network namespace");
	r = netlink_open(nl, err);
	if (setns(s->own, CLONE_NEWNET) < 0)
		return error_set(err, errno, "return to the guest's network namespace");
	return r;
}

static int spares_make(struct net_spares *s, struct error **err)
{
	s->own = open(NET_NAMESPACE, O_RDONLY | O_CLOEXEC);
	if (s->own < 0 || unshare(CLONE_NEWNET) < 0)
		return error_set(err, errno, "make the guest's spare network namespace");
	s->netns = open(NET_NAMESPACE, O_RDONLY | O_CLOEXEC);
	if (setns(s->own, CLONE_NEWNET) < 0 || s->netns < 0)
		return error_set(err, errno, "return to the guest's network namespace");
	return 0;
}

int net_spares_hide(struct net_spares *s, struct error **err)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	cleanup_netlink struct netlink nl = { .fd = -1 };
	struct netlink_request req;
	struct unused u = { 0 };
	int r;

	if (netlink_open(&nl, err) < 0)
		return -1;
	netlink_begin(&req, RTM_GETLINK, 0, &any, sizeof(any));
	r = netlink_dump(&nl, &req, list_unused, &u);
	if (r < 0)
		return error_set(err, -r, "list the guest's network devices");
	if (u.count && spares_make(s, err) < 0)
		return -1;
	for (size_t i = 0; i < u.count && r == 0; i++)
		r = link_move(&nl, u.ifindex[i], s->netns);
	return r < 0 ? error_set(err, -r, "put a network device of the guest's aside") : 0;
}

int net_plug(struct net_spares *s, struct net_known *k, struct agent_interface *i,
	     struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	int ifindex, r;

	if (s->netns < 0)
		return net_configure(k, i, 1, err);
	if (spares_open_netlink(s, &nl, err) < 0)
		return -1;
	ifindex = net_find(&nl, i->device_mac);
	if (ifindex <= 0)
		return net_configure(k, i, 1, err);
	r = link_move(&nl, ifindex, s->own);
	if (r < 0)
		return error_set(err, -r, "take a network device of the guest's");
	return net_configure(k, i, 1, err);
}

int net_unplug(struct net_spares *s, struct net_known *k, const uint8_t *device_mac,
	       struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	int ifindex, r;

	if (s->netns < 0 && spares_make(s, err) < 0)
		return -1;
	if (netlink_open(&nl, err) < 0)
		return -1;
	net_forget(k, &nl, device_mac);
	ifindex = net_find(&nl, device_mac);
	if (ifindex <= 0)
		return 0;
	r = link_move(&nl, ifindex, s->netns);
	return r < 0 ? error_set(err, -r, "put a network device of the guest's aside") : 0;
}
