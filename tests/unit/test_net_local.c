/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections within a network namespace to an address of its own. Each test has a namespace of its
 * own; without the rights for one, or without nf_tables in the kernel, they are skipped.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_local.h"

struct fixture {
	struct net_local local;
	int vmm, ours; /* a socket pair */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*f = (struct fixture){ .vmm = pair[0], .ours = pair[1],
			       .local = { .nft.fd = -1, .listeners = { -1, -1 } } };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	signal(SIGCHLD, SIG_DFL);
	net_local_close(&f->local);
	close(f->vmm);
	close(f->ours);
	free(f);
	return 0;
}

static void begin(struct fixture *f)
{
	if (unshare(CLONE_NEWNET) < 0 ||
	    system("ip link set lo up && ip address add 10.1.2.3/32 dev lo && "
		   "ip -6 address add fd00::7/128 dev lo nodad 2> /dev/null") != 0)
		skip();
	signal(SIGCHLD, SIG_IGN); /* as the program has it; system() needs it otherwise */
	net_local_open(&f->local);
	if (f->local.listeners[0] < 0 || f->local.listeners[1] < 0)
		skip();
}

/* A socket, connected or listening; or -errno. */
static int open_at(const char *address, uint16_t port, bool server)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const bool v4 = inet_pton(AF_INET, address, &in.sin_addr) == 1;
	const struct sockaddr *a = v4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6;
	const socklen_t len = v4 ? sizeof(in) : sizeof(in6);
	cleanup_close int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!v4)
		assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
	if (server ? bind(fd, a, len) < 0 || listen(fd, 5) < 0 : connect(fd, a, len) < 0)
		return -errno;
	return steal_fd(&fd);
}

static void accept_one(struct fixture *f, unsigned int which)
{
	struct pollfd pfd = { f->local.listeners[which], POLLIN, 0 };

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	net_local_accept(&f->local, which, f->vmm);
}

static void expect_text(int fd, const char *text)
{
	char buf[64] = "";

	assert_int_equal(recv(fd, buf, strlen(text), MSG_WAITALL), strlen(text));
	assert_string_equal(buf, text);
}

/* What the VMM gets: a connection to @fd's other end. */
static void expect_given(struct fixture *f, int fd, uint16_t port, const void *address, size_t size)
{
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r;
	const char *got;
	size_t len;

	assert_int_equal(msg_recv(f->ours, &msg), 1);
	assert_int_equal(msg.type, VMM_NET_LOCAL);
	assert_int_equal(msg.nfds, 1);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), port);
	got = wire_get_bytes(&r, &len);
	assert_true(wire_done(&r));
	assert_int_equal(len, size);
	assert_memory_equal(got, address, size);
	assert_int_equal(write(fd, "question", 8), 8);
	expect_text(msg.fds[0], "question");
}

static void the_guest_gets_what_nobody_listens_for(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		bool v6;
	} table[] = {
		{ "127.0.0.1", 80, false }, { "127.1.2.3", 65535, false }, { "10.1.2.3", 1, false },
		{ "::1", 80, true }, { "fd00::7", 8080, true },
	};
	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const int fd = open_at(table[i].address, table[i].port, false);
		unsigned char address[16];

		assert_true(fd >= 0);
		inet_pton(table[i].v6 ? AF_INET6 : AF_INET, table[i].address, address);
		accept_one(f, table[i].v6);
		expect_given(f, fd, table[i].port, address, table[i].v6 ? 16 : 4);
		close(fd);
	}
}

static void who_listens_in_the_namespace_is_reached(void **state)
{
	struct fixture *f = *state;
	struct pollfd quiet = { f->ours, POLLIN, 0 };
	int server, client, got;

	begin(f);
	server = open_at("127.0.0.1", 7000, true);
	client = open_at("127.0.0.1", 7000, false);
	assert_true(server >= 0 && client >= 0);
	accept_one(f, 0);
	got = accept(server, NULL, NULL);
	assert_true(got >= 0);
	assert_int_equal(poll(&quiet, 1, 0), 0); /* the guest hears nothing of it */
	assert_int_equal(write(client, "there", 5), 5);
	shutdown(client, SHUT_WR);
	expect_text(got, "there");
	assert_int_equal(read(got, &(char){ 0 }, 1), 0); /* a half that ends is one that ends */
	assert_int_equal(write(got, "and back", 8), 8);
	expect_text(client, "and back");
	close(got);
	assert_int_equal(read(client, &(char){ 0 }, 1), 0);
	close(client);
	close(server);
}

/* It is no way to make this process connect to itself. */
static void our_own_listener_is_nobody(void **state)
{
	static const unsigned char v4[] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	struct fixture *f = *state;

	begin(f);
	for (unsigned int i = 0; i < 2; i++) {
		const int fd = open_at(i ? "::1" : "127.0.0.1", f->local.ports[i], false);
		struct pollfd pfd = { f->local.listeners[i], POLLIN, 0 };

		assert_true(fd >= 0);
		accept_one(f, i);
		expect_given(f, fd, f->local.ports[i], i ? v6 : v4, i ? 16 : 4);
		assert_int_equal(poll(&pfd, 1, 50), 0);
		close(fd);
	}
}

static void a_busy_listener_is_one(void **state)
{
	struct fixture *f = *state;
	struct pollfd quiet = { f->ours, POLLIN, 0 };
	int server, waiting[8], client, got;

	begin(f);
	server = open_at("127.0.0.1", 7000, true);
	/* Its queue, and more: those are not answered. */
	for (size_t i = 0; i < 8; i++) {
		const uint32_t mark = 0x6b67;
		const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(7000),
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		setsockopt(waiting[i], SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
		connect(waiting[i], (const struct sockaddr *)&a, sizeof(a));
	}
	client = open_at("127.0.0.1", 7000, false);
	assert_true(client >= 0);
	accept_one(f, 0);
	assert_int_equal(poll(&quiet, 1, 0), 0);
	assert_int_equal(write(client, "late", 4), 4);
	for (bool found = false; !found; close(got)) {
		char buf[8] = "";

		got = accept(server, NULL, NULL);
		assert_true(got >= 0);
		for (size_t i = 0; i < 8; i++)
			shutdown(waiting[i], SHUT_WR);
		found = read(got, buf, sizeof(buf)) == 4 && !strcmp(buf, "late");
	}
	for (size_t i = 0; i < 8; i++)
		close(waiting[i]);
	close(client);
	close(server);
}

static void a_relay_ends_with_the_vmm(void **state)
{
	struct fixture *f = *state;
	int server, client, got;

	begin(f);
	server = open_at("::1", 7000, true);
	client = open_at("::1", 7000, false);
	assert_true(server >= 0 && client >= 0);
	accept_one(f, 1);
	got = accept(server, NULL, NULL);
	shutdown(f->ours, SHUT_RDWR);
	assert_true(read(client, &(char){ 0 }, 1) <= 0);
	assert_true(read(got, &(char){ 0 }, 1) <= 0);
	close(got);
	close(client);
	close(server);
}

static void nothing_is_left(void **state)
{
	struct fixture *f = *state;

	begin(f);
	assert_int_equal(open_at("10.1.2.3", 90, true) < 0, false);
	net_local_close(&f->local);
	assert_int_equal(open_at("127.0.0.1", 80, false), -ECONNREFUSED);
	assert_int_equal(open_at("::1", 80, false), -ECONNREFUSED);
	/* as often as containers come and go */
	net_local_open(&f->local);
	assert_true(f->local.listeners[0] >= 0 && f->local.listeners[1] >= 0);
}

static void others_are_left_alone(void **state)
{
	struct fixture *f = *state;

	begin(f);
	/* no address of the namespace's: where there is no route, there is none */
	assert_int_equal(open_at("10.9.9.9", 80, false), -ENETUNREACH);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_guest_gets_what_nobody_listens_for),
		TEST(who_listens_in_the_namespace_is_reached),
		TEST(our_own_listener_is_nobody),
		TEST(a_busy_listener_is_one),
		TEST(a_relay_ends_with_the_vmm),
		TEST(nothing_is_left),
		TEST(others_are_left_alone),
	};

	return cmocka_run_group_tests_name("connections within a network namespace", tests, NULL,
					   NULL);
}
