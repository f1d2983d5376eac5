/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions about names, and connections to who answers them, between the agent and krun-gpu-net. */
#include "container_fixture.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/log.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"
#include "vmm/net_plugs.h"

static struct virtio_device *const no_nets[VMM_NET_MAX];

struct plugs {
	struct fixture *f;
	struct net_plugs *np;
	int net; /* krun-gpu-net's end */
};

static int setup(void **state)
{
	struct plugs *p = calloc(1, sizeof(*p));
	int pair[2];

	p->f = fixture_new(-1);
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	p->net = pair[1];
	p->np = net_plugs_create(p->f->loop, pair[0], &p->f->cfg, no_nets, p->f->c, NULL);
	assert_non_null(p->np);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct plugs *p = *state;
	void *f = p->f;

	net_plugs_free(p->np);
	close(p->net);
	fixture_teardown(&f);
	free(p);
	return 0;
}

static bool readable(int sock)
{
	struct pollfd pfd = { sock, POLLIN, 0 };

	return poll(&pfd, 1, 0) > 0;
}

static void net_says(struct plugs *p, uint32_t type, const void *payload, size_t len)
{
	assert_int_equal(msg_send(p->net, type, payload, len, NULL, 0), 0);
	fake_loop_run(p->f->loop);
}

/* As far as krun-gpu-net is asked what has changed; the connection of who starts it. */
static int begin_start(struct plugs *p)
{
	struct wire_reader r;
	struct msg msg;
	int sock;

	make_created(p->f);
	sock = connect_control(p->f);
	request(p->f, sock, VMM_START, "\x0b\0\0\x7f", 4);
	msg = expect_msg(p->f, p->net, VMM_NET_SETTLE);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 0x7f00000b);
	assert_true(wire_done(&r));
	msg_release(&msg);
	assert_false(readable(p->f->agent));
	return sock;
}

/* The agent starts it, and answers at the address. */
static void end_start(struct plugs *p, int sock, uint32_t name_server)
{
	struct msg msg = expect_msg(p->f, p->f->agent, AGENT_START);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);

	assert_int_equal(wire_get_u32(&r), name_server);
	assert_true(wire_done(&r));
	msg_release(&msg);
	agent_say_numbers(p->f, AGENT_STARTED, 0, 1);
	expect(p->f, sock, VMM_OK);
	close(sock);
	expect_state(p->f, VMM_STATE_RUNNING);
}

static void run_container(struct plugs *p)
{
	int sock = begin_start(p);

	net_says(p, VMM_NET_SETTLED, "\0\0\0", 4);
	end_start(p, sock, 0);
}

static void put(struct wire_writer *w, uint32_t cookie, const void *text, size_t len)
{
	wire_put_u32(w, cookie);
	wire_put_bytes(w, text, len);
	assert_false(w->failed);
}

static void agent_asks(struct plugs *p, uint32_t cookie, const void *text, size_t len)
{
	struct wire_writer w = { 0 };

	put(&w, cookie, text, len);
	agent_say(p->f, AGENT_DNS, w.data, w.len);
	wire_writer_release(&w);
}

static void net_answers(struct plugs *p, uint32_t cookie, const void *text, size_t len)
{
	struct wire_writer w = { 0 };

	put(&w, cookie, text, len);
	net_says(p, VMM_NET_DNS_IS, w.data, w.len);
	wire_writer_release(&w);
}

static void expect_text(struct plugs *p, int sock, uint32_t type, uint32_t cookie, const void *text,
			size_t len)
{
	struct msg msg = expect_msg(p->f, sock, type);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	const char *got;
	size_t size;

	assert_int_equal(wire_get_u32(&r), cookie);
	got = wire_get_bytes(&r, &size);
	assert_true(wire_done(&r));
	assert_int_equal(size, len);
	assert_memory_equal(got, text, len);
	msg_release(&msg);
}

static void questions_and_answers_pass(void **state)
{
	static const char large[AGENT_DNS_MAX] = "large";
	struct plugs *p = *state;

	run_container(p);
	agent_asks(p, 7, "a\0b", 3);
	agent_asks(p, UINT32_MAX, large, sizeof(large));
	expect_text(p, p->net, VMM_NET_DNS, 7, "a\0b", 3);
	expect_text(p, p->net, VMM_NET_DNS, UINT32_MAX, large, sizeof(large));
	net_answers(p, UINT32_MAX, large, sizeof(large));
	net_answers(p, 7, "c", 1);
	expect_text(p, p->f->agent, AGENT_DNS_IS, UINT32_MAX, large, sizeof(large));
	expect_text(p, p->f->agent, AGENT_DNS_IS, 7, "c", 1);
	assert_false(p->f->failed);
}

/* Of a table: a container of its own, which runs. */
static struct plugs *begin_row(void **state)
{
	setup(state);
	run_container(*state);
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	return *state;
}

static void what_is_no_question_breaks_the_protocol(void **state)
{
	static const char large[AGENT_DNS_MAX + 1];
	static const struct {
		const char *payload;
		size_t len;
	} table[] = {
		{ "", 0 }, { "\1\0\0\0", 4 }, { "\1\0\0\0\0\0\0\0", 8 }, { "\1\0\0\0\2\0\0\0x", 9 },
		{ "\1\0\0\0\1\0\0\0xy", 10 },
	};

	for (size_t i = 0; i <= sizeof(table) / sizeof(*table); i++) {
		struct plugs *p = begin_row(state);

		if (i < sizeof(table) / sizeof(*table))
			agent_say(p->f, AGENT_DNS, table[i].payload, table[i].len);
		else
			agent_asks(p, 1, large, sizeof(large));
		assert_true(p->f->failed);
		assert_false(readable(p->net));
		teardown(state);
	}
}

/* The container lives on, and nobody is asked any more. */
static void what_is_no_answer_ends_the_conversation(void **state)
{
	static const char large[AGENT_DNS_MAX + 1];
	static const struct {
		const char *payload;
		size_t len;
	} table[] = {
		{ "", 0 }, { "\1\0\0\0", 4 }, { "\1\0\0\0\0\0\0\0", 8 }, { "\1\0\0\0\2\0\0\0x", 9 },
		{ "\1\0\0\0\1\0\0\0xy", 10 },
	};

	for (size_t i = 0; i <= 1 + sizeof(table) / sizeof(*table); i++) {
		struct plugs *p = begin_row(state);

		if (i < sizeof(table) / sizeof(*table)) {
			net_says(p, VMM_NET_DNS_IS, table[i].payload, table[i].len);
		} else if (i == sizeof(table) / sizeof(*table)) {
			net_answers(p, 1, large, sizeof(large));
		} else {
			assert_int_equal(msg_send(p->net, VMM_NET_DNS_IS, "\1\0\0\0\1\0\0\0x", 9,
						  &p->net, 1), 0);
			fake_loop_run(p->f->loop);
		}
		assert_false(readable(p->f->agent));
		agent_asks(p, 1, "question", 8);
		assert_false(readable(p->net));
		expect_state(p->f, VMM_STATE_RUNNING);
		teardown(state);
	}
}

static void a_full_socket_costs_a_question_and_nothing_else(void **state)
{
	static const char large[AGENT_DNS_MAX];
	struct plugs *p = *state;
	uint32_t asked = 1000, got = 0;

	run_container(p);
	for (uint32_t i = 0; i < asked; i++)
		agent_asks(p, i, large, sizeof(large));
	expect_state(p->f, VMM_STATE_RUNNING);
	while (readable(p->net))
		expect_text(p, p->net, VMM_NET_DNS, got++, large, sizeof(large));
	assert_in_range(got, 1, asked - 1);
	agent_asks(p, 5, "again", 5);
	expect_text(p, p->net, VMM_NET_DNS, 5, "again", 5);
}

static void with_nobody_to_ask_questions_are_dropped(void **state)
{
	struct plugs *p = *state;

	run_container(p);
	shutdown(p->net, SHUT_RDWR);
	fake_loop_run(p->f->loop);
	agent_asks(p, 1, "question", 8);
	expect_state(p->f, VMM_STATE_RUNNING);
	net_plugs_free(p->np);
	p->np = NULL;
	agent_asks(p, 2, "question", 8);
	expect_state(p->f, VMM_STATE_RUNNING);
	assert_false(p->f->failed);
}

static void a_name_server_may_come_before_the_process(void **state)
{
	struct plugs *p = *state;
	int sock = begin_start(p);

	net_says(p, VMM_NET_SETTLED, "\x0b\0\0\x7f", 4);
	end_start(p, sock, 0x7f00000b);
}

static void the_process_begins_when_nobody_follows_the_network(void **state)
{
	struct plugs *p = *state;
	int sock = begin_start(p);

	shutdown(p->net, SHUT_RDWR);
	fake_loop_run(p->f->loop);
	end_start(p, sock, 0);
}

static void a_process_is_not_started_early(void **state)
{
	struct plugs *p = *state;
	int sock = begin_start(p);

	agent_say_numbers(p->f, AGENT_STARTED, 0, 1);
	assert_true(p->f->failed);
	close(sock);
}

/* krun-gpu-net is asked for a connection: the slot. */
static uint32_t expect_connect(struct plugs *p)
{
	struct msg msg = expect_msg(p->f, p->net, VMM_NET_DNS_CONNECT);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	const uint32_t slot = wire_get_u32(&r);

	assert_true(wire_done(&r));
	msg_release(&msg);
	return slot;
}

static void net_connected(struct plugs *p, uint32_t slot, uint32_t code, size_t fds)
{
	const uint32_t v[] = { htole32(slot), htole32(code) };
	const int copies[] = { p->net, p->net };

	assert_int_equal(msg_send(p->net, VMM_NET_DNS_CONNECTED, v, sizeof(v), copies, fds), 0);
	fake_loop_run(p->f->loop);
}

static uint32_t expect_connected(struct plugs *p, uint32_t connection, uint32_t code)
{
	struct msg msg = expect_msg(p->f, p->f->agent, AGENT_CONNECTED);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	uint32_t port;

	assert_int_equal(wire_get_u32(&r), connection);
	assert_int_equal(wire_get_u32(&r), code);
	port = wire_get_u32(&r);
	assert_true(wire_done(&r));
	msg_release(&msg);
	return port;
}

static void connections_are_made_and_refused(void **state)
{
	struct plugs *p = *state;
	uint32_t one, two, port;

	run_container(p);
	agent_say_numbers(p->f, AGENT_CONNECT, 70, AGENT_SOCKET_NAMES);
	agent_say_numbers(p->f, AGENT_CONNECT, 71, AGENT_SOCKET_NAMES);
	one = expect_connect(p);
	two = expect_connect(p);
	assert_int_not_equal(one, two);
	net_connected(p, two, ECONNREFUSED, 0);
	expect_connected(p, 71, ECONNREFUSED);
	net_connected(p, one, 0, 1);
	port = expect_connected(p, 70, 0);
	assert_int_equal(port, AGENT_PORT_SOCKET(one));
	assert_false(vsock_port_idle(&p->f->vs, port));
	fake_vsock_close(&p->f->vs, port);
	/* places are had again, and there are so many */
	for (uint32_t i = 0; i < AGENT_SOCKET_CONNS_MAX; i++) {
		agent_say_numbers(p->f, AGENT_CONNECT, i, AGENT_SOCKET_NAMES);
		assert_int_equal(expect_connect(p), i);
	}
	agent_say_numbers(p->f, AGENT_CONNECT, 99, AGENT_SOCKET_NAMES);
	expect_connected(p, 99, EAGAIN);
	assert_false(readable(p->net));
}

static void an_answer_to_no_connection_ends_the_conversation(void **state)
{
	static const struct {
		uint32_t slot, code;
		size_t fds;
	} table[] = {
		{ 0, 0, 0 }, { 0, 5, 1 }, { 0, 5000, 0 }, { 0, 0, 2 }, { 2, 0, 1 },
		{ AGENT_SOCKET_CONNS_MAX, 0, 1 }, { UINT32_MAX, 0, 1 },
		{ 1, 0, 1 }, /* the worker for sockets has that to make */
	};

	for (size_t i = 0; i <= sizeof(table) / sizeof(*table); i++) {
		struct plugs *p = begin_row(state);

		agent_say_numbers(p->f, AGENT_CONNECT, 70, AGENT_SOCKET_NAMES);
		agent_say_numbers(p->f, AGENT_CONNECT, 71, 0);
		assert_int_equal(expect_connect(p), 0);
		if (i < sizeof(table) / sizeof(*table))
			net_connected(p, table[i].slot, table[i].code, table[i].fds);
		else
			net_says(p, VMM_NET_DNS_CONNECTED, "\0\0\0\0\0\0\0\0x", 9);
		/* who waits is told, and who comes */
		expect_connected(p, 70, EPIPE);
		agent_say_numbers(p->f, AGENT_CONNECT, 72, AGENT_SOCKET_NAMES);
		expect_connected(p, 72, ECONNREFUSED);
		assert_false(readable(p->f->agent));
		expect_state(p->f, VMM_STATE_RUNNING);
		teardown(state);
	}
}

/* The worker for sockets, too, has what it was asked for to answer, and nothing else. */
static void the_worker_makes_no_connection_to_the_server(void **state)
{
	const uint32_t answer[] = { 0, htole32(ECONNREFUSED) };
	struct plugs *p = *state;

	run_container(p);
	agent_say_numbers(p->f, AGENT_CONNECT, 70, AGENT_SOCKET_NAMES);
	assert_int_equal(expect_connect(p), 0);
	assert_int_equal(send(p->f->worker, answer, sizeof(answer), 0), sizeof(answer));
	fake_loop_run(p->f->loop);
	assert_true(p->f->failed);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(questions_and_answers_pass),
		cmocka_unit_test(what_is_no_question_breaks_the_protocol),
		cmocka_unit_test(what_is_no_answer_ends_the_conversation),
		TEST(a_full_socket_costs_a_question_and_nothing_else),
		TEST(with_nobody_to_ask_questions_are_dropped),
		TEST(connections_are_made_and_refused),
		TEST(a_name_server_may_come_before_the_process),
		TEST(the_process_begins_when_nobody_follows_the_network),
		TEST(a_process_is_not_started_early),
		cmocka_unit_test(an_answer_to_no_connection_ends_the_conversation),
		TEST(the_worker_makes_no_connection_to_the_server),
	};

	return cmocka_run_group_tests_name("names in the VMM", tests, NULL, NULL);
}
