/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-net, in a network namespace that ip(8) changes while it looks on; the test is its VMM. It is
 * skipped without the rights for that, or without veth and tap devices.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_net_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/netlink.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_redirect.h"

#define DEVICES "3"
#define NAME_SERVER 0x7f00000bu
#define WAIT_MS 10000

struct fixture {
	pid_t pid;
	int sock, log, tap;
};

static void watch_main(int sock, int log, const char *ifindex, uint32_t name_server)
{
	char format[8], level[8], names[16];

	snprintf(format, sizeof(format), "%d", LOG_FORMAT_TEXT);
	snprintf(level, sizeof(level), "%d", LOG_LEVEL_WARNING);
	snprintf(names, sizeof(names), "%u", name_server);
	if (dup2(log, STDERR_FILENO) < 0 || dup2(sock, 3) < 0)
		_exit(2);
	execl("./krun-gpu-net", "krun-gpu-net", format, level, DEVICES, "1", names, ifindex,
	      NULL);
	_exit(2);
}

/* With eth0, which was joined at create. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	*f = (struct fixture){ .sock = -1, .log = -1, .tap = -1 };
	*state = f;
	return 0;
}

static void begin_with(struct fixture *f, uint32_t name_server)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	int pair[2], log[2], ifindex, tap;
	char text[16];

	if (access("/dev/net/tun", R_OK | W_OK) < 0 || unshare(CLONE_NEWNET) < 0 ||
	    system("ip link add name eth0 type veth peer name peth0 2> /dev/null"))
		skip();
	assert_int_equal(system("ip link set peth0 up && ip link set eth0 up && "
				"ip address add 10.1.2.3/24 dev eth0"), 0);
	assert_int_equal(netlink_open(&nl, NULL), 0);
	ifindex = (int)if_nametoindex("eth0");
	tap = net_tap_create(&nl, ifindex, 1500, &f->tap, 1, NULL);
	if (tap < 0)
		skip();
	if (net_redirect_join(&nl, ifindex, tap, (const uint8_t[6]){ 2 }, NULL) < 0)
		skip(); /* no traffic control in this kernel */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
	snprintf(text, sizeof(text), "%d", ifindex);
	f->pid = fork();
	if (f->pid == 0)
		watch_main(pair[1], log[1], text, name_server);
	close(pair[1]);
	close(log[1]);
	f->sock = pair[0];
	f->log = log[0];
}

static void begin(struct fixture *f)
{
	begin_with(f, NAME_SERVER);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->sock >= 0)
		close(f->sock);
	if (f->pid > 0)
		waitpid(f->pid, NULL, 0);
	if (f->log >= 0)
		close(f->log);
	if (f->tap >= 0)
		close(f->tap);
	free(f);
	return 0;
}

/* What it says next: of which device, and how that is now (NULL: without a description). */
static uint32_t next(struct fixture *f, uint32_t *device, struct agent_interface **described)
{
	struct pollfd pfd = { f->sock, POLLIN, 0 };
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r, inner;
	size_t len = 0, count;
	const char *bytes;

	if (poll(&pfd, 1, WAIT_MS) != 1 || msg_recv(f->sock, &msg) != 1)
		fail_msg("krun-gpu-net says nothing");
	r = WIRE_READER(msg.payload, msg.len);
	*device = wire_get_u32(&r);
	*described = NULL;
	if (msg.type == VMM_NET_UNPLUG)
		return msg.type;
	bytes = wire_get_bytes(&r, &len);
	inner = WIRE_READER(bytes, len);
	*described = agent_interfaces_decode(&inner, &count);
	assert_non_null(*described);
	assert_int_equal(count, 1);
	assert_int_equal(msg.nfds, msg.type == VMM_NET_PLUG);
	return msg.type;
}

/* Until the description of device 0 is what is wanted; whatever else is told. */
static void until(struct fixture *f, bool (*wanted)(const struct agent_interface *i))
{
	for (bool there = false; !there;) {
		struct agent_interface *i;
		uint32_t device, type = next(f, &device, &i);

		there = type == VMM_NET_CHANGE && device == 0 && wanted(i);
		agent_interfaces_release(i, 1);
	}
}

static bool has_address(const struct agent_interface *i)
{
	for (size_t n = 0; n < i->num_addresses; n++)
		if (i->addresses[n].local.family == AF_INET && i->addresses[n].local.bytes[3] == 3)
			return true;
	return false;
}

static bool has_no_address(const struct agent_interface *i)
{
	return !has_address(i);
}

static bool has_neighbour(const struct agent_interface *i)
{
	return i->num_neighbours == 1;
}

static bool has_large_mtu(const struct agent_interface *i)
{
	return i->mtu == 9000;
}

static void what_there_is_is_told_at_first_and_what_goes_later(void **state)
{
	struct fixture *f = *state;

	begin(f);
	until(f, has_address);
	assert_int_equal(system("ip neigh add 10.1.2.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent"), 0);
	until(f, has_neighbour);
	assert_int_equal(system("ip link set eth0 mtu 9000"), 0);
	until(f, has_large_mtu);
	assert_int_equal(system("ip address delete 10.1.2.3/24 dev eth0"), 0);
	until(f, has_no_address);
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

/* One line when the one comes, and one of both when the other does; nothing when nothing has changed. */
static void assert_logged(struct fixture *f, const char *one, const char *other)
{
	char text[8192] = "";

	if (read(f->log, text, sizeof(text) - 1) <= 0 || count(text, one) != 2 ||
	    count(text, other) != 1)
		fail_msg("logged: %s", text);
}

static void what_is_too_much_does_not_end_it(void **state)
{
	struct agent_interface *i;
	struct fixture *f = *state;
	uint32_t device;

	begin(f);
	until(f, has_address);
	assert_int_equal(system("for i in 1 2 3; do ip link add a$i type veth peer name b$i && "
				"ip link set a$i up && ip link set b$i up || exit 1; done"), 0);
	/* The other end of eth0 has one device already. */
	while (next(f, &device, &i) != VMM_NET_PLUG)
		agent_interfaces_release(i, 1);
	agent_interfaces_release(i, 1);
	assert_int_equal(device, 2);
	assert_int_equal(system("ip route add 10.7.0.0/16 dev eth0 table 99"), 0);
	assert_int_equal(system("sleep 1; ip link set eth0 mtu 9000"), 0);
	until(f, has_large_mtu);
	assert_logged(f, "interface b3: the microVM has no network device left", "of a table but main");
	assert_int_equal(system("ip address delete 10.1.2.3/24 dev eth0"), 0);
	until(f, has_no_address);
	assert_int_equal(system("for i in 1 2 3; do ip link delete a$i; done; ip link set peth0 down"), 0);
	while (next(f, &device, &i) != VMM_NET_UNPLUG)
		agent_interfaces_release(i, 1);
}

/* Its answer to who wants a connection to the name server: the connection, or -errno. */
static int connect_to_names(struct fixture *f, uint32_t slot)
{
	const uint32_t wanted = htole32(slot);

	assert_int_equal(msg_send(f->sock, VMM_NET_DNS_CONNECT, &wanted, sizeof(wanted), NULL, 0), 0);
	for (;;) {
		cleanup_msg struct msg msg = { 0 };
		struct wire_reader r;
		uint32_t code;

		if (msg_recv(f->sock, &msg) != 1)
			fail_msg("krun-gpu-net has ended");
		if (msg.type != VMM_NET_DNS_CONNECTED)
			continue;
		r = WIRE_READER(msg.payload, msg.len);
		assert_int_equal(wire_get_u32(&r), slot);
		code = wire_get_u32(&r);
		assert_int_equal(msg.nfds, code ? 0 : 1);
		return code ? -(int)code : steal_fd(&msg.fds[0]);
	}
}

/* With the rights that it has left, and past its own redirect. */
static void the_name_server_is_connected_to(void **state)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53),
					.sin_addr.s_addr = htonl(NAME_SERVER) };
	cleanup_close int server = -1, fd = -1, got = -1;
	struct fixture *f = *state;

	begin(f);
	assert_int_equal(system("ip link set lo up"), 0);
	assert_int_equal(connect_to_names(f, 1), -ECONNREFUSED);
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(server, 5), 0);
	fd = connect_to_names(f, 2);
	assert_true(fd >= 0);
	got = accept(server, NULL, NULL);
	assert_int_equal(send(fd, "?", 1, 0), 1);
	assert_int_equal(recv(got, &(char){ 0 }, 1, 0), 1);
	close(steal_fd(&fd)); /* nobody else has it */
	assert_int_equal(recv(got, &(char){ 0 }, 1, 0), 0);
}

/* All is told, as before the process begins: the name server that was found; how many were plugged. */
static uint32_t settle(struct fixture *f, uint32_t address, unsigned int *plugged)
{
	const uint32_t sent = htole32(address);

	*plugged = 0;
	assert_int_equal(msg_send(f->sock, VMM_NET_SETTLE, &sent, sizeof(sent), NULL, 0), 0);
	for (;;) {
		cleanup_msg struct msg msg = { 0 };
		struct wire_reader r;

		if (msg_recv(f->sock, &msg) != 1)
			fail_msg("krun-gpu-net has ended");
		*plugged += msg.type == VMM_NET_PLUG;
		r = WIRE_READER(msg.payload, msg.len);
		if (msg.type == VMM_NET_SETTLED)
			return wire_get_u32(&r);
	}
}

/* What there is now is told before the answer, without the pause in which others may come. */
static void what_changed_is_told_before_the_process_begins(void **state)
{
	struct fixture *f = *state;
	unsigned int plugged;

	begin(f);
	assert_int_equal(system("ip link add name a1 type veth peer name pa1 && ip link set a1 up"), 0);
	assert_int_equal(settle(f, NAME_SERVER, &plugged), 0); /* it knew that one */
	assert_true(plugged >= 1);
}

static void a_name_server_is_found_before_the_process_begins(void **state)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53),
					.sin_addr.s_addr = htonl(NAME_SERVER) };
	cleanup_close int server = -1, range = -1;
	struct fixture *f = *state;
	unsigned int plugged;
	char text[32] = "";

	begin_with(f, 0);
	assert_int_equal(system("ip link set lo up"), 0);
	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(settle(f, NAME_SERVER, &plugged), NAME_SERVER);
	range = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
	assert_true(read(range, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "8192\t16383\n");
	/* there is one beginning */
	assert_int_equal(msg_send(f->sock, VMM_NET_SETTLE, &(uint32_t){ 0 }, 4, NULL, 0), 0);
	assert_int_equal(recv(f->sock, text, sizeof(text), 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(what_there_is_is_told_at_first_and_what_goes_later),
		T(what_is_too_much_does_not_end_it),
		T(the_name_server_is_connected_to),
		T(what_changed_is_told_before_the_process_begins),
		T(a_name_server_is_found_before_the_process_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
