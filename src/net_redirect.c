/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a traffic-control filter at an interface's ingress sees packets before any
 * protocol of the namespace does. One on the container's interface sends all of them out by the
 * tap, one on the tap all of them out by the interface. So the namespace's own stack, which has the
 * container's addresses too, never answers for the guest.
 *
 * Where a name server of the engine's listens in the namespace, what it asks others it asks from there,
 * with the addresses that the guest has, too. So answers to such questions, and to what is asked about
 * neighbours, then arrive at both: a filter before the other passes them on after a copy is sent to the
 * tap. Either tells by ICMP that a port is closed which is the other's; nobody minds.
 *
 * The tap dies with the last fd of it, and its filter with it. The filter on the interface then
 * drops what arrives, until it is removed or replaced.
 */
#include "net_redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/netlink.h"

#define TAP_PREFIX "krun-tap"
/* Packets' headers as virtio 1 has them. */
#define TAP_HEADER 12
/* A tap's own limit: 64 KiB with an Ethernet header. */
#define TAP_MTU_MAX 65521u
/* Ours among the filters of an interface's ingress. */
#define REDIRECT_PRIORITY 0x4b47u
#define SHARE_ARP_PRIORITY 0x4b45u
#define SHARE_NAMES_PRIORITY 0x4b46u
#define INGRESS_HANDLE 0xffff0000u

bool net_tap_is_ours(const char *name)
{
	return !strncmp(name, TAP_PREFIX, strlen(TAP_PREFIX));
}

/* No address of its own: the namespace's IPv6 has nothing to say to the guest. */
static int tap_up(struct netlink *nl, int tap, uint32_t mtu)
{
	const struct ifinfomsg link = {
		.ifi_index = tap, .ifi_flags = IFF_UP, .ifi_change = IFF_UP,
	};
	struct netlink_request req;
	size_t families, inet6;
	int r;

	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_put_u32(&req, IFLA_MTU, mtu < TAP_MTU_MAX ? mtu : TAP_MTU_MAX);
	families = netlink_nest(&req, IFLA_AF_SPEC);
	inet6 = netlink_nest(&req, AF_INET6);
	netlink_put_u8(&req, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	netlink_nest_end(&req, inet6);
	netlink_nest_end(&req, families);
	r = netlink_do(nl, &req);
	if (r != -EAFNOSUPPORT && r != -EOPNOTSUPP && r != -EINVAL)
		return r;
	/* A host without IPv6. */
	netlink_begin(&req, RTM_NEWLINK, 0, &link, sizeof(link));
	netlink_put_u32(&req, IFLA_MTU, mtu < TAP_MTU_MAX ? mtu : TAP_MTU_MAX);
	return netlink_do(nl, &req);
}

static int tap_index(const char *name)
{
	cleanup_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return sock < 0 || ioctl(sock, SIOCGIFINDEX, &ifr) < 0 ? -errno : ifr.ifr_ifindex;
}

/* One more queue of the tap, the first of which makes it; the fd, or -1. */
static int tap_queue(const char *name, bool several, struct error **err)
{
	cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq ifr = {
		.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
				     (several ? IFF_MULTI_QUEUE : 0)),
	};
	const int header = TAP_HEADER, little = 1;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0)
		return error_set(err, errno, "cannot open /dev/net/tun, which the guest's network "
				 "needs (is the module tun loaded?)");
	if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
	    ioctl(fd, TUNSETVNETLE, &little) < 0)
		return error_set(err, errno, "cannot make a tap device in the container's network "
				 "namespace");
	return steal_fd(&fd);
}

int net_tap_create(struct netlink *nl, int ifindex, uint32_t mtu, int *fds, size_t queues,
		   struct error **err)
{
	char name[IFNAMSIZ];
	int tap = -1, r = 0;

	snprintf(name, sizeof(name), TAP_PREFIX "%d", ifindex);
	for (size_t i = 0; i < queues; i++)
		fds[i] = -1;
	for (size_t i = 0; i < queues && r >= 0; i++)
		r = fds[i] = tap_queue(name, queues > 1, err);
	if (r >= 0) {
		tap = tap_index(name);
		r = tap < 0 ? tap : tap_up(nl, tap, mtu);
		if (r < 0)
			error_set(err, -r, "cannot set up the tap device %s", name);
	}
	for (size_t i = 0; i < queues && r < 0; i++)
		if (fds[i] >= 0)
			close(steal_fd(&fds[i]));
	return r < 0 ? -1 : tap;
}

static struct tcmsg ingress_message(int ifindex)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex,
		.tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS,
	};
}

static int ingress_add(struct netlink *nl, int ifindex)
{
	const struct tcmsg tc = ingress_message(ifindex);
	struct netlink_request req;
	int r;

	netlink_begin(&req, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, "ingress");
	r = netlink_do(nl, &req);
	return r == -EEXIST ? 0 : r;
}

static struct tcmsg filter_message(int ifindex, uint32_t priority, uint16_t protocol)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = INGRESS_HANDLE,
		.tcm_info = TC_H_MAKE(priority << 16, htons(protocol)),
	};
}

/* Send it out there: the packet itself, or a copy of one that goes its way. */
static void put_mirred(struct netlink_request *req, uint16_t type, int to, bool copy)
{
	const struct tc_mirred mirred = {
		.action = copy ? TC_ACT_OK : TC_ACT_STOLEN,
		.eaction = copy ? TCA_EGRESS_MIRROR : TCA_EGRESS_REDIR, .ifindex = (uint32_t)to,
	};
	const size_t actions = netlink_nest(req, type), first = netlink_nest(req, 1);
	size_t options;

	netlink_put_str(req, TCA_ACT_KIND, "mirred");
	options = netlink_nest(req, TCA_ACT_OPTIONS);
	netlink_put(req, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	netlink_nest_end(req, options);
	netlink_nest_end(req, first);
	netlink_nest_end(req, actions);
}

/* Every packet, by the classifier made for that, or by u32 with a key that masks everything out. */
static int filter_add(struct netlink *nl, int from, int to, bool u32)
{
	const struct tcmsg tc = filter_message(from, REDIRECT_PRIORITY, ETH_P_ALL);
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key key;
	} all = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	struct netlink_request req;
	size_t options;

	netlink_begin(&req, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, u32 ? "u32" : "matchall");
	options = netlink_nest(&req, TCA_OPTIONS);
	if (u32)
		netlink_put(&req, TCA_U32_SEL, &all, sizeof(all));
	put_mirred(&req, u32 ? TCA_U32_ACT : TCA_MATCHALL_ACT, to, false);
	netlink_nest_end(&req, options);
	return netlink_do(nl, &req);
}

static int filter_delete(struct netlink *nl, int ifindex, uint32_t priority, uint16_t protocol)
{
	const struct tcmsg tc = filter_message(ifindex, priority, protocol);
	struct netlink_request req;

	netlink_begin(&req, RTM_DELTFILTER, 0, &tc, sizeof(tc));
	return netlink_do(nl, &req);
}

static int redirect(struct netlink *nl, int from, int to)
{
	int r = ingress_add(nl, from);

	if (r < 0)
		return r;
	filter_delete(nl, from, REDIRECT_PRIORITY, ETH_P_ALL);
	r = filter_add(nl, from, to, false);
	if (r == -ENOENT) {
		log_debug("this kernel has no classifier matchall");
		r = filter_add(nl, from, to, true);
	}
	return r;
}

int net_redirect_join(struct netlink *nl, int ifindex, int tap, struct error **err)
{
	int r = redirect(nl, tap, ifindex);

	/* The container's side last: until then everything is as the engine made it. */
	if (r == 0)
		r = redirect(nl, ifindex, tap);
	if (r == 0)
		return 0;
	net_redirect_remove(nl, ifindex);
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return error_set(err, -r, "the guest's network needs traffic control in the host's "
				 "kernel (modules sch_ingress, act_mirred, and cls_matchall or "
				 "cls_u32)");
	return error_set(err, -r, "cannot redirect the container's network to the guest");
}

#define SHARE_KEYS_MAX 4

/* Packets of a protocol, by words of them: off bytes from its header, masked, in network byte order. */
struct share {
	uint32_t priority;
	uint16_t protocol;
	uint8_t num_keys;
	struct {
		int off;
		uint32_t mask, value;
	} keys[SHARE_KEYS_MAX];
};

static const struct share shares[] = {
	{ SHARE_ARP_PRIORITY, ETH_P_ARP, 1, { { 4, 0x0000ffff, 2 } } }, /* a reply */
	{ SHARE_NAMES_PRIORITY, ETH_P_IP, 4, {
		{ 0, 0x0f000000, 0x05000000 },	/* without options, so that UDP begins at 20 */
		{ 4, 0x00003fff, 0 },		/* not in fragments */
		{ 8, 0x00ff0000, 17 << 16 },	/* UDP */
		{ 20, 0xffff0000, 53u << 16 },	/* from a name server */
	} },
};

#define NUM_SHARES (sizeof(shares) / sizeof(*shares))

static int share_add(struct netlink *nl, int from, int to, const struct share *s)
{
	const struct tcmsg tc = filter_message(from, s->priority, s->protocol);
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key keys[SHARE_KEYS_MAX];
	} match = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = s->num_keys } };
	struct netlink_request req;
	size_t options;

	for (uint8_t i = 0; i < s->num_keys; i++)
		match.keys[i] = (struct tc_u32_key){ .mask = htonl(s->keys[i].mask),
						     .val = htonl(s->keys[i].value),
						     .off = s->keys[i].off };
	netlink_begin(&req, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, "u32");
	options = netlink_nest(&req, TCA_OPTIONS);
	netlink_put(&req, TCA_U32_SEL, &match,
		    sizeof(match.sel) + s->num_keys * sizeof(*match.keys));
	put_mirred(&req, TCA_U32_ACT, to, true);
	netlink_nest_end(&req, options);
	return netlink_do(nl, &req);
}

static void share_delete(struct netlink *nl, int ifindex)
{
	for (size_t i = 0; i < NUM_SHARES; i++)
		filter_delete(nl, ifindex, shares[i].priority, shares[i].protocol);
}

void net_redirect_share_names(struct netlink *nl, int ifindex, int tap)
{
	int r = 0;

	share_delete(nl, ifindex);
	for (size_t i = 0; i < NUM_SHARES && r == 0; i++)
		r = share_add(nl, ifindex, tap, &shares[i]);
	if (r < 0)
		log_warning("the engine's name server has no answers from others: traffic control "
			    "(module cls_u32): %s", strerror(-r));
}

static int count_filter(void *data, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned int *)data;
	return 0;
}

void net_redirect_remove(struct netlink *nl, int ifindex)
{
	struct tcmsg tc = filter_message(ifindex, 0, ETH_P_ALL);
	struct netlink_request req;
	unsigned int others = 0;

	share_delete(nl, ifindex);
	if (filter_delete(nl, ifindex, REDIRECT_PRIORITY, ETH_P_ALL) < 0)
		return;
	/* The qdisc as well, unless somebody else has filters in it. */
	tc.tcm_info = 0;
	netlink_begin(&req, RTM_GETTFILTER, 0, &tc, sizeof(tc));
	if (netlink_dump(nl, &req, count_filter, &others) < 0 || others)
		return;
	tc = ingress_message(ifindex);
	netlink_begin(&req, RTM_DELQDISC, 0, &tc, sizeof(tc));
	netlink_do(nl, &req);
}

/* The interfaces of a namespace but the taps, while they are listed. */
struct links {
	int ifindex[128];
	size_t count;
};

static int list_link(void *data, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	const struct rtattr *tb[IFLA_IFNAME + 1];
	struct links *links = data;
	const char *name;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return 0;
	netlink_attrs(h, sizeof(*link), tb, IFLA_IFNAME + 1);
	name = netlink_str(tb[IFLA_IFNAME]);
	if (!name || net_tap_is_ours(name))
		return 0;
	if (links->count < sizeof(links->ifindex) / sizeof(*links->ifindex))
		links->ifindex[links->count++] = link->ifi_index;
	return 0;
}

void net_redirect_remove_stale(struct netlink *nl)
{
	const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
	struct netlink_request req;
	struct links links = { 0 };

	netlink_begin(&req, RTM_GETLINK, 0, &any, sizeof(any));
	netlink_dump(nl, &req, list_link, &links);
	for (size_t i = 0; i < links.count; i++) {
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), TAP_PREFIX "%d", links.ifindex[i]);
		if (tap_index(name) < 0)
			net_redirect_remove(nl, links.ifindex[i]);
	}
}
