/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A name server of the engine's, as the container finds it. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/msg.h"
#include "base/wire.h"
#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

#define SERVER 0x7f00000bu
/* As many questions as wait at one time. */
#define NAMES_MAX 64

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

static int bind_to(uint32_t address, bool reuse)
{
	const struct sockaddr_in at = address_of(address);
	const int value = reuse;
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

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
	assert_int_equal(bind_to(SERVER, false), -EADDRINUSE);
	other = bind_to(INADDR_LOOPBACK, false);
	assert_true(other >= 0);
	close(steal_fd(&other));
	every = bind_to(INADDR_ANY, true);
	assert_true(every >= 0);
	fd = client();
	ask(fd, "question", 8);
	answer(h, expect_question(h, "question", 8), "answer");
	expect_answer(fd, "answer");
	expect_silence(every);
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_asked_is_answered),
		TEST(an_answer_to_nobody_is_void),
		TEST(the_oldest_question_gives_way),
		TEST(what_is_no_question_is_dropped),
		TEST(another_server_takes_nothing_away),
		TEST(without_a_server_nobody_listens),
		TEST(an_address_that_cannot_be_had_is_refused),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
