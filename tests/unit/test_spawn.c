/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "spawn.h"

/* Runs a shell with a pipe as its fd 5; answers with what it wrote there. */
static char *output_of(const char *script, struct spawn *s)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	struct process_ref child;
	int p[2];
	char *text;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	s->argv = argv;
	s->log_fd = 2;
	s->cgroup_fd = s->netns_fd = -1;
	s->fds[s->num_fds++] = (struct spawn_fd){ p[1], 5 };
	assert_int_equal(spawn_process(s, &child, NULL), 0);
	close(p[1]);
	text = fd_read_file(p[0], 4096, NULL);
	close(p[0]);
	assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
	return text;
}

static void only_the_listed_files_are_there(void **state)
{
	struct spawn s = { 0 };
	int leak = open("/dev/zero", O_RDONLY); /* not close-on-exec */
	cleanup_free char *text = output_of(
		"for n in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done >&5", &s);

	(void)state;
	close(leak);
	assert_string_equal(text, "0\n1\n2\n5\n");
}

static void files_may_change_places(void **state)
{
	struct spawn s = { 0 };
	int a[2], b[2], x, y;
	cleanup_free char *text = NULL;

	(void)state;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_equal(write(a[1], "A\n", 2), 2);
	assert_int_equal(write(b[1], "B\n", 2), 2);
	close(a[1]);
	close(b[1]);
	x = dup2(a[0], 8);
	y = dup2(b[0], 9);
	s.fds[s.num_fds++] = (struct spawn_fd){ x, y };
	s.fds[s.num_fds++] = (struct spawn_fd){ y, x };
	text = output_of("read x <&8; read y <&9; echo $x$y >&5", &s);
	assert_string_equal(text, "BA\n");
	close(a[0]);
	close(b[0]);
	close(x);
	close(y);
}

static void the_environment_is_empty_and_signals_are_fresh(void **state)
{
	struct spawn s = { .new_session = true };
	cleanup_free char *text = NULL;
	sigset_t set, old;

	(void)state;
	setenv("LEAK", "1", 1);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, &old);
	text = output_of("echo ${LEAK-none} $(grep -E 'SigBlk|SigIgn' /proc/self/status | "
			 "tr -d '\\t\\n') >&5", &s);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(text, "none SigBlk:0000000000000000SigIgn:0000000000000000\n");
}

static int refuse(void *data, struct error **err)
{
	return error_set(err, 0, "refused: %s", (const char *)data);
}

static void failures_in_the_child_are_told(void **state)
{
	const char *nothing[] = { "/no/such/program", NULL };
	struct spawn s = { .argv = nothing, .log_fd = 2, .cgroup_fd = -1, .netns_fd = -1 };
	cleanup_error struct error *err = NULL;
	struct process_ref child;

	(void)state;
	assert_int_equal(spawn_process(&s, &child, &err), -1);
	assert_string_equal(error_msg(err),
			    "cannot execute /no/such/program: No such file or directory");
	s.prepare = refuse;
	s.data = (void *)"why";
	assert_int_equal(spawn_process(&s, &child, &err), -1);
	assert_string_equal(error_msg(err), "refused: why");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_listed_files_are_there),
		cmocka_unit_test(files_may_change_places),
		cmocka_unit_test(the_environment_is_empty_and_signals_are_fresh),
		cmocka_unit_test(failures_in_the_child_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
