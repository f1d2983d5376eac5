/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a traffic-control filter at an interface's ingress sees packets before any
 * protocol of the namespace does. One on the container's interface sends all of them out by the
 * tap, one on the tap out by the interface all that have its MAC as their source; a second one drops
 * the others. So the namespace's own stack, which has the container's addresses too, never answers
 * for the guest, and the guest stands for nobody else on the link.
 *
 * Where a name server of the engine's listens in the namespace, what it asks others it asks from there,
 * with the addresses that the guest has, too. So answers to such questions, and to what is asked about
 * neighbours, then arrive at both: a filter before the other passes them on after a copy is sent to the
 * tap. Either tells by ICMP that a port is closed which is the other's; nobody minds. By TCP that would end
 * a connection: there the two have ports apart, and what is for the one's is not sent to the other.
 *
 * The tap dies with the last fd of it, and its filter with it. The filter on the interface then
 * drops what arrives, until it is removed or replaced.
 */
#include "net_redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/netlink.h"
#include "net_filter.h"

#define TAP_PREFIX "krun-tap"
/* Packets' headers as virtio 1 has them. */
#define TAP_HEADER 12
/* A tap's own limit: 64 KiB with an Ethernet header. */
#define TAP_MTU_MAX 65521u
/* Ours among the filters of an interface's ingress. */
#define REDIRECT_PRIORITY 0x4b47u
#define SHARE_ARP_PRIORITY (REDIRECT_PRIORITY - 2)
#define SHARE_TCP_PRIORITY (REDIRECT_PRIORITY - 3)
#define SHARE_NAMES_PRIORITY (REDIRECT_PRIORITY - 1)
#define DROP_PRIORITY (REDIRECT_PRIORITY + 1)

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

static const struct net_share shares[] = {
	{ SHARE_ARP_PRIORITY, ETH_P_ARP, false, 1, { { 4, 0x0000ffff, 2 } } }, /* a reply */
	{ SHARE_NAMES_PRIORITY, ETH_P_IP, false, 4, {
		{ 0, 0x0f000000, 0x05000000 },	/* without options, so that UDP begins at 20 */
		{ 4, 0x00003fff, 0 },		/* not in fragments */
		{ 8, 0x00ff0000, 17 << 16 },	/* UDP */
		{ 20, 0xffff0000, 53u << 16 },	/* from a name server */
	} },
	{ SHARE_TCP_PRIORITY, ETH_P_IP, true, 4, {
		{ 0, 0x0f000000, 0x05000000 },
		{ 4, 0x00003fff, 0 },
		{ 8, 0x00ff0000, 6 << 16 }, /* TCP */
		{ 20, 0xffffe000, 53u << 16 | AGENT_DNS_OWN_FIRST },
	} },
};

#define NUM_SHARES (sizeof(shares) / sizeof(*shares))

static void shares_delete(struct netlink *nl, int ifindex)
{
	for (size_t i = 0; i < NUM_SHARES; i++)
		net_filter_delete(nl, ifindex, shares[i].priority, shares[i].protocol);
}

/*
 * What is not let out of a tap must not go on to the namespace's stack: it is dropped; where the
 * kernel has no action for that, it goes back to where it came from.
 */
static int tap_close(struct netlink *nl, int tap)
{
	const struct net_filter drop = { .at = tap, .priority = DROP_PRIORITY };
	const struct net_filter back = { .at = tap, .to = tap, .priority = DROP_PRIORITY };
	const int r = net_filter_add(nl, &drop);

	if (r != -ENOENT)
		return r;
	log_debug("this kernel has no traffic-control action gact");
	return net_filter_add(nl, &back);
}

static int join_error(int r, struct error **err)
{
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return error_set(err, -r, "the guest's network needs traffic control in the host's "
				 "kernel (modules sch_ingress, act_mirred, act_gact, and cls_u32 "
				 "or cls_flower)");
	return error_set(err, -r, "cannot redirect the container's network to the guest");
}

int net_redirect_join(struct netlink *nl, int ifindex, int tap, const uint8_t *mac,
		      struct error **err)
{
	const struct net_filter out = { tap, ifindex, mac, REDIRECT_PRIORITY, NULL };
	const struct net_filter in = { ifindex, tap, NULL, REDIRECT_PRIORITY, NULL };
	int r = tap_close(nl, tap);

	if (r == 0)
		r = net_filter_add(nl, &out);
	/* The container's side last: until then everything is as the engine made it. */
	shares_delete(nl, ifindex);
	if (r == 0)
		r = net_filter_add(nl, &in);
	if (r == 0)
		return 0;
	net_redirect_remove(nl, ifindex);
	return join_error(r, err);
}

int net_redirect_set_mac(struct netlink *nl, int ifindex, const uint8_t *mac, struct error **err)
{
	struct net_filter out = { .to = ifindex, .source = mac, .priority = REDIRECT_PRIORITY };
	char name[IFNAMSIZ];
	int r;

	snprintf(name, sizeof(name), TAP_PREFIX "%d", ifindex);
	out.at = tap_index(name);
	r = out.at < 0 ? out.at : net_filter_add(nl, &out);
	return r < 0 ? join_error(r, err) : 0;
}

void net_redirect_share_names(struct netlink *nl, int ifindex, int tap)
{
	int r = 0;

	for (size_t i = 0; i < NUM_SHARES && r == 0; i++) {
		const struct net_filter f = { .at = ifindex, .to = shares[i].alone ? 0 : tap,
					  .priority = shares[i].priority, .share = &shares[i] };

		r = net_filter_add(nl, &f);
	}
	if (r < 0)
		log_warning("the engine's name server has no answers from others: traffic control "
			    "(module cls_u32): %s", strerror(-r));
}

int net_redirect_open_ports(void)
{
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void net_redirect_names_ports(int fd)
{
	char text[16];
	const int len = snprintf(text, sizeof(text), "%u %u", AGENT_DNS_OWN_FIRST,
				 AGENT_DNS_OWN_LAST);

	if (fd < 0 || write(fd, text, (size_t)len) < 0)
		log_warning("the engine's name server has no answers by TCP from others: "
			    "net.ipv4.ip_local_port_range: %s", strerror(fd < 0 ? -fd : errno));
}

void net_redirect_remove(struct netlink *nl, int ifindex)
{
	shares_delete(nl, ifindex);
	if (net_filter_delete(nl, ifindex, REDIRECT_PRIORITY, ETH_P_ALL) == 0)
		net_filter_remove_ingress(nl, ifindex);
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
