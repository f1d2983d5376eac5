/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams, terminals, execs, and the order of things at a container's end. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

#define MIB (1u << 20)

/* A repeatable byte for each offset of a stream; no period that a buffer's size divides. */
static unsigned char pattern(size_t at)
{
	return (unsigned char)((at * 2654435761u) >> 13);
}

struct source {
	int fd;
	size_t len;
};

static void *write_pattern(void *data)
{
	struct source *s = data;
	unsigned char buf[60000];

	for (size_t at = 0; at < s->len;) {
		size_t n = s->len - at < sizeof(buf) ? s->len - at : sizeof(buf);
		ssize_t sent;

		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		sent = send(s->fd, buf, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return NULL;
		at += (size_t)sent;
	}
	shutdown(s->fd, SHUT_WR);
	return NULL;
}

static size_t read_pattern(int fd, unsigned int delay_us)
{
	unsigned char buf[70000];
	size_t at = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != pattern(at + (size_t)i))
				fail_msg("byte %zu differs", at + (size_t)i);
		at += (size_t)n;
		if (delay_us)
			usleep(delay_us);
	}
	return at;
}

static void through_cat(struct harness *h, size_t len, unsigned int delay_us)
{
	char *args[] = { (char *)"cat", NULL };
	struct agent_container *c = harness_spec(args);
	struct source source = { .len = len };
	pthread_t writer;
	uint32_t v[2];
	int out;

	c->process.stdin_open = true;
	harness_create(h, c);
	source.fd = harness_accept(h, 0, AGENT_STREAM_STDIN);
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	assert_int_equal(pthread_create(&writer, NULL, write_pattern, &source), 0);
	assert_int_equal(read_pattern(out, delay_us), len);
	pthread_join(writer, NULL);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[1], 0);
	close(source.fd);
	close(out);
}

static void hundred_mebibytes(void **state)
{
	NEED((struct harness *)*state);
	through_cat(*state, 100 * MIB + 17, 0);
}

static void slow_reader(void **state)
{
	NEED((struct harness *)*state);
	through_cat(*state, 4 * MIB + 1, 5000);
}

static void stdin_closed_is_null(void **state)
{
	struct harness *h = *state;
	char *out;

	NEED(h);
	out = harness_sh(h, "cat; test -c /dev/stdin && echo null; : >&0 && echo both");
	assert_string_equal(out, "null\nboth\n");
	free(out);
}

static void stdin_text(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("read a; read b; echo $b $a >&2; exit 3");
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	c->process.stdin_open = true;
	r = harness_run(h, c, "1\n2\n3\n");
	assert_string_equal(r.out, "");
	assert_string_equal(r.err, "2 1\n");
	assert_int_equal(WEXITSTATUS(r.status), 3);
}

/* A process that closes its stdout has ended that stream, though it goes on. */
static void early_close(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];
	char buf[8];
	int out;

	NEED(h);
	harness_create(h, harness_sh_spec("echo; exec 1>&-; exec sleep 1000"));
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	assert_int_equal(read(out, buf, sizeof(buf)), 1);
	assert_int_equal(read(out, buf, sizeof(buf)), 0);
	harness_signal(h, 0, SIGKILL, true);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	close(out);
}

/* The reader on the host goes away: the process sees SIGPIPE, as with a pipe of its own. */
static void reader_gone(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];

	NEED(h);
	harness_create(h, harness_sh_spec("sh -c 'yes; :' & wait $!; yes > /dev/null & kill -9 $!; exit 5"));
	close(harness_accept(h, 0, AGENT_STREAM_STDOUT));
	harness_start(h);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(WEXITSTATUS(v[1]), 5);
}

/* All that was written before the end arrives, though nobody read it until after. */
static void output_before_exit(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];
	char buf[65536];
	size_t all = 0;
	ssize_t n;
	int out;

	NEED(h);
	harness_create(h, harness_sh_spec("head -c 300000 /dev/zero"));
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	usleep(300000);
	while ((n = read(out, buf, sizeof(buf))) > 0)
		all += (size_t)n;
	assert_int_equal(all, 300000);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	close(out);
}

static ssize_t read_until(int fd, char *buf, size_t size, const char *end)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	while (len + 1 < size) {
		ssize_t n;

		if (poll(&p, 1, 5000) != 1)
			fail_msg("waited for `%s`, have `%.*s`", end, (int)len, buf);
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			fail_msg("end of file before `%s`, have `%.*s`", end, (int)len, buf);
		len += (size_t)n;
		buf[len] = 0;
		if (strstr(buf, end))
			return (ssize_t)len;
	}
	return -1;
}

static void terminal(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec(
		"trap 'stty size' WINCH; tty; stty size; ls -l /dev/console | cut -c 1;"
		"echo c > /dev/console; echo ready; for i in 1 2 3; do read x && break; done; "
		"echo got $x; exit 9");
	const uint32_t size[] = { 0, 50, 132 };
	char buf[4096];
	uint32_t v[2];
	int tty;

	NEED(h);
	c->process.terminal = true;
	c->process.uid = 1000;
	c->process.rows = 24;
	c->process.columns = 80;
	harness_create(h, c);
	tty = harness_accept(h, 0, AGENT_STREAM_TERMINAL);
	harness_start(h);
	assert_true(read_until(tty, buf, sizeof(buf), "ready\r\n") > 0);
	assert_string_equal(buf, "/dev/pts/0\r\n24 80\r\nc\r\nc\r\nready\r\n");
	harness_send_u32s(h, AGENT_RESIZE, size, 3);
	assert_true(read_until(tty, buf, sizeof(buf), "\r\n") > 0);
	assert_string_equal(buf, "50 132\r\n");
	assert_int_equal(write(tty, "line\n", 5), 5);
	assert_true(read_until(tty, buf, sizeof(buf), "got line\r\n") > 0);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(WEXITSTATUS(v[1]), 9);
	assert_int_equal(read(tty, buf, sizeof(buf)), 0);
	close(tty);
}

static void terminal_output_is_complete(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("stty -opost; head -c 200000 /dev/zero");
	char buf[65536];
	uint32_t v[2];
	size_t all = 0;
	ssize_t n;
	int tty;

	NEED(h);
	c->process.terminal = true;
	harness_create(h, c);
	tty = harness_accept(h, 0, AGENT_STREAM_TERMINAL);
	harness_start(h);
	while ((n = read(tty, buf, sizeof(buf))) > 0) {
		all += (size_t)n;
		usleep(1000);
	}
	assert_int_equal(all, 200000);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	close(tty);
}

/* A container to exec in: runs until SIGTERM. */
static void begin_server(struct harness *h)
{
	static char *args[] = { (char *)"sh", (char *)"-c",
				(char *)"trap 'exit 0' TERM; echo; while :; do sleep 0.05; done", NULL };
	char buf[4];
	int out;

	harness_create(h, harness_spec(args));
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	assert_int_equal(read(out, buf, sizeof(buf)), 1);
	close(out);
}

static void end_server(struct harness *h)
{
	uint32_t v[2];

	harness_signal(h, 0, SIGTERM, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 0);
	assert_int_equal(v[1], 0);
}

static struct agent_process exec_process(char **args)
{
	struct agent_process p = harness_spec(args)->process;

	return p;
}

static void exec_output(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"sh", (char *)"-c",
			 /* Where the kernel lets nobody look at another's namespaces, there is nothing to compare. */
			 (char *)"cat; hostname; grep ^0: /proc/self/cgroup; test $$ -gt 1; "
				 "readlink /proc/1/ns/pid >/dev/null 2>&1 || { echo 6; exit 4; }; "
				 "for n in pid mnt uts ipc net cgroup; do readlink /proc/1/ns/$n; "
				 "readlink /proc/$$/ns/$n; done | uniq | wc -l; exit 4",
			 NULL };
	struct agent_process p = exec_process(args);
	char buf[512];
	uint32_t v[2];
	int in, out;

	NEED(h);
	begin_server(h);
	p.stdin_open = true;
	harness_send_exec(h, 1, &p);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	assert_int_equal(v[0], 1);
	assert_true(v[1] > 1 && v[1] < 1000);
	in = harness_accept(h, 1, AGENT_STREAM_STDIN);
	out = harness_accept(h, 1, AGENT_STREAM_STDOUT);
	assert_int_equal(write(in, "hi\n", 3), 3);
	shutdown(in, SHUT_WR);
	assert_true(read_until(out, buf, sizeof(buf), "6\n") > 0);
	assert_string_equal(buf, h->cgroup[0] ? "hi\nbox\n0::/\n6\n" : "hi\nbox\n6\n");
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 1);
	assert_int_equal(WEXITSTATUS(v[1]), 4);
	close(in);
	close(out);
	end_server(h);
}

static void exec_terminal(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"sh", (char *)"-c", (char *)"stty size; read x; exit 6", NULL };
	struct agent_process p = exec_process(args);
	char buf[512];
	uint32_t v[2];
	int tty;

	NEED(h);
	begin_server(h);
	p.terminal = true;
	p.rows = 3;
	p.columns = 4;
	harness_send_exec(h, 2, &p);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	tty = harness_accept(h, 2, AGENT_STREAM_TERMINAL);
	assert_true(read_until(tty, buf, sizeof(buf), "3 4\r\n") > 0);
	assert_int_equal(write(tty, "\n", 1), 1);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 2);
	assert_int_equal(WEXITSTATUS(v[1]), 6);
	close(tty);
	end_server(h);
}

static void exec_not_found(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"nothere", NULL };
	struct agent_process p = exec_process(args);
	struct msg msg;

	NEED(h);
	begin_server(h);
	harness_send_exec(h, 1, &p);
	msg = harness_expect(h, AGENT_ERROR);
	assert_non_null(strstr(msg.payload + 12, "executable file `nothere` not found in $PATH"));
	msg_release(&msg);
	end_server(h);
}

/* A daemon that an exec leaves behind, with its streams, does not keep the exec's end back. */
static void exec_leaves_daemon(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"sh", (char *)"-c", (char *)"echo a; yes & exit 8", NULL };
	struct agent_process p = exec_process(args);
	char buf[65536];
	uint32_t v[2];
	int out;

	NEED(h);
	begin_server(h);
	harness_send_exec(h, 1, &p);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	out = harness_accept(h, 1, AGENT_STREAM_STDOUT);
	while (read(out, buf, sizeof(buf)) > 0)
		;
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 1);
	assert_int_equal(WEXITSTATUS(v[1]), 8);
	close(out);
	end_server(h);
}

static size_t agent_fds(const struct harness *h)
{
	char path[64];
	size_t count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)h->agent);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Whatever becomes of execs, nothing of them stays in the agent. */
static void many_execs(void **state)
{
	struct harness *h = *state;
	char *good[] = { (char *)"true", NULL }, *bad[] = { (char *)"nothere", NULL };
	size_t before;
	uint32_t v[2];

	NEED(h);
	begin_server(h);
	before = agent_fds(h);
	for (int i = 0; i < 100; i++) {
		struct agent_process p = exec_process(i % 4 == 3 ? bad : good);
		struct msg msg;

		p.stdin_open = i & 1;
		harness_send_exec(h, 1, &p);
		if (p.args == bad) {
			msg = harness_expect(h, AGENT_ERROR);
			msg_release(&msg);
		} else {
			harness_expect_u32s(h, AGENT_STARTED, v, 2);
			harness_expect_u32s(h, AGENT_EXITED, v, 2);
			assert_int_equal(v[1], 0);
		}
		for (int n = p.stdin_open ? 0 : 1; n < 3; n++)
			close(harness_accept(h, 1, n));
	}
	usleep(100000);
	assert_int_equal(agent_fds(h), before);
	end_server(h);
}

/* The container's end is told after its execs', and ends them. */
static void exec_dies_with_container(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"sleep", (char *)"1000", NULL };
	struct agent_process p = exec_process(args);
	uint32_t v[2];

	NEED(h);
	begin_server(h);
	harness_send_exec(h, 1, &p);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	harness_signal(h, 0, SIGTERM, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 1);
	assert_true(WIFSIGNALED(v[1]) && WTERMSIG(v[1]) == SIGKILL);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 0);
}

static void exec_before_start(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p;
	struct msg msg;

	NEED(h);
	harness_create(h, harness_spec(args));
	p = exec_process(args);
	harness_send_exec(h, 1, &p);
	msg = harness_expect(h, AGENT_ERROR);
	assert_string_equal(msg.payload + 12, "the container is not running");
	msg_release(&msg);
}

static void kill_all(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];
	char buf[64];
	int out;

	NEED(h);
	if (!h->cgroup[0])
		skip();
	harness_create(h, harness_sh_spec("sh -c 'trap \"echo child; exit\" USR1; echo; while :; do sleep 0.05;"
				  "done' & trap 'wait; exit 11' USR1; while :; do sleep 0.05; done"));
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	assert_int_equal(read(out, buf, sizeof(buf)), 1);
	harness_signal(h, 0, SIGUSR1, true);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	assert_int_equal(v[1], 0);
	assert_true(read_until(out, buf, sizeof(buf), "child\n") > 0);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(WEXITSTATUS(v[1]), 11);
	close(out);
}

static void malformed_messages(void **state)
{
	struct harness *h = *state;
	const uint32_t junk[] = { 0xffffffff, 0xffffffff, 3 };
	struct msg msg;

	NEED(h);
	harness_send_u32s(h, AGENT_CONTAINER, junk, 3);
	msg = harness_expect(h, AGENT_ERROR);
	msg_release(&msg);
	harness_send_u32s(h, AGENT_START, NULL, 0);
	msg = harness_expect(h, AGENT_ERROR);
	msg_release(&msg);
	harness_send_u32s(h, AGENT_EXEC, junk, 3);
	msg = harness_expect(h, AGENT_ERROR);
	msg_release(&msg);
	harness_send_u32s(h, AGENT_SIGNAL, junk, 1);
	msg = harness_expect(h, AGENT_SIGNALED);
	msg_release(&msg);
	harness_send_u32s(h, 4711, junk, 3);
	free(harness_sh(h, "true"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(hundred_mebibytes), TEST(slow_reader),	TEST(stdin_closed_is_null),
		TEST(stdin_text),	 TEST(early_close),	TEST(reader_gone),
		TEST(output_before_exit), TEST(terminal),	TEST(terminal_output_is_complete),
		TEST(exec_output),	 TEST(exec_terminal),	TEST(exec_not_found),
		TEST(exec_leaves_daemon), TEST(exec_dies_with_container),
		TEST(exec_before_start), TEST(many_execs), TEST(kill_all),	TEST(malformed_messages),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
