/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent and the worker for sockets say, and what they must not say. */
#include "container_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/connect_proto.h"
#include "base/log.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"

static uint32_t expect_request(struct fixture *f, uint32_t number)
{
	struct connect_request r;

	assert_int_equal(recv(f->worker, &r, sizeof(r), MSG_DONTWAIT), sizeof(r));
	assert_int_equal(le32toh(r.socket), number);
	return le32toh(r.slot);
}

static void worker_say(struct fixture *f, uint32_t slot, uint32_t code, int fd)
{
	struct connect_answer a = { htole32(slot), htole32(code) };
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(f->worker, &mh, 0), sizeof(a));
	fake_loop_run(f->loop);
}

static void expect_connected(struct fixture *f, uint32_t connection, uint32_t code, uint32_t *port)
{
	struct msg msg = expect_msg(f, f->agent, AGENT_CONNECTED);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);

	assert_int_equal(wire_get_u32(&r), connection);
	assert_int_equal(wire_get_u32(&r), code);
	*port = wire_get_u32(&r);
	assert_true(wire_done(&r));
	msg_release(&msg);
}

static void test_sockets(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint32_t slot, port;

	make_running(f);
	agent_say_numbers(f, AGENT_CONNECT, 70, 2);
	slot = expect_request(f, 2);
	worker_say(f, slot, 0, null);
	expect_connected(f, 70, 0, &port);
	assert_int_equal(port, AGENT_PORT_SOCKET(slot));
	assert_false(vsock_port_idle(&f->vs, port));
	/* another takes another place; one that is refused leaves its own */
	agent_say_numbers(f, AGENT_CONNECT, 71, 0);
	assert_int_not_equal(expect_request(f, 0), slot);
	worker_say(f, slot + 1, ECONNREFUSED, -1);
	expect_connected(f, 71, ECONNREFUSED, &port);
	fake_vsock_close(&f->vs, AGENT_PORT_SOCKET(slot));
	for (uint32_t i = 0; i < AGENT_SOCKET_CONNS_MAX; i++) {
		agent_say_numbers(f, AGENT_CONNECT, i, 0);
		assert_int_equal(expect_request(f, 0), i);
	}
	agent_say_numbers(f, AGENT_CONNECT, 99, 0); /* no place is left */
	expect_connected(f, 99, EAGAIN, &port);
	assert_false(f->failed);
	close(null);
}

/* The worker is a process of its own: nothing it says may break this one. */
static void test_sockets_worker_violations(void **state)
{
	static const struct {
		uint32_t slot, code;
		bool fd;
	} table[] = {
		{ 1, 0, true }, { AGENT_SOCKET_CONNS_MAX, 0, true }, { UINT32_MAX, 0, true },
		{ 0, 0, false }, { 0, 5, true }, { 0, 5000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fixture *f = fixture_new(-1);

		make_running(f);
		agent_say_numbers(f, AGENT_CONNECT, 1, 0);
		expect_request(f, 0);
		worker_say(f, table[i].slot, table[i].code, table[i].fd ? f->agent : -1);
		assert_true(f->failed);
		fixture_teardown((void **)&f);
	}
}

/* The agent is told of a local connection: its port. */
static uint32_t expect_local(struct fixture *f, uint32_t port)
{
	static const unsigned char address[] = { 127, 0, 0, 1 };
	struct msg msg = expect_msg(f, f->agent, AGENT_LOCAL);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	const uint32_t host_port = wire_get_u32(&r);
	const char *got;
	size_t len;

	assert_int_equal(wire_get_u32(&r), port);
	got = wire_get_bytes(&r, &len);
	assert_true(wire_done(&r));
	assert_int_equal(len, 4);
	assert_memory_equal(got, address, 4);
	msg_release(&msg);
	return host_port;
}

static int local_connect(struct fixture *f, int fd, uint32_t port)
{
	return container_local_connect(f->c, fd, port, "\177\0\0\1", 4);
}

static void test_local_connections(void **state)
{
	struct fixture *f = *state;
	int early = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2];

	/* nobody listens yet: refused, and closed */
	assert_int_equal(local_connect(f, early, 80), -ECONNREFUSED);
	assert_int_equal(fcntl(early, F_GETFD), -1);
	make_running(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(local_connect(f, pair[0], 80), 0);
	assert_int_equal(expect_local(f, 80), AGENT_PORT_LOCAL(0));
	assert_false(vsock_port_idle(&f->vs, AGENT_PORT_LOCAL(0)));
	/* of others nothing can be refused */
	agent_say_numbers(f, AGENT_LOCAL_FAILED, AGENT_PORT_LOCAL(1), ECONNREFUSED);
	agent_say_numbers(f, AGENT_LOCAL_FAILED, AGENT_PORT_LOCAL(AGENT_LOCAL_CONNS_MAX), 1);
	agent_say_numbers(f, AGENT_LOCAL_FAILED, AGENT_PORT_STREAM(0, 0), 1);
	agent_say_numbers(f, AGENT_LOCAL_FAILED, 0, UINT32_MAX);
	expect_state(f, VMM_STATE_RUNNING);
	assert_false(vsock_port_idle(&f->vs, AGENT_PORT_LOCAL(0)));
	agent_say_numbers(f, AGENT_LOCAL_FAILED, AGENT_PORT_LOCAL(0), ECONNREFUSED);
	expect_state(f, VMM_STATE_RUNNING);
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_LOCAL(0)));
	close(pair[1]);
	/* as many as there are places, and a place that is free again */
	for (uint32_t i = 0; i < AGENT_LOCAL_CONNS_MAX; i++) {
		assert_int_equal(local_connect(f, open("/dev/null", O_RDWR | O_CLOEXEC), 81), 0);
		assert_int_equal(expect_local(f, 81), AGENT_PORT_LOCAL(i));
	}
	assert_int_equal(local_connect(f, open("/dev/null", O_RDWR | O_CLOEXEC), 82), -EAGAIN);
	fake_vsock_close(&f->vs, AGENT_PORT_LOCAL(7));
	assert_int_equal(local_connect(f, open("/dev/null", O_RDWR | O_CLOEXEC), 83), 0);
	assert_int_equal(expect_local(f, 83), AGENT_PORT_LOCAL(7));
	assert_false(f->failed);
}

static void test_agent_error(void **state)
{
	struct fixture *f = *state;

	agent_hello(f);
	expect(f, f->agent, AGENT_CONTAINER);
	agent_say_error(f, 0, EACCES, "mount \x1b[31m/proc");
	expect_error(f, f->setup, EACCES, "/proc");
	expect(f, f->setup, 0);
	assert_true(f->failed);
	assert_false(f->ended);
	assert_true(container_creator_told(f->c)); /* it is said once */
}

/* Nobody waits any more: the VMM's own log has to have it. */
static void test_agent_broke_later(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	agent_say(f, 4711, NULL, 0);
	fake_loop_run(f->loop);
	assert_true(f->failed);
	assert_false(container_creator_told(f->c));
}

static void test_agent_gone(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	shutdown(f->agent, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_true(f->failed);
	assert_non_null(strstr(f->why, "agent"));
}

struct violation {
	uint32_t type;
	const char *payload;
	size_t len;
	bool running; /* else right at the start */
};

static void test_agent_violations(void **state)
{
	static const struct violation table[] = {
		{ AGENT_READY, "", 0, false }, /* before HELLO */
		{ AGENT_HELLO, "\2\0\0\0", 4, false },
		{ AGENT_HELLO, "\1\0\0\0\0", 5, false },
		{ AGENT_HELLO, "", 0, false },
		{ AGENT_CONTAINER, "", 0, false },
		{ 0, "", 0, false },
		{ AGENT_HELLO, "\1\0\0\0", 4, true },
		{ AGENT_READY, "", 0, true },
		{ AGENT_READY, "x", 1, true },
		{ 1000, "", 0, true },
		{ AGENT_START, "", 0, true },
		{ AGENT_STARTED, "\0\0\0\0\1\0\0\0", 8, true },
		{ AGENT_STARTED, "\7\0\0\0\1\0\0\0", 8, true },
		{ AGENT_STARTED, "\0\0\0", 3, true },
		{ AGENT_EXITED, "\7\0\0\0\0\0\0\0", 8, true },
		{ AGENT_EXITED, "\0\0\0\0", 4, true },
		{ AGENT_SIGNALED, "\0\0\0\0\0\0\0\0", 8, true },
		{ AGENT_SIGNALED, "\0\0\0\0\0\0\1\0", 8, true },
		{ AGENT_ERROR, "\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 12, true },
		{ AGENT_ERROR, "\0\0\0\0\xff\xff\xff\xff\0\0\0\0", 12, true },
		{ AGENT_LOG, "\x09\0\0\0\1\0\0\0x", 9, true },
		{ AGENT_CGROUP_IS, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, true }, /* never asked */
		{ AGENT_CGROUP_IS, "\0\0\0\0\0\0\0\0\1\0\0\0", 12, true },
		{ AGENT_LOG, "\1\0\0\0\5\0\0\0x", 9, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fixture *f = fixture_new(-1);

		if (table[i].running)
			make_running(f);
		log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
		agent_say(f, table[i].type, table[i].payload, table[i].len);
		if (!f->failed)
			print_error("violation %zu is not noticed\n", i);
		assert_true(f->failed);
		fixture_teardown((void **)&f);
	}
}

static void test_agent_oversize(void **state)
{
	struct fixture *f = *state;
	const uint32_t header[2] = { htole32(AGENT_LOG), htole32(1u << 20) };

	make_running(f);
	assert_int_equal(write(f->agent, header, sizeof(header)), sizeof(header));
	fake_loop_run(f->loop);
	assert_true(f->failed);
}

static void test_agent_odd_status(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	agent_say_numbers(f, AGENT_EXITED, 0, 0xffff7f);
	assert_true(f->ended);
	assert_int_equal(f->wait_status, SIGKILL);
}

static void test_oom(void **state)
{
	const uint32_t kills[] = { htole32(1), htole32(3) };
	struct fixture *f = *state;
	char mark[64];

	snprintf(mark, sizeof(mark), "%s/" VMM_OOM_MARK, f->oom_dir);
	make_running(f);
	assert_int_equal(access(mark, F_OK), -1);
	agent_say(f, AGENT_OOM, &kills[0], sizeof(kills[0]));
	assert_int_equal(access(mark, F_OK), 0);
	agent_say(f, AGENT_OOM, &kills[1], sizeof(kills[1]));
	assert_false(f->failed);
	assert_int_equal(rmdir(mark), 0);
	agent_say(f, AGENT_OOM, kills, sizeof(kills));
	assert_true(f->failed); /* too long to be what it is */
}

static void test_agent_log(void **state)
{
	struct fixture *f = *state;
	struct wire_writer w = { 0 };

	make_running(f);
	wire_put_u32(&w, LOG_LEVEL_DEBUG);
	wire_put_bytes(&w, "\0\x1b%s%n", 6);
	for (int i = 0; i < 100; i++)
		agent_say(f, AGENT_LOG, w.data, w.len);
	wire_writer_release(&w);
	assert_false(f->failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_agent_error),
		T(test_agent_broke_later),
		T(test_agent_gone),
		cmocka_unit_test(test_agent_violations),
		T(test_sockets),
		T(test_local_connections),
		cmocka_unit_test(test_sockets_worker_violations),
		T(test_agent_oversize),
		T(test_agent_odd_status),
		T(test_oom),
		T(test_agent_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
