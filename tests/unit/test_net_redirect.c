/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What arrives at an interface that a tap stands beside. Each test has a namespace of its own and a
 * neighbour in another, who sends whatever comes to it back; without the rights for that, or without veth
 * and traffic control in the kernel, they are skipped.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
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

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/netlink.h"
#include "net_redirect.h"

#define HEADERS (12 + 14 + 20 + 8) /* of the tap, Ethernet, IP, UDP */

static const uint8_t mac[6] = { 2 }; /* of a guest that sends nothing */

struct fixture {
	struct netlink nl;
	pid_t neighbour;
	int eth0, tap, tap_fd;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_init("test", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	*f = (struct fixture){ .nl = { .fd = -1 }, .tap_fd = -1 };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->neighbour > 0) {
		kill(f->neighbour, SIGKILL);
		waitpid(f->neighbour, NULL, 0);
	}
	if (f->tap_fd >= 0)
		close(f->tap_fd);
	netlink_close(&f->nl);
	free(f);
	return 0;
}

static int bound(uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : fd;
}

/* A listener at port 53 of TCP, whose connections are made by the kernel; nobody accepts them. */
static void listen_tcp(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 10) < 0)
		_exit(1);
}

/* In the neighbour's process. */
static void neighbour_run(int told, int tell)
{
	struct pollfd pfd[2];

	if (unshare(CLONE_NEWNET) < 0 || write(tell, "1", 1) != 1 ||
	    read(told, &(char){ 0 }, 1) != 1 ||
	    system("ip address add 10.9.0.1/24 dev peer && ip link set peer up"))
		_exit(1);
	listen_tcp();
	for (int i = 0; i < 2; i++)
		pfd[i] = (struct pollfd){ bound((uint16_t)(53 + i)), POLLIN, 0 };
	for (ssize_t n = write(tell, "2", 1); n > 0 && poll(pfd, 2, -1) > 0;)
		for (int i = 0; i < 2; i++) {
			struct sockaddr_in from;
			socklen_t size = sizeof(from);
			char buf[64];
			ssize_t len;

			if (!pfd[i].revents)
				continue;
			len = recvfrom(pfd[i].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &size);
			if (len > 0)
				sendto(pfd[i].fd, buf, (size_t)len, 0, (struct sockaddr *)&from, size);
		}
	_exit(1);
}

static void begin(struct fixture *f)
{
	int to[2], from[2];
	char command[128];

	assert_int_equal(pipe(to) | pipe(from), 0);
	if (unshare(CLONE_NEWNET) < 0 ||
	    system("ip link add name eth0 type veth peer name peer 2> /dev/null && "
		   "ip address add 10.9.0.2/24 dev eth0"))
		skip();
	f->neighbour = fork();
	if (f->neighbour == 0)
		neighbour_run(to[0], from[1]);
	close(from[1]);
	assert_int_equal(read(from[0], &(char){ 0 }, 1), 1);
	snprintf(command, sizeof(command), "ip link set peer netns %d && ip link set eth0 up",
		 (int)f->neighbour);
	assert_int_equal(system(command), 0);
	assert_int_equal(write(to[1], "", 1), 1);
	assert_int_equal(read(from[0], &(char){ 0 }, 1), 1);
	close(to[0]);
	close(to[1]);
	close(from[0]);
	assert_int_equal(netlink_open(&f->nl, NULL), 0);
	f->eth0 = (int)if_nametoindex("eth0");
	f->tap = net_tap_create(&f->nl, f->eth0, 1500, &f->tap_fd, 1, NULL);
	if (f->tap < 0)
		skip();
	if (net_redirect_join(&f->nl, f->eth0, f->tap, mac, NULL) < 0)
		skip(); /* no traffic control in this kernel */
}

/* Does the neighbour's answer reach this namespace? */
static bool is_answered(uint16_t port)
{
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
					.sin_addr.s_addr = htonl(0x0a090001) };
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd pfd = { fd, POLLIN, 0 };
	char buf[16];

	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	for (int i = 0; i < 3; i++) {
		send(fd, "question", 8, 0);
		if (poll(&pfd, 1, 100) > 0 && recv(fd, buf, sizeof(buf), 0) == 8)
			return true;
	}
	return false;
}

/* Can this namespace connect to the neighbour's port 53, from a port of its own or, 0, the kernel's? */
static bool is_connected(uint16_t from)
{
	const struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(from) };
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53),
					.sin_addr.s_addr = htonl(0x0a090001) };
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { fd, POLLOUT, 0 };

	assert_int_equal(bind(fd, (const struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), -1);
	assert_int_equal(errno, EINPROGRESS);
	return poll(&pfd, 1, 300) > 0 && pfd.revents == POLLOUT;
}

/* Has the guest had TCP from port 53 of the neighbour's? */
static bool guest_has_tcp(struct fixture *f)
{
	struct pollfd pfd = { f->tap_fd, POLLIN, 0 };
	uint8_t p[2048];

	while (poll(&pfd, 1, 100) > 0)
		if (read(f->tap_fd, p, sizeof(p)) >= HEADERS && p[12 + 12] == 8 && p[12 + 13] == 0 &&
		    p[12 + 14 + 9] == 6 && p[12 + 34] == 0 && p[12 + 35] == 53)
			return true;
	return false;
}

/* Has the guest had a datagram from a port of the neighbour's? What came before it is read away. */
static bool guest_has(struct fixture *f, uint16_t port)
{
	struct pollfd pfd = { f->tap_fd, POLLIN, 0 };
	uint8_t p[2048];

	while (poll(&pfd, 1, 100) > 0) {
		const ssize_t n = read(f->tap_fd, p, sizeof(p));

		if (n >= HEADERS + 8 && p[12 + 12] == 8 && p[12 + 13] == 0 && p[12 + 14 + 9] == 17 &&
		    (p[12 + 34] << 8 | p[12 + 35]) == port && !memcmp(p + HEADERS, "question", 8))
			return true;
	}
	return false;
}

static void the_guest_alone_has_what_arrives(void **state)
{
	struct fixture *f = *state;

	begin(f);
	/* without ARP nothing would be asked, either */
	net_redirect_share_names(&f->nl, f->eth0, f->tap);
	assert_true(is_answered(53));
	net_redirect_remove(&f->nl, f->eth0);
	assert_false(guest_has(f, 54)); /* nor anything from before */
	assert_int_equal(net_redirect_join(&f->nl, f->eth0, f->tap, mac, NULL), 0);
	assert_false(is_answered(53));
	assert_true(guest_has(f, 53));
}

static void answers_about_names_are_had_by_both(void **state)
{
	struct fixture *f = *state;

	begin(f);
	net_redirect_share_names(&f->nl, f->eth0, f->tap);
	assert_true(is_answered(53));
	assert_true(guest_has(f, 53));
	assert_false(is_answered(54));
	assert_true(guest_has(f, 54));
	/* once more, as for another tap */
	net_redirect_share_names(&f->nl, f->eth0, f->tap);
	assert_true(is_answered(53));
	/* the next microVM may have no such name server */
	assert_int_equal(net_redirect_join(&f->nl, f->eth0, f->tap, mac, NULL), 0);
	assert_false(is_answered(53));
}

static void by_tcp_answers_are_whose_the_port_is(void **state)
{
	cleanup_close int ports = -1;
	struct fixture *f = *state;

	begin(f);
	net_redirect_share_names(&f->nl, f->eth0, f->tap);
	assert_false(is_connected(40000));
	assert_true(guest_has_tcp(f));
	ports = net_redirect_open_ports();
	net_redirect_names_ports(ports);
	assert_true(is_connected(0));
	assert_true(is_connected(AGENT_DNS_OWN_FIRST));
	assert_true(is_connected(AGENT_DNS_OWN_LAST));
	assert_false(guest_has_tcp(f));
	assert_false(is_connected(AGENT_DNS_OWN_LAST + 1));
	assert_true(guest_has_tcp(f));
	assert_int_equal(net_redirect_join(&f->nl, f->eth0, f->tap, mac, NULL), 0);
	assert_false(is_connected(0));
}

static void nothing_is_left(void **state)
{
	struct fixture *f = *state;

	begin(f);
	net_redirect_share_names(&f->nl, f->eth0, f->tap);
	net_redirect_remove(&f->nl, f->eth0);
	assert_true(is_answered(54));
	assert_false(guest_has(f, 54));
	/* the qdisc is gone: it can be made */
	assert_int_equal(system("tc qdisc add dev eth0 ingress"), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_guest_alone_has_what_arrives),
		TEST(answers_about_names_are_had_by_both),
		TEST(by_tcp_answers_are_whose_the_port_is),
		TEST(nothing_is_left),
	};

	return cmocka_run_group_tests_name("a tap beside an interface", tests, NULL, NULL);
}
