/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes beside the first one: how they start, who hears of their end, and who ends them. */
#include "container_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"

static void test_exec_error_at_start(void **state)
{
	struct fixture *f = *state;
	int sock;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_START, "\0\0\0", 4);
	expect(f, f->agent, AGENT_START);
	agent_say_error(f, 0, ENOENT, "executable file `x` not found in $PATH");
	expect_error(f, sock, ENOENT, "not found");
	assert_true(f->ended);
	assert_int_equal(WEXITSTATUS(f->wait_status), 127);
	close(sock);
}

static void send_exec(struct fixture *f, int sock, struct agent_process *p, int nfds)
{
	struct wire_writer w = { 0 };
	int fds[MSG_FDS_MAX];

	agent_process_encode(&w, p);
	for (int i = 0; i < nfds; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(msg_send(sock, VMM_EXEC, w.data, w.len, fds, (size_t)nfds), 0);
	for (int i = 0; i < nfds; i++)
		close(fds[i]);
	wire_writer_release(&w);
	fake_loop_run(f->loop);
}

static void expect_kill(struct fixture *f, uint32_t id)
{
	struct msg msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);

	assert_int_equal(wire_get_u32(&r), id);
	assert_int_equal(wire_get_u32(&r), SIGKILL);
	assert_false(wire_get_u8(&r));
	assert_true(wire_done(&r));
	msg_release(&msg);
}

static void test_exec(void **state)
{
	struct fixture *f = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p = { .args = args, .cwd = (char *)"/", .stdin_open = true };
	const uint32_t size[2] = { htole32(24), htole32(80) }, hup = htole32(SIGHUP);
	int sock = connect_control(f), term;
	struct wire_reader r;
	struct msg msg;

	send_exec(f, sock, &p, 3);
	expect_error(f, sock, EINVAL, "not running");
	make_running(f);
	send_exec(f, sock, &p, 2);
	expect_error(f, sock, EINVAL, "execute");
	request(f, sock, VMM_EXEC, "junk", 4);
	expect_error(f, sock, EINVAL, "malformed");

	/* ids count up: the refused one had one */
	send_exec(f, sock, &p, 3);
	msg = expect_msg(f, f->agent, AGENT_EXEC);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 2);
	msg_release(&msg);
	for (uint32_t n = 0; n < 3; n++)
		assert_false(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(2, n)));
	agent_say_numbers(f, AGENT_STARTED, 2, 17);
	msg = expect_msg(f, sock, VMM_STARTED);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 17);
	msg_release(&msg);

	/* another, with a terminal */
	term = connect_control(f);
	p.terminal = true;
	send_exec(f, term, &p, 1);
	expect(f, f->agent, AGENT_EXEC);
	assert_false(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(3, AGENT_STREAM_TERMINAL)));
	agent_say_numbers(f, AGENT_STARTED, 3, 18);
	expect(f, term, VMM_STARTED);
	request(f, term, VMM_EXEC_RESIZE, size, sizeof(size));
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_memory_equal(msg.payload, "\3\0\0\0\x18\0\0\0\x50\0\0\0", 12);
	msg_release(&msg);
	request(f, term, VMM_EXEC_SIGNAL, &hup, sizeof(hup));
	expect(f, f->agent, AGENT_SIGNAL);
	agent_say_numbers(f, AGENT_SIGNALED, 3, 0);
	close(term); /* who waited for it was killed: so is the process */
	fake_loop_run(f->loop);
	expect_kill(f, 3);
	agent_say_numbers(f, AGENT_SIGNALED, 3, 0);

	f->vs.hold = true;
	agent_say_numbers(f, AGENT_EXITED, 2, 5 << 8);
	for (uint32_t n = 0; n < 3; n++) {
		assert_int_equal(recv(sock, &r, 1, MSG_PEEK), -1);
		fake_vsock_close(&f->vs, AGENT_PORT_STREAM(2, n));
	}
	f->vs.hold = false;
	msg = expect_msg(f, sock, VMM_EXITED);
	assert_memory_equal(msg.payload, "\0\5\0\0", 4);
	msg_release(&msg);
	agent_say_numbers(f, AGENT_EXITED, 3, SIGKILL);
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(3, AGENT_STREAM_TERMINAL)));
	assert_false(f->failed || f->ended);

	/* one that cannot be executed; the connection is free for the next */
	p.terminal = p.stdin_open = false;
	send_exec(f, sock, &p, 3);
	expect(f, f->agent, AGENT_EXEC);
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(4, AGENT_STREAM_STDIN)));
	agent_say_error(f, 4, EACCES, "permission denied");
	expect_error(f, sock, EACCES, "permission denied");
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(4, AGENT_STREAM_STDOUT)));
	request(f, sock, VMM_STATE, NULL, 0);
	expect(f, sock, VMM_STATE_IS);
	close(sock);
}

static void test_too_many_execs(void **state)
{
	struct fixture *f = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p = { .args = args, .cwd = (char *)"/" };
	int socks[64];

	make_running(f);
	for (size_t i = 0; i < 62; i++) {
		socks[i] = connect_control(f);
		send_exec(f, socks[i], &p, 3);
		expect(f, f->agent, AGENT_EXEC);
	}
	/* what gone command lines asked for has to end before its place is another's */
	for (size_t i = 0; i < 62; i++) {
		close(socks[i]);
		fake_loop_run(f->loop);
		expect_kill(f, (uint32_t)i + 1);
	}
	for (size_t i = 0; i < 3; i++) {
		socks[i] = connect_control(f);
		send_exec(f, socks[i], &p, 3);
	}
	expect_error(f, socks[2], EAGAIN, "another process");
	/* the machine's end is told to those who wait */
	container_machine_failed(f->c, "the guest broke");
	expect_error(f, socks[0], 0, "the guest broke");
	for (size_t i = 0; i < 3; i++)
		close(socks[i]);
}

/* More signals than may wait for answers: the process is killed when there is room for one more. */
static void test_exec_killed_late(void **state)
{
	struct fixture *f = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p = { .args = args, .cwd = (char *)"/" };
	const uint32_t hup = htole32(SIGHUP);
	struct msg msg;
	int sock;

	make_running(f);
	sock = connect_control(f);
	send_exec(f, sock, &p, 3);
	expect(f, f->agent, AGENT_EXEC);
	agent_say_numbers(f, AGENT_STARTED, 1, 17);
	expect(f, sock, VMM_STARTED);
	for (size_t i = 0; i < 128; i++) {
		request(f, sock, VMM_EXEC_SIGNAL, &hup, sizeof(hup));
		expect(f, f->agent, AGENT_SIGNAL);
	}
	close(sock);
	fake_loop_run(f->loop);
	assert_int_equal(recv(f->agent, &msg, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	agent_say_numbers(f, AGENT_SIGNALED, 1, 0);
	expect_kill(f, 1);
	/* once */
	agent_say_numbers(f, AGENT_SIGNALED, 1, 0);
	assert_int_equal(recv(f->agent, &msg, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	/* one that has ended already is left alone */
	sock = connect_control(f);
	send_exec(f, sock, &p, 3);
	expect(f, f->agent, AGENT_EXEC);
	agent_say_numbers(f, AGENT_STARTED, 2, 18);
	expect(f, sock, VMM_STARTED);
	f->vs.hold = true;
	agent_say_numbers(f, AGENT_EXITED, 2, 0);
	close(sock);
	fake_loop_run(f->loop);
	assert_int_equal(recv(f->agent, &msg, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	assert_false(f->failed || f->ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_exec_error_at_start),
		T(test_exec),
		T(test_too_many_execs),
		T(test_exec_killed_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
