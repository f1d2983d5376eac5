/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A name server of the engine's, as the container finds it. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/msg.h"
#include "base/wire.h"
#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

#define SERVER 0x7f00000bu
/* As many questions as wait at one time, and as many connections. */
#define NAMES_MAX 64
#define CONNS_MAX 60

static void create(struct harness *h)
{
	struct agent_container *c = harness_sh_spec("true");

	c->name_server = SERVER;
	harness_create(h, c);
}

static struct sockaddr_in address_of(uint32_t address)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(53),
				     .sin_addr.s_addr = htonl(address) };
}

/* A program of the container's: it takes answers from the server alone. */
static int client(void)
{
	const struct sockaddr_in to = address_of(SERVER);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void ask(int fd, const void *question, size_t len)
{
	assert_int_equal(send(fd, question, len, 0), len);
}

/* The host is asked: the number of the question. */
static uint32_t expect_question(struct harness *h, const void *question, size_t len)
{
	struct msg msg = harness_expect(h, AGENT_DNS);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	const uint32_t cookie = wire_get_u32(&r);
	const char *got;
	size_t size;

	got = wire_get_bytes(&r, &size);
	assert_true(wire_done(&r));
	assert_int_equal(size, len);
	assert_memory_equal(got, question, len);
	msg_release(&msg);
	return cookie;
}

static void answer(struct harness *h, uint32_t cookie, const char *text)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, cookie);
	wire_put_bytes(&w, text, strlen(text));
	assert_int_equal(msg_send(h->control, AGENT_DNS_IS, w.data, w.len, NULL, 0), 0);
}

static void expect_answer(int fd, const char *text)
{
	struct pollfd pfd = { fd, POLLIN, 0 };
	char buf[64] = "";

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(fd, buf, sizeof(buf) - 1, 0), strlen(text));
	assert_string_equal(buf, text);
}

static void expect_silence(int fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };

	assert_int_equal(poll(&pfd, 1, 100), 0);
}

static void who_asked_is_answered(void **state)
{
	cleanup_close int one = -1, two = -1;
	struct harness *h = *state;
	uint32_t first, second;

	NEED(h);
	create(h);
	one = client();
	two = client();
	ask(one, "one\0?", 5);
	first = expect_question(h, "one\0?", 5);
	ask(two, "two", 3);
	second = expect_question(h, "two", 3);
	answer(h, second, "second");
	answer(h, first, "first");
	expect_answer(one, "first");
	expect_answer(two, "second");
	answer(h, first, "twice");
	expect_silence(one);
}

static void an_answer_to_nobody_is_void(void **state)
{
	struct harness *h = *state;
	cleanup_close int fd = -1;
	uint32_t cookie;

	NEED(h);
	create(h);
	answer(h, 0, "before any question");
	fd = client();
	ask(fd, "question", 8);
	cookie = expect_question(h, "question", 8);
	answer(h, cookie + 1, "wrong");
	answer(h, cookie + NAMES_MAX, "of the same place");
	answer(h, cookie - NAMES_MAX, "of the same place");
	assert_int_equal(msg_send(h->control, AGENT_DNS_IS, "\0\0", 2, NULL, 0), 0);
	expect_silence(fd);
	answer(h, cookie, "right");
	expect_answer(fd, "right");
}

static void the_oldest_question_gives_way(void **state)
{
	struct harness *h = *state;
	uint32_t cookies[NAMES_MAX + 1];
	int fds[NAMES_MAX + 1];

	NEED(h);
	create(h);
	for (size_t i = 0; i <= NAMES_MAX; i++) {
		fds[i] = client();
		ask(fds[i], "question", 8);
		cookies[i] = expect_question(h, "question", 8);
	}
	for (size_t i = 0; i <= NAMES_MAX; i++)
		answer(h, cookies[i], "answer");
	for (size_t i = 1; i <= NAMES_MAX; i++)
		expect_answer(fds[i], "answer");
	expect_silence(fds[0]);
	for (size_t i = 0; i <= NAMES_MAX; i++)
		close(fds[i]);
}

static void what_is_no_question_is_dropped(void **state)
{
	static const char large[AGENT_DNS_MAX + 1] = "large";
	struct harness *h = *state;
	cleanup_close int fd = -1;

	NEED(h);
	create(h);
	fd = client();
	ask(fd, "", 0);
	ask(fd, large, sizeof(large));
	ask(fd, large, AGENT_DNS_MAX);
	expect_question(h, large, AGENT_DNS_MAX);
}

static int bind_to(int type, uint32_t address, bool reuse)
{
	const struct sockaddr_in at = address_of(address);
	const int value = reuse;
	cleanup_close int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value));
	return bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : steal_fd(&fd);
}

/* A name server in the container has every other address, if it asks for it as such servers do. */
static void another_server_takes_nothing_away(void **state)
{
	struct harness *h = *state;
	cleanup_close int every = -1, other = -1, fd = -1;

	NEED(h);
	create(h);
	assert_int_equal(bind_to(SOCK_DGRAM, SERVER, false), -EADDRINUSE);
	other = bind_to(SOCK_DGRAM, INADDR_LOOPBACK, false);
	assert_true(other >= 0);
	close(steal_fd(&other));
	every = bind_to(SOCK_DGRAM, INADDR_ANY, true);
	assert_true(every >= 0);
	fd = client();
	ask(fd, "question", 8);
	answer(h, expect_question(h, "question", 8), "answer");
	expect_answer(fd, "answer");
	expect_silence(every);
}

/* -1: to nobody, as where the kernel has no BPF. */
static int connect_to(uint32_t address)
{
	const struct sockaddr_in to = address_of(address);
	cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return steal_fd(&fd);
	assert_int_equal(errno, ECONNREFUSED);
	return -1;
}

/* The host is asked for a connection to the name server: its number. */
static uint32_t expect_connect(struct harness *h)
{
	uint32_t v[2];

	harness_expect_u32s(h, AGENT_CONNECT, v, 2);
	assert_int_equal(v[1], AGENT_SOCKET_NAMES);
	return v[0];
}

static void connected(struct harness *h, uint32_t connection, uint32_t code, int stream)
{
	const uint32_t v[] = { connection, code, code ? 0 : AGENT_PORT_STREAM(3, stream) };

	harness_send_u32s(h, AGENT_CONNECTED, v, 3);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void expect_end(int fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };

	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 0);
}

static void by_tcp_bytes_go_both_ways_each_to_its_end(void **state)
{
	struct harness *h = *state;
	int fds[2], hosts[2];

	NEED(h);
	create(h);
	for (int i = 0; i < 2; i++) {
		fds[i] = connect_to(SERVER);
		if (fds[i] < 0)
			skip();
		connected(h, expect_connect(h), 0, i);
		hosts[i] = harness_accept(h, 3, i);
	}
	say(fds[0], "two questions");
	say(fds[1], "one");
	expect_answer(hosts[0], "two questions");
	expect_answer(hosts[1], "one");
	say(hosts[0], "an answer");
	expect_answer(fds[0], "an answer");
	shutdown(fds[0], SHUT_WR);
	expect_end(hosts[0]);
	say(hosts[0], "another");
	expect_answer(fds[0], "another");
	shutdown(hosts[1], SHUT_WR);
	expect_end(fds[1]);
	say(fds[1], "more");
	expect_answer(hosts[1], "more");
	/* the other direction's end is all the end */
	close(hosts[0]);
	expect_end(fds[0]);
	close(fds[1]);
	expect_end(hosts[1]);
	close(hosts[1]);
	close(fds[0]);
}

static void a_connection_that_the_host_refuses_ends(void **state)
{
	struct harness *h = *state;
	cleanup_close int fd = -1;

	NEED(h);
	create(h);
	fd = connect_to(SERVER);
	if (fd < 0)
		skip();
	connected(h, expect_connect(h), ECONNREFUSED, 0);
	expect_end(fd);
}

static void who_comes_when_there_are_many_waits(void **state)
{
	struct harness *h = *state;
	uint32_t first = 0;
	int fds[CONNS_MAX + 1];

	NEED(h);
	create(h);
	for (size_t i = 0; i <= CONNS_MAX; i++) {
		fds[i] = connect_to(SERVER);
		if (fds[i] < 0)
			skip();
	}
	for (size_t i = 0; i < CONNS_MAX; i++) {
		const uint32_t connection = expect_connect(h);

		if (!i)
			first = connection;
	}
	expect_silence(h->control);
	connected(h, first, EAGAIN, 0);
	expect_end(fds[0]);
	assert_int_equal(expect_connect(h), first + CONNS_MAX);
	for (size_t i = 0; i <= CONNS_MAX; i++)
		close(fds[i]);
}

/* At every address, also when such a connection is there already; without taking it away. */
static void another_server_listens_to_the_same_port_by_tcp(void **state)
{
	struct harness *h = *state;
	cleanup_close int every = -1, first = -1, second = -1, other = -1, got = -1;

	NEED(h);
	create(h);
	first = connect_to(SERVER);
	if (first < 0)
		skip();
	expect_connect(h);
	every = bind_to(SOCK_STREAM, INADDR_ANY, true);
	assert_true(every >= 0);
	assert_int_equal(listen(every, 5), 0);
	second = connect_to(SERVER);
	assert_true(second >= 0);
	expect_connect(h);
	expect_silence(every);
	other = connect_to(INADDR_LOOPBACK);
	got = accept(every, NULL, NULL);
	assert_true(other >= 0 && got >= 0);
	say(other, "for the other");
	expect_answer(got, "for the other");
	expect_silence(h->control);
}

/* Even where the container's range of ports has nothing else but one. */
static void the_servers_own_ports_are_left_alone(void **state)
{
	struct harness *h = *state;
	struct sockaddr_in own = { 0 };
	socklen_t size = sizeof(own);
	cleanup_close int fd = -1;
	char command[128];

	NEED(h);
	create(h);
	snprintf(command, sizeof(command), "echo %u %u > /proc/sys/net/ipv4/ip_local_port_range",
		 AGENT_DNS_OWN_FIRST, AGENT_DNS_OWN_LAST + 1);
	assert_int_equal(system(command), 0);
	fd = client();
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	assert_int_equal(system("echo 32768 60999 > /proc/sys/net/ipv4/ip_local_port_range"), 0);
	assert_int_equal(ntohs(own.sin_port), AGENT_DNS_OWN_LAST + 1);
}

static void without_a_server_nobody_listens(void **state)
{
	struct harness *h = *state;
	cleanup_close int fd = -1;

	NEED(h);
	harness_create(h, harness_sh_spec("true"));
	fd = client();
	ask(fd, "question", 8);
	assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(connect_to(SERVER), -1);
	answer(h, 0, "void");
}

static void an_address_that_cannot_be_had_is_refused(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	c = harness_sh_spec("true");
	c->name_server = 0x0a000001;
	harness_expect_refused(h, c, "answer questions about names at 10.0.0.1: Cannot assign "
			       "requested address");
}

/* The engine has it since `create`. */
static void a_server_may_come_with_the_start(void **state)
{
	const uint32_t server = SERVER;
	cleanup_close int fd = -1;
	struct harness *h = *state;
	uint32_t v[2];

	NEED(h);
	harness_create(h, harness_sh_spec("sleep 100"));
	harness_send_u32s(h, AGENT_START, &server, 1);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	fd = client();
	ask(fd, "one", 3);
	answer(h, expect_question(h, "one", 3), "first");
	expect_answer(fd, "first");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_asked_is_answered),
		TEST(an_answer_to_nobody_is_void),
		TEST(the_oldest_question_gives_way),
		TEST(what_is_no_question_is_dropped),
		TEST(another_server_takes_nothing_away),
		TEST(by_tcp_bytes_go_both_ways_each_to_its_end),
		TEST(a_connection_that_the_host_refuses_ends),
		TEST(who_comes_when_there_are_many_waits),
		TEST(another_server_listens_to_the_same_port_by_tcp),
		TEST(the_servers_own_ports_are_left_alone),
		TEST(without_a_server_nobody_listens),
		TEST(an_address_that_cannot_be_had_is_refused),
		TEST(a_server_may_come_with_the_start),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
