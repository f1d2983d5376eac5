/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's life as its command lines see it. */
#include "container_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"

static void test_life(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	f->vs.hold = true;
	agent_say_numbers(f, AGENT_EXITED, 0, 3 << 8);
	expect_state(f, VMM_STATE_STOPPING);
	fake_vsock_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDIN));
	fake_vsock_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDERR));
	assert_false(f->ended);
	/* the agent may go before its last output is read */
	shutdown(f->agent, SHUT_RDWR);
	fake_loop_run(f->loop);
	fake_vsock_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDOUT));
	assert_true(f->ended);
	assert_int_equal(f->wait_status, 3 << 8);
	f->vs.hold = false;
}

static void test_killed_before_start(void **state)
{
	struct fixture *f = *state;
	const char kill[5] = { SIGKILL };
	int sock;
	struct msg msg;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_SIGNAL, kill, sizeof(kill));
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.len, 9);
	msg_release(&msg);
	/* the end itself answers */
	agent_say_numbers(f, AGENT_EXITED, 0, SIGKILL);
	expect(f, sock, VMM_OK);
	assert_true(f->ended);
	assert_int_equal(f->wait_status, SIGKILL);
	close(sock);
}

static void test_signal(void **state)
{
	struct fixture *f = *state;
	const char term[5] = { SIGTERM, 0, 0, 0, 1 }, wrong[5] = { 100 };
	int sock, other;
	struct msg msg;

	make_running(f);
	sock = connect_control(f);
	other = connect_control(f);
	request(f, sock, VMM_SIGNAL, wrong, sizeof(wrong));
	expect_error(f, sock, EINVAL, "signal");
	request(f, sock, VMM_SIGNAL, term, sizeof(term));
	request(f, other, VMM_SIGNAL, term, sizeof(term));
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_memory_equal(msg.payload, "\0\0\0\0\x0f\0\0\0\1", 9);
	msg_release(&msg);
	request(f, sock, VMM_STATE, NULL, 0); /* one at a time */
	expect_error(f, sock, EBUSY, "not answered");
	agent_say_numbers(f, AGENT_SIGNALED, 0, ESRCH);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0);
	expect_error(f, sock, ESRCH, "signal");
	expect(f, other, VMM_OK);
	/* one that leaves before the answer */
	request(f, sock, VMM_SIGNAL, term, sizeof(term));
	close(sock);
	fake_loop_run(f->loop);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0); /* never sent */
	assert_true(f->failed);
	close(other);
}

static void agent_say_cgroup(struct fixture *f, const char *why, const struct agent_pair *files,
			     size_t count)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, *why ? EINVAL : 0);
	wire_put_str(&w, why);
	agent_pairs_encode(&w, files, count);
	agent_say(f, AGENT_CGROUP_IS, w.data, w.len);
}

static void test_cgroup(void **state)
{
	const struct agent_pair ask = { (char *)"pids.max", (char *)"" };
	const struct agent_pair answer = { (char *)"pids.max", (char *)"77\n" };
	cleanup_wire struct wire_writer w = { 0 };
	struct fixture *f = *state;
	struct msg msg;
	int sock, other;

	agent_pairs_encode(&w, &ask, 1);
	make_running(f);
	sock = connect_control(f);
	other = connect_control(f);
	request(f, sock, VMM_CGROUP, w.data, w.len);
	request(f, other, VMM_CGROUP, w.data, w.len); /* one question at a time */
	expect_error(f, other, EAGAIN, "cgroup");
	msg = expect_msg(f, f->agent, AGENT_CGROUP);
	assert_int_equal(msg.len, w.len);
	assert_memory_equal(msg.payload, w.data, w.len);
	msg_release(&msg);
	agent_say_cgroup(f, "", &answer, 1);
	msg = expect_msg(f, sock, VMM_CGROUP_IS);
	assert_non_null(memmem(msg.payload, msg.len, "77\n", 3));
	msg_release(&msg);
	/* one that leaves before the answer */
	request(f, sock, VMM_CGROUP, w.data, w.len);
	close(sock);
	fake_loop_run(f->loop);
	agent_say_cgroup(f, "write `x`", NULL, 0);
	assert_false(f->failed);
	agent_say_cgroup(f, "", &answer, 1); /* never asked */
	assert_true(f->failed);
	close(other);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	int sock = connect_control(f);

	request(f, sock, VMM_PAUSE, NULL, 0);
	expect_error(f, sock, EINVAL, "pause");
	make_running(f);
	request(f, sock, VMM_PAUSE, NULL, 0);
	expect(f, sock, VMM_OK);
	assert_int_equal(f->paused, 1);
	request(f, sock, VMM_RESUME, NULL, 0);
	expect(f, sock, VMM_OK);
	assert_int_equal(f->paused, 0);
	close(sock);
}

static void test_setup_gone(void **state)
{
	struct fixture *f = *state;

	shutdown(f->setup, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_true(f->failed);
}

static void test_control_peers(void **state)
{
	struct fixture *f = *state;
	const uint32_t huge[2] = { htole32(VMM_STATE), htole32(0xffffffff) };
	int socks[70];

	make_running(f);
	socks[0] = connect_control(f);
	assert_int_equal(write(socks[0], huge, sizeof(huge)), sizeof(huge));
	expect(f, socks[0], 0);
	close(socks[0]);
	/* half a message, and silence */
	socks[0] = connect_control(f);
	assert_int_equal(write(socks[0], huge, 5), 5);
	expect_state(f, VMM_STATE_RUNNING);
	request(f, socks[0], 0, "", 0);
	close(socks[0]);
	fake_loop_run(f->loop);
	/* one that never reads is disconnected, sooner or later, and blocks nobody */
	socks[0] = connect_control(f);
	for (int i = 0; i < 20000; i++)
		if (msg_send(socks[0], 999, NULL, 0, NULL, 0) < 0)
			break;
		else if (i % 16 == 0)
			fake_loop_run(f->loop);
	expect_state(f, VMM_STATE_RUNNING);
	close(socks[0]);
	fake_loop_run(f->loop);
	for (size_t i = 0; i < 70; i++)
		socks[i] = connect_control(f);
	expect(f, socks[69], 0);
	for (size_t i = 0; i < 70; i++)
		close(socks[i]);
	fake_loop_run(f->loop);
	fake_loop_run(f->loop);
	fake_loop_run(f->loop);
	expect_state(f, VMM_STATE_RUNNING);
}

/* Signals and sessions belong to a whole process: in a child. */
static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void child_signals(void)
{
	struct fixture *f;
	struct msg msg;

	container_block_signals();
	f = fixture_new(-1);
	make_running(f);
	kill(getpid(), SIGUSR1);
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.payload[4], SIGUSR1);
	msg_release(&msg);
	kill(getpid(), SIGTERM);
	expect(f, f->agent, AGENT_SIGNAL);
	fixture_teardown((void **)&f);
	f = fixture_new(-1);
	kill(getpid(), SIGUSR1);
	fake_loop_run(f->loop);
	if (f->failed)
		_exit(1);
	kill(getpid(), SIGTERM);
	fake_loop_run(f->loop);
	if (!f->failed)
		_exit(2);
	fixture_teardown((void **)&f);
}

static void test_signals_of_others(void **state)
{
	(void)state;
	in_child(child_signals);
}

static void child_terminal(void)
{
	struct winsize size = { .ws_row = 30, .ws_col = 100 };
	int master, slave;
	struct fixture *f;
	struct msg msg;

	container_block_signals();
	if (openpty(&master, &slave, NULL, NULL, &size))
		_exit(1);
	f = fixture_new(slave);
	make_created(f);
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_memory_equal(msg.payload, "\0\0\0\0\x1e\0\0\0\x64\0\0\0", 12);
	msg_release(&msg);
	size.ws_row = 31;
	ioctl(master, TIOCSWINSZ, &size);
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_int_equal(msg.payload[4], 31);
	msg_release(&msg);
	if (vsock_port_idle(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_TERMINAL)))
		_exit(3);
	/* the terminal goes away: as for any session leader */
	close(master);
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.payload[4], SIGHUP);
	msg_release(&msg);
	fixture_teardown((void **)&f);
}

static void test_terminal(void **state)
{
	(void)state;
	in_child(child_terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_life),
		T(test_killed_before_start),
		T(test_signal),
		T(test_pause),
		T(test_setup_gone),
		T(test_cgroup),
		T(test_control_peers),
		cmocka_unit_test(test_signals_of_others),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
