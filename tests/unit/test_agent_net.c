/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the agent makes of the interfaces that the host tells of, in a network namespace where veth
 * devices stand for the machine's. Without the rights for that, or without veth, it is skipped.
 */
#include "unit.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "guest-agent/agent_net.h"

#define S(s) ((char *)(s))
#define V4(...) { AF_INET, { __VA_ARGS__ } }
#define V6(a, b, c) { AF_INET6, { (a), (b), [15] = (c) } }

static int setup(void **state)
{
	struct net *n = calloc(1, sizeof(*n));

	n->spares = (struct net_spares){ .netns = -1, .own = -1 };
	*state = n;
	return 0;
}

static int teardown(void **state)
{
	struct net *n = *state;

	for (size_t i = 0; i < n->known.count; i++)
		agent_interface_reset(&n->known.interfaces[i]);
	free(n);
	return 0;
}

/*
 * Three devices of the machine's, by the addresses that end in 0, 1 and 2. They keep these, by which
 * they are found again: veth devices have no permanent ones beside.
 */
static void lay_out(void)
{
	if (unshare(CLONE_NEWNET) < 0 ||
	    system("for i in 0 1 2; do ip link add name d$i type veth peer name p$i 2> /dev/null && "
		   "ip link set p$i addrgenmode none up && "
		   "ip link set d$i address 02:6b:72:75:6e:0$i || exit 1; done"))
		skip();
}

#define says(command) assert_int_equal(system(command), 0)

/* As it comes from the host. */
static void message_of(struct wire_writer *w, const struct agent_interface *v, size_t count)
{
	agent_interfaces_encode(w, v, count);
	assert_false(w->failed);
}

static int tell(struct net *n, const struct agent_interface *i, struct error **err)
{
	cleanup_wire struct wire_writer w = { 0 };

	message_of(&w, i, 1);
	return net_message(n, AGENT_INTERFACE, w.data, w.len, err);
}

static void begin(struct net *n, const struct agent_interface *v, size_t count)
{
	cleanup_error struct error *err = NULL;
	cleanup_wire struct wire_writer w = { 0 };
	struct wire_reader r;
	struct agent_interface *copy;
	size_t copied;

	message_of(&w, v, count);
	r = WIRE_READER(w.data, w.len);
	copy = agent_interfaces_decode(&r, &copied);
	if (net_begin(n, copy, copied, &err) < 0)
		fail_msg("%s", error_msg(err));
	agent_interfaces_release(copy, copied);
}

#define FOREVER .preferred = AGENT_FOREVER, .valid = AGENT_FOREVER

static struct agent_address addresses0[] = {
	{ .local = V4(10, 1, 2, 3), .prefix = 24, FOREVER },
	{ .local = V6(0xfd, 1, 3), .prefix = 64, FOREVER },
	{ .local = V4(10, 1, 3, 3), .prefix = 24, .priority = 300, FOREVER },
	{ .local = V4(10, 1, 4, 3), .prefix = 24, .flags = 0x200, .preferred = 400, .valid = 500 },
};
static struct agent_route routes0[] = {
	{ .family = AF_INET, .type = RTN_UNICAST, .gateway = V4(10, 1, 2, 1), .priority = 100,
	  .protocol = RTPROT_STATIC, .order = 1 },
	{ .family = AF_INET6, .type = RTN_UNICAST, .gateway = V6(0xfd, 1, 1), .priority = 100,
	  .protocol = RTPROT_STATIC },
	{ .family = AF_INET, .type = RTN_BLACKHOLE, .destination = V4(10, 8), .prefix = 16,
	  .protocol = RTPROT_STATIC },
	{ .family = AF_INET6, .type = RTN_PROHIBIT, .destination = V6(0xfd, 8, 0), .prefix = 64,
	  .priority = 1024, .protocol = RTPROT_STATIC },
};
static struct agent_neighbour neighbours0[] = { { V4(10, 1, 2, 9), { 2, 0, 0, 0, 0, 9 } } };
static struct agent_pair sysctls0[] = { { S("ipv4/conf/eth0/rp_filter"), S("2") },
					{ S("ipv6/conf/eth0/accept_dad"), S("0") } };
static struct agent_address addresses1[] = {
	{ .local = V4(10, 2, 2, 3), .prefix = 24, FOREVER },
	{ .local = V6(0xfd, 2, 3), .prefix = 64, FOREVER },
};
static struct agent_route routes1[] = {
	{ .family = AF_INET, .type = RTN_UNICAST, .gateway = V4(10, 2, 2, 1), .priority = 100,
	  .protocol = RTPROT_STATIC },
	{ .family = AF_INET6, .type = RTN_UNICAST, .gateway = V6(0xfd, 2, 1), .priority = 100,
	  .protocol = RTPROT_STATIC },
};

static const struct agent_interface two[] = {
	{ .name = S("eth0"), .device_mac = { 2, 'k', 'r', 'u', 'n', 0 }, .mac = { 2, 'k', 'r', 'u', 'n', 0 },
	  .mtu = 1400, .addresses = addresses0, .num_addresses = 4, .routes = routes0,
	  .num_routes = 4, .neighbours = neighbours0, .num_neighbours = 1, .sysctls = sysctls0,
	  .num_sysctls = 2 },
	{ .name = S("eth1"), .device_mac = { 2, 'k', 'r', 'u', 'n', 1 }, .mac = { 2, 'k', 'r', 'u', 'n', 1 },
	  .mtu = 1500, .flags = IFF_NOARP, .addresses = addresses1, .num_addresses = 2,
	  .routes = routes1, .num_routes = 2 },
};

static void interfaces_are_as_they_were_on_the_host(void **state)
{
	lay_out();
	begin(*state, two, 2);
	says("ip -o link show eth0 | grep -q 'mtu 1400.*02:6b:72:75:6e:00'");
	says("ip -o link show eth1 | grep -q 'NOARP.*UP.*mtu 1500'");
	says("ip -4 -o address show eth0 | grep -q 10.1.2.3/24");
	says("ip -4 -o address show eth0 | grep '10.1.3.3/24 metric 300' | grep -q forever");
	says("ip -4 -o address show eth0 | grep 10.1.4.3 | grep -q 'noprefixroute.*valid_lft \\(500\\|49\\)'");
	says("ip -6 -o address show eth1 | grep -q fd02::3/64");
	/* the order of equal routes is the container's, not the interfaces' */
	says("test \"$(ip route show default | head -n 1 | cut -d ' ' -f 3)\" = 10.2.2.1");
	says("test \"$(ip route show default | wc -l)\" = 2");
	says("test \"$(ip -6 route show default | grep -c nexthop)\" = 2");
	says("ip route | grep -q 'blackhole 10.8.0.0/16'");
	says("ip -6 route | grep -q 'prohibit fd08::/64'");
	says("ip neigh show dev eth0 | grep -q '10.1.2.9.*PERMANENT'");
	says("grep -qx 2 /proc/sys/net/ipv4/conf/eth0/rp_filter");
	says("grep -qx 0 /proc/sys/net/ipv6/conf/eth0/accept_dad");
	/* the third one is out of sight */
	says("! ip -o link | grep -q '^[0-9]*: d2[@:]'");
}

/* What the host has no more goes; what the container has made itself, and what has a lifetime, stays. */
static void what_is_gone_is_deleted_and_nothing_else(void **state)
{
	struct agent_interface less = two[0];

	lay_out();
	begin(*state, two, 2);
	says("ip address add 10.77.0.1/24 dev eth0 && ip route add 10.78.0.0/16 via 10.2.2.9 && "
	     "ip neigh add 10.1.2.10 lladdr 02:00:00:00:00:0a dev eth0 nud permanent && "
	     "echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter");
	less.num_addresses = 2;
	less.num_routes = 1;
	less.num_neighbours = 0;
	assert_int_equal(tell(*state, &less, NULL), 0);
	says("ip -4 -o address show eth0 | grep -q 10.1.2.3/24");
	says("! ip -4 -o address show eth0 | grep -q 10.1.3.3");
	says("ip -4 -o address show eth0 | grep -q 10.1.4.3");
	says("ip -4 -o address show eth0 | grep -q 10.77.0.1");
	says("ip route | grep -q 10.78.0.0/16");
	says("ip route show default | grep -q 10.1.2.1");
	says("! ip route | grep -q blackhole");
	says("! ip -6 route | grep -q prohibit");
	says("ip -6 route show default | grep -q fd02::1");
	says("! ip -6 route show default | grep -q fd01::1");
	says("! ip neigh show dev eth0 | grep -q 10.1.2.9");
	says("ip neigh show dev eth0 | grep -q 10.1.2.10");
	says("grep -qx 1 /proc/sys/net/ipv4/conf/eth0/rp_filter");
	assert_int_equal(tell(*state, &two[0], NULL), 0);
	says("ip -4 -o address show eth0 | grep -q 10.1.3.3");
	says("ip route | grep -q 'blackhole 10.8.0.0/16'");
	says("ip neigh show dev eth0 | grep -q 10.1.2.9");
}

static void a_new_first_address_takes_no_routes_away(void **state)
{
	struct agent_address moved[] = { { .local = V4(10, 1, 2, 4), .prefix = 24, FOREVER },
					 addresses0[1] };
	struct agent_interface other = two[0];

	lay_out();
	begin(*state, two, 2);
	other.addresses = moved;
	other.num_addresses = 2;
	other.mtu = 9000;
	assert_int_equal(tell(*state, &other, NULL), 0);
	says("ip -4 -o address show eth0 | grep -q 10.1.2.4/24");
	says("! ip -4 -o address show eth0 | grep -q 10.1.2.3/24");
	says("ip route show default | grep -q 10.1.2.1");
	says("ip -o link show eth0 | grep -q 'mtu 9000'");
}

static void an_mtu_that_was_too_small_for_ipv6(void **state)
{
	struct agent_pair sysctl = { S("ipv6/conf/eth0/accept_dad"), S("0") };
	struct agent_address v6 = { .local = V6(0xfd, 1, 3), .prefix = 64, FOREVER };
	struct agent_interface i = { .name = S("eth0"), .device_mac = { 2, 'k', 'r', 'u', 'n', 0 },
				     .mac = { 2, 'k', 'r', 'u', 'n', 0 }, .mtu = 1000 };

	lay_out();
	begin(*state, &i, 1);
	says("! test -e /proc/sys/net/ipv6/conf/eth0");
	i.mtu = 1500;
	i.sysctls = &sysctl;
	i.addresses = &v6;
	i.num_sysctls = i.num_addresses = 1;
	assert_int_equal(tell(*state, &i, NULL), 0);
	says("ip -6 -o address show eth0 | grep -q fd01::3");
	says("grep -qx 0 /proc/sys/net/ipv6/conf/eth0/accept_dad");
}

static void a_route_that_comes_to_be_second_is_second(void **state)
{
	struct agent_interface first = two[0];
	struct agent_route route = routes0[0];

	lay_out();
	route.order = 0;
	first.routes = &route;
	first.num_routes = 1;
	begin(*state, &first, 1);
	assert_int_equal(tell(*state, &two[1], NULL), 0);
	assert_int_equal(tell(*state, &two[0], NULL), 0);
	says("test \"$(ip route show default | head -n 1 | cut -d ' ' -f 3)\" = 10.2.2.1");
}

/* A route that leads nowhere is told of with one interface; it goes with the last that has it. */
static void a_blackhole_outlives_its_interface(void **state)
{
	struct agent_interface second = two[1];
	struct net *n = *state;

	lay_out();
	begin(n, two, 2);
	second.routes = &routes0[2];
	second.num_routes = 1;
	assert_int_equal(tell(n, &second, NULL), 0);
	assert_int_equal(net_message(n, AGENT_INTERFACE_GONE, two[0].device_mac, AGENT_MAC_LEN, NULL), 0);
	says("! ip -o link | grep -q eth0");
	says("ip route | grep -q 'blackhole 10.8.0.0/16'");
	assert_int_equal(net_message(n, AGENT_INTERFACE_GONE, two[1].device_mac, AGENT_MAC_LEN, NULL), 0);
	says("! ip route | grep -q blackhole");
	assert_int_equal(n->known.count, 0);
	/* and one that comes back is as new */
	assert_int_equal(tell(n, &two[0], NULL), 0);
	says("ip -4 -o address show eth0 | grep -q 10.1.2.3/24");
	says("ip route show default | grep -q 10.1.2.1");
}

static void what_comes_before_the_container_waits(void **state)
{
	struct agent_interface none = { .name = S("eth0"), .device_mac = { 2, 'k', 'r', 'u', 'n', 0 },
					.mac = { 2, 'k', 'r', 'u', 'n', 0 }, .mtu = 1400 };
	cleanup_error struct error *err = NULL;
	struct net *n = *state;

	lay_out();
	assert_int_equal(tell(n, &two[0], NULL), 0);
	assert_int_equal(tell(n, &two[1], NULL), 0);
	assert_false(net_early(n, &err));
	begin(n, &none, 1);
	says("! ip -4 -o address show eth0 | grep -q 10.1.2.3");
	assert_true(net_early(n, &err));
	assert_true(net_early(n, &err));
	assert_false(net_early(n, &err));
	assert_null(err);
	says("ip -4 -o address show eth0 | grep -q 10.1.2.3/24");
	says("ip -4 -o address show eth1 | grep -q 10.2.2.3/24");
}

static void malformed_messages_are_told(void **state)
{
	cleanup_error struct error *err = NULL;
	struct net *n = *state;

	n->begun = true;
	assert_int_equal(net_message(n, AGENT_INTERFACE, "abc", 3, &err), -1);
	error_free(&err);
	assert_int_equal(net_message(n, AGENT_INTERFACE_GONE, "abc", 3, &err), -1);
	assert_non_null(strstr(error_msg(err), "malformed"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(interfaces_are_as_they_were_on_the_host),
		T(what_is_gone_is_deleted_and_nothing_else),
		T(a_new_first_address_takes_no_routes_away),
		T(an_mtu_that_was_too_small_for_ipv6),
		T(a_route_that_comes_to_be_second_is_second),
		T(a_blackhole_outlives_its_interface),
		T(what_comes_before_the_container_waits),
		T(malformed_messages_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
