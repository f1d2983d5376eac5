/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is found in a network namespace, and how a tap is put beside an interface. Each test has a
 * namespace of its own, laid out by ip(8); without the rights for that, or without veth in the
 * kernel, they are skipped.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/netlink.h"
#include "net_collect.h"
#include "net_namespace.h"
#include "net_redirect.h"

struct fixture {
	struct netlink nl;
	struct net_found found;
	struct error *err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	f->nl.fd = -1;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	net_found_release(&f->found);
	netlink_close(&f->nl);
	error_free(&f->err);
	free(f);
	return 0;
}

/* A namespace with eth0, whose other end is `peer`. */
static void lay_out(struct fixture *f, const char *commands)
{
	if (unshare(CLONE_NEWNET) < 0 ||
	    system("ip link add name eth0 type veth peer name peer 2> /dev/null && "
		   "ip link set peer up && "
		   "ip link set eth0 address 02:00:00:00:00:07 mtu 1400 up"))
		skip();
	assert_int_equal(system(commands), 0);
	assert_int_equal(netlink_open(&f->nl, NULL), 0);
}

static bool has_address(const struct agent_interface *in, uint8_t family, const uint8_t *bytes,
			uint8_t prefix)
{
	for (size_t i = 0; i < in->num_addresses; i++)
		if (in->addresses[i].local.family == family && in->addresses[i].prefix == prefix &&
		    !memcmp(in->addresses[i].local.bytes, bytes, family == AF_INET ? 4 : 16))
			return true;
	return false;
}

static const struct agent_interface *interface_named(const struct net_found *found,
						     const char *name)
{
	for (size_t i = 0; i < found->count; i++)
		if (!strcmp(found->interfaces[i].name, name))
			return &found->interfaces[i];
	fail_msg("no interface %s", name);
	return NULL;
}

static void an_interface_is_described(void **state)
{
	static const uint8_t v4[] = { 10, 1, 2, 3 }, v6[16] = { 0xfd, 1, [15] = 3 };
	static const uint8_t gateway[] = { 10, 1, 2, 1 }, far[] = { 10, 9, 0, 0 };
	const struct agent_interface *in;
	struct fixture *f = *state;
	int blackholes = 0;

	lay_out(f, "ip address add 10.1.2.3/24 broadcast + dev eth0 && "
		   "ip address add fd01::3/64 dev eth0 nodad && "
		   "ip route add default via 10.1.2.1 metric 77 && "
		   "ip route add 10.9.0.0/16 via 10.1.2.1 dev eth0 mtu 1300 && "
		   "ip route add blackhole 10.8.0.0/16 && "
		   "ip neigh add 10.1.2.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 2);
	assert_true(f->found.veth);
	in = interface_named(&f->found, "eth0");
	assert_int_equal(in->mtu, 1400);
	assert_int_equal(in->mac[5], 7);
	assert_true(has_address(in, AF_INET, v4, 24));
	assert_true(has_address(in, AF_INET6, v6, 64));
	/* What leads nowhere is with whichever is first. */
	assert_int_equal(f->found.interfaces[0].num_routes + f->found.interfaces[1].num_routes, 3);
	assert_true(f->found.interfaces[0].num_routes > 0);
	for (size_t i = 0; i < f->found.interfaces[0].num_routes; i++)
		blackholes += f->found.interfaces[0].routes[i].type == RTN_BLACKHOLE;
	assert_int_equal(blackholes, 1);
	for (size_t i = 0; i < in->num_routes; i++) {
		const struct agent_route *r = &in->routes[i];

		if (r->type == RTN_BLACKHOLE)
			continue;
		assert_memory_equal(r->gateway.bytes, gateway, 4);
		if (r->destination.family) {
			assert_memory_equal(r->destination.bytes, far, 4);
			assert_int_equal(r->prefix, 16);
			assert_true(r->metrics_len > 0);
		} else {
			assert_int_equal(r->priority, 77);
		}
	}
	assert_int_equal(in->num_neighbours, 1);
	assert_int_equal(in->neighbours[0].mac[5], 9);
	for (size_t i = 0; i < in->num_sysctls; i++)
		assert_string_equal(in->sysctls[i].value[0] ? "" : "empty", "");
}

static const char *sysctl_of(const struct agent_interface *in, const char *key)
{
	for (size_t i = 0; i < in->num_sysctls; i++)
		if (!strcmp(in->sysctls[i].key, key))
			return in->sysctls[i].value;
	return "";
}

static void what_is_set_of_addresses_and_interfaces(void **state)
{
	const struct agent_interface *in;
	struct fixture *f = *state;

	lay_out(f, "ip address add 10.1.2.3/24 dev eth0 noprefixroute && "
		   "ip address add 10.1.3.3/24 dev eth0 metric 300 && "
		   "ip address add 10.1.4.3/24 dev eth0 valid_lft 5000 preferred_lft 4000 && "
		   "echo 2 > /proc/sys/net/ipv4/conf/eth0/rp_filter && "
		   "echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify && "
		   "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad && "
		   "ip link set eth0 arp off && ip link set peer mtu 1000");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	in = interface_named(&f->found, "eth0");
	assert_int_equal(in->flags, IFF_NOARP);
	for (size_t i = 0; i < in->num_addresses; i++) {
		const struct agent_address *a = &in->addresses[i];
		const bool ends = a->local.bytes[2] == 4;

		if (a->local.family != AF_INET)
			continue;
		assert_int_equal(a->flags, a->local.bytes[2] == 2 ? IFA_F_NOPREFIXROUTE : 0);
		assert_int_equal(a->priority, a->local.bytes[2] == 3 ? 300 : 0);
		assert_true(ends ? a->valid <= 5000 && a->valid > 4900 : a->valid == AGENT_FOREVER);
		assert_true(ends ? a->preferred <= 4000 : a->preferred == AGENT_FOREVER);
	}
	assert_string_equal(sysctl_of(in, "ipv4/conf/eth0/rp_filter"), "2");
	assert_string_equal(sysctl_of(in, "ipv4/conf/eth0/arp_notify"), "1");
	assert_string_equal(sysctl_of(in, "ipv6/conf/eth0/accept_dad"), "0");
	/* too small an MTU for IPv6 */
	in = interface_named(&f->found, "peer");
	assert_string_equal(sysctl_of(in, "ipv6/conf/peer/accept_dad"), "");
	assert_int_equal(in->num_sysctls, 2);
}

static void of_stacked_interfaces_the_upper_one_is_the_guest_s(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "ip link add link eth0 name upper type macvlan && ip link set upper up && "
		   "ip link add bridge type bridge && ip link set bridge up && "
		   "ip link set peer master bridge && "
		   "ip link add one type veth peer name two && ip link set one up && "
		   "ip link set two up && ip link add link one name down type macvlan");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 4);
	for (size_t i = 0; i < f->found.count; i++) {
		assert_string_not_equal(f->found.interfaces[i].name, "eth0");
		assert_string_not_equal(f->found.interfaces[i].name, "peer");
	}
	assert_non_null(strstr(f->found.notes, "interface eth0 is not the guest's: upper is"));
	assert_non_null(strstr(f->found.notes, "interface peer is not the guest's"));
}

static void what_is_down_or_no_ethernet_is_left_out(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "ip link add name down type veth peer name other && ip link set peer down && "
		   "ip link set lo up");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 1);
	assert_string_equal(f->found.interfaces[0].name, "eth0");
}

static void an_empty_namespace_has_nothing(void **state)
{
	struct fixture *f = *state;

	if (unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(netlink_open(&f->nl, NULL), 0);
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 0);
	assert_int_equal(net_collect_default(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 0);
}

static void more_interfaces_than_a_guest_has_are_refused(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "for i in 1 2 3; do ip link add name a$i type veth peer name b$i && "
		   "ip link set a$i up && ip link set b$i up; done");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), -1);
	assert_non_null(strstr(error_msg(f->err), "more than 4 networks"));
	assert_int_equal(f->found.count, 0);
	/* What a running one has is followed, however many there come to be. */
	f->found.joined = true;
	assert_int_equal(net_collect(&f->nl, &f->found, NULL), 0);
	assert_int_equal(f->found.count, 8);
}

static void a_route_by_several_ways_is_refused(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "ip address add 10.1.2.3/24 dev eth0 && "
		   "ip route add 10.9.0.0/16 nexthop via 10.1.2.1 nexthop via 10.1.2.2");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), -1);
	assert_non_null(strstr(error_msg(f->err), "several ways"));
}

static void ways_of_ipv6_become_routes_again(void **state)
{
	const uint8_t one[16] = { 0xfd, 1, [15] = 1 }, two[16] = { 0xfd, 2, [15] = 1 };
	struct fixture *f = *state;

	lay_out(f, "ip link add name eth1 type veth peer name peer1 && ip link set peer1 up && "
		   "ip link set eth1 up && "
		   "ip address add fd01::3/64 dev eth0 nodad && ip address add fd02::3/64 dev eth1 nodad && "
		   "ip -6 route add default via fd01::1 dev eth0 metric 100 && "
		   "ip -6 route append default via fd02::1 dev eth1 metric 100");
	assert_int_equal(system("ip -6 route | grep -q nexthop"), 0);
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	for (int i = 0; i < 2; i++) {
		const struct agent_interface *in = interface_named(&f->found, i ? "eth1" : "eth0");

		assert_int_equal(in->num_routes, 1);
		assert_int_equal(in->routes[0].destination.family, 0);
		assert_int_equal(in->routes[0].priority, 100);
		assert_memory_equal(in->routes[0].gateway.bytes, i ? two : one, 16);
	}
}

/* What a guest is not given is refused; where one is connected already it is only noted. */
static void what_a_guest_is_not_given_is_named(void **state)
{
	static const struct {
		const char *command, *what;
	} cases[] = {
		{ "ip route add 10.7.0.0/16 dev eth0 table 99", "10.7.0.0/16 of a table but main" },
		{ "ip route add local 10.7.0.0/16 dev lo", "10.7.0.0/16 of the table local" },
		{ "ip route add 10.7.0.0/16 dev eth0 tos 0x10", "for one type of service" },
		{ "ip route add 10.7.0.0/16 via inet6 fe80::1 dev eth0", "another address family" },
		{ "ip -6 route add fd05::/64 from fd06::/64 dev eth0", "for some source addresses" },
		{ "ip route add 10.7.0.0/16 encap ip id 1 dst 10.1.2.1 dev eth0", "an encapsulation" },
		{ "ip -6 route add fd05::/64 nexthop via fe80::1 dev eth0 weight 2 "
		  "nexthop via fe80::2 dev eth0", "of several weights" },
		{ "ip rule add from 10.1.2.3 table main", "priority 32765" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char command[256];

		lay_out(f, "ip link set lo up");
		snprintf(command, sizeof(command), "%s 2> /dev/null", cases[i].command);
		if (system(command)) {
			print_message("this kernel cannot: %s\n", cases[i].command);
		} else {
			assert_int_equal(net_collect(&f->nl, &f->found, &f->err), -1);
			if (!strstr(error_msg(f->err), cases[i].what))
				fail_msg("%s: %s", cases[i].command, error_msg(f->err));
			f->found.joined = true;
			assert_int_equal(net_collect(&f->nl, &f->found, NULL), 0);
			assert_int_equal(f->found.count, 2);
			assert_non_null(strstr(f->found.notes, cases[i].what));
			f->found.joined = false;
		}
		error_free(&f->err);
		netlink_close(&f->nl);
	}
}

static void equal_routes_keep_their_order(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "ip link add name eth1 type veth peer name peer1 && ip link set peer1 up && "
		   "ip link set eth1 up && "
		   "ip address add 10.1.2.3/24 dev eth0 && ip address add 10.2.2.3/24 dev eth1 && "
		   "ip route add default via 10.1.2.1 metric 100 && "
		   "ip route prepend default via 10.2.2.1 metric 100");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(interface_named(&f->found, "eth1")->routes[0].order, 0);
	assert_int_equal(interface_named(&f->found, "eth0")->routes[0].order, 1);
}

static void only_the_default_interface_of_a_host_is_found(void **state)
{
	struct fixture *f = *state;

	lay_out(f, "ip address add 10.1.2.3/24 dev eth0 && ip address add 10.2.2.3/24 dev peer && "
		   "ip route add default via 10.2.2.1 metric 50 && "
		   "ip route add default via 10.1.2.1 metric 20");
	assert_int_equal(net_collect_default(&f->nl, &f->found, &f->err), 0);
	assert_int_equal(f->found.count, 1);
	assert_string_equal(f->found.interfaces[0].name, "eth0");
	assert_int_equal(f->found.interfaces[0].num_addresses, 1);
	assert_int_equal(f->found.interfaces[0].num_routes, 1);
}

static void a_tap_lives_as_long_as(struct fixture *f, size_t queues)
{
	int fds[4];

	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		skip();
	lay_out(f, "true");
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), 0);
	if (net_tap_create(&f->nl, f->found.ifindex[0], 1400, fds, queues, &f->err) < 0)
		skip(); /* no rights to make one here */
	assert_int_equal(queues > 1, system("ip -o -d link | grep -q ' multi_queue '") == 0);
	assert_int_equal(system("ip -o link | grep -q 'krun-tap.*mtu 1400.*state'"), 0);
	/* where a guest is connected no second one is */
	assert_int_equal(net_collect(&f->nl, &f->found, &f->err), -1);
	assert_non_null(strstr(error_msg(f->err), "a microVM is connected"));
	f->found.joined = true;
	assert_int_equal(net_collect(&f->nl, &f->found, NULL), 0);
	assert_int_equal(f->found.count, 2);
	for (size_t i = 0; i < queues; i++) {
		assert_int_equal(system("ip -o link | grep -q krun-tap"), 0);
		close(fds[i]);
	}
	assert_int_equal(system("! ip -o link | grep -q krun-tap"), 0);
}

static void a_tap_lives_as_long_as_its_descriptor(void **state)
{
	a_tap_lives_as_long_as(*state, 1);
}

static void a_tap_lives_as_long_as_one_of_its_queues(void **state)
{
	a_tap_lives_as_long_as(*state, 3);
}

/* A frame of a type of its own, with the header that taps want before it. */
struct frame {
	uint8_t vnet[12], to[6], from[6], type[2], text[46];
};

static int packet_socket(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(0x88b5),
				  .sll_ifindex = (int)if_nametoindex(name) };
	const struct timeval limit = { .tv_sec = 2 };
	const int sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));

	assert_int_equal(bind(sock, (struct sockaddr *)&at, sizeof(at)), 0);
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return sock;
}

static void send_by_tap(int tap, uint8_t last_of_source, char text)
{
	struct frame f = { .to = { 2, 0, 0, 0, 0, 9 }, .from = { 2, 0, 0, 0, 0, last_of_source },
			   .type = { 0x88, 0xb5 } };

	memset(f.text, text, sizeof(f.text));
	assert_int_equal(write(tap, &f, sizeof(f)), sizeof(f));
}

/* The first of the frames of our type that the tap comes with. */
static char first_of_tap(int tap)
{
	struct pollfd pfd = { tap, POLLIN, 0 };
	union {
		struct frame frame;
		uint8_t room[2048];
	} f;

	while (poll(&pfd, 1, 2000) > 0)
		if (read(tap, &f, sizeof(f)) > 0 && f.frame.type[0] == 0x88 && f.frame.type[1] == 0xb5)
			return (char)f.frame.text[0];
	return 0;
}

static char first_of(int sock)
{
	struct frame f = { 0 };

	return recv(sock, f.to, sizeof(f) - sizeof(f.vnet), 0) > 0 ? (char)f.text[0] : 0;
}

/* eth0, joined to a tap; its other end is the answer. */
static int join(struct fixture *f, const char *commands, int *tap)
{
	int ifindex, tapindex;

	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		skip();
	lay_out(f, commands);
	ifindex = (int)if_nametoindex("eth0");
	tapindex = net_tap_create(&f->nl, ifindex, 1400, tap, 1, &f->err);
	if (tapindex < 0)
		skip(); /* no rights to make one here */
	if (net_redirect_join(&f->nl, ifindex, tapindex, (const uint8_t[]){ 2, 0, 0, 0, 0, 7 },
			      &f->err) < 0) {
		if (f->err->code == ENOENT)
			skip(); /* no traffic control in this kernel */
		fail_msg("%s", error_msg(f->err));
	}
	return packet_socket("peer");
}

static void a_guest_sends_with_its_own_mac_alone(void **state)
{
	struct fixture *f = *state;
	int tap, peer = join(f, "ip address add 10.1.2.3/24 dev eth0", &tap);

	send_by_tap(tap, 8, 'a');
	send_by_tap(tap, 7, 'b');
	assert_int_equal(first_of(peer), 'b');
	assert_int_equal(net_redirect_set_mac(&f->nl, (int)if_nametoindex("eth0"),
					      (const uint8_t[]){ 2, 0, 0, 0, 0, 8 }, &f->err), 0);
	send_by_tap(tap, 7, 'c');
	send_by_tap(tap, 8, 'd');
	assert_int_equal(first_of(peer), 'd');
	close(peer);
	close(tap);
}

static void a_clsact_qdisc_serves_too_and_stays(void **state)
{
	const uint8_t to[] = { 2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 9, 0x88, 0xb5, 'x' };
	struct fixture *f = *state;
	uint8_t frame[60] = { 0 };
	int tap, peer = join(f, "tc qdisc add dev eth0 clsact", &tap);

	memcpy(frame, to, sizeof(to));
	assert_int_equal(send(peer, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(first_of_tap(tap), 'x');
	send_by_tap(tap, 7, 'y');
	assert_int_equal(first_of(peer), 'y');
	net_redirect_remove(&f->nl, (int)if_nametoindex("eth0"));
	assert_int_equal(system("tc qdisc show dev eth0 | grep -q clsact"), 0);
	assert_int_equal(system("! tc filter show dev eth0 ingress | grep -q ."), 0);
	close(peer);
	close(tap);
}

static void what_is_removed_leaves_no_qdisc(void **state)
{
	struct fixture *f = *state;
	int tap, peer = join(f, "true", &tap);

	assert_int_equal(system("tc qdisc show dev eth0 | grep -q ingress"), 0);
	net_redirect_remove(&f->nl, (int)if_nametoindex("eth0"));
	assert_int_equal(system("! tc qdisc show dev eth0 | grep -q ingress"), 0);
	close(peer);
	close(tap);
}

static void the_host_s_own_namespace_is_none(void **state)
{
	struct fixture *f = *state;
	cleanup_close int other = -1;
	char path[64];
	int netns;

	assert_int_equal(net_namespace_open("/proc/self/ns/net", &netns, &f->err), 0);
	assert_int_equal(netns, -1);
	other = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
	assert_int_equal(net_namespace_open(path, &netns, &f->err), 0);
	assert_int_equal(netns, -1);
	if (unshare(CLONE_NEWNET) < 0)
		skip();
	assert_int_equal(net_namespace_open(path, &netns, &f->err), 0);
	assert_true(netns >= 0);
	close(netns);
	assert_int_equal(net_namespace_open("/nowhere", &netns, &f->err), -1);
	assert_int_equal(netns, -1);
}

static void names_of_taps(void **state)
{
	(void)state;
	assert_true(net_tap_is_ours("krun-tap7"));
	assert_false(net_tap_is_ours("tap7"));
	assert_false(net_tap_is_ours("eth0"));
}

static void a_request_that_is_too_long_fails(void **state)
{
	const struct rtmsg rt = { 0 };
	struct netlink nl = { .fd = -1 };
	struct netlink_request req;
	char big[3000] = { 0 };

	(void)state;
	netlink_begin(&req, RTM_GETROUTE, 0, &rt, sizeof(rt));
	netlink_put(&req, 1, big, sizeof(big));
	assert_false(req.failed);
	netlink_put(&req, 1, big, sizeof(big));
	assert_true(req.failed);
	netlink_put_u32(&req, 1, 5);
	assert_int_equal(netlink_do(&nl, &req), -E2BIG);
}

static void attributes_are_read_within_their_message(void **state)
{
	struct {
		struct nlmsghdr h;
		struct rtmsg rt;
		struct rtattr a;
		uint32_t value;
		struct rtattr broken;
	} msg = {
		.h = { .nlmsg_len = sizeof(msg) },
		.a = { .rta_len = 8, .rta_type = RTA_OIF }, .value = 7,
		.broken = { .rta_len = 400, .rta_type = RTA_IIF },
	};
	const struct rtattr *tb[RTA_MAX + 1];

	(void)state;
	netlink_attrs(&msg.h, sizeof(msg.rt), tb, RTA_MAX + 1);
	assert_int_equal(netlink_u32(tb[RTA_OIF]), 7);
	assert_null(tb[RTA_IIF]);
	assert_int_equal(netlink_u32(NULL), 0);
	assert_null(netlink_str(NULL));
	msg.h.nlmsg_len = sizeof(msg.h) + sizeof(msg.rt) - 1;
	netlink_attrs(&msg.h, sizeof(msg.rt), tb, RTA_MAX + 1);
	assert_null(tb[RTA_OIF]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_interface_is_described),
		T(what_is_set_of_addresses_and_interfaces),
		T(of_stacked_interfaces_the_upper_one_is_the_guest_s),
		T(what_is_down_or_no_ethernet_is_left_out),
		T(an_empty_namespace_has_nothing),
		T(more_interfaces_than_a_guest_has_are_refused),
		T(a_route_by_several_ways_is_refused),
		T(ways_of_ipv6_become_routes_again),
		T(what_a_guest_is_not_given_is_named),
		T(equal_routes_keep_their_order),
		T(only_the_default_interface_of_a_host_is_found),
		T(a_tap_lives_as_long_as_its_descriptor),
		T(a_tap_lives_as_long_as_one_of_its_queues),
		T(a_guest_sends_with_its_own_mac_alone),
		T(a_clsact_qdisc_serves_too_and_stays),
		T(what_is_removed_leaves_no_qdisc),
		T(the_host_s_own_namespace_is_none),
		T(names_of_taps),
		T(a_request_that_is_too_long_fails),
		T(attributes_are_read_within_their_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
