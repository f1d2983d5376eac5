/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent tells of a container's /proc. Mounting takes root; without it that part is skipped. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "guest-agent/agent_proc.h"

static char text[AGENT_PROC_TEXT_MAX + 1];

static int ask(int proc, uint32_t what, uint32_t pid)
{
	size_t len = 0;
	int r = proc_read(proc, what, pid, text, &len);

	assert_true(len <= AGENT_PROC_TEXT_MAX);
	text[r ? 0 : len] = 0;
	return r;
}

static void files_of_processes(void **state)
{
	const uint32_t self = (uint32_t)getpid();
	cleanup_close int proc = proc_open(getpid());
	char line[32];

	(void)state;
	assert_true(proc >= 0);
	assert_int_equal(ask(proc, AGENT_PROC_PIDS, 0), 0);
	snprintf(line, sizeof(line), "\n%u\n", self);
	assert_non_null(strstr(text, line));
	assert_int_equal(text[strspn(text, "0123456789\n")], 0);
	assert_int_equal(ask(proc, AGENT_PROC_STATUS, self), 0);
	assert_memory_equal(text, "Name:\t", 6);
	assert_int_equal(ask(proc, AGENT_PROC_STAT, self), 0);
	assert_int_equal(strtoul(text, NULL, 10), self);
	assert_int_equal(ask(proc, AGENT_PROC_CMDLINE, self), 0);
	assert_non_null(strstr(text, "test_agent_proc"));
	assert_int_equal(ask(proc, AGENT_PROC_MACHINE_STAT, 0), 0);
	assert_memory_equal(text, "cpu ", 4);
	assert_non_null(strstr(text, "\nbtime "));
	assert_null(strstr(text, "\nintr "));
	assert_null(strstr(text, "softirq "));
}

static void what_is_not_there(void **state)
{
	cleanup_close int proc = proc_open(getpid());

	(void)state;
	assert_int_equal(ask(-1, AGENT_PROC_PIDS, 0), -ENOENT);
	assert_int_equal(ask(proc, AGENT_PROC_STAT, 0x7fffffff), -ENOENT);
	assert_int_equal(ask(proc, AGENT_PROC_STAT, 0), -EINVAL);
	assert_int_equal(ask(proc, 0, 1), -EINVAL);
	assert_int_equal(ask(proc, AGENT_PROC_ATTR + 1, 1), -EINVAL);
	assert_int_equal(ask(proc, UINT32_MAX, 1), -EINVAL);
}

/* A child with mounts of its own: @what over @where. */
static pid_t child_with(const char *what, const char *where)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNS) == 0 && !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
		    !(strcmp(what, "tmpfs") ? mount(what, where, NULL, MS_BIND, NULL) :
					      mount(what, where, what, 0, NULL)) &&
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		close(ready[1]);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void only_a_procfs_is_looked_into(void **state)
{
	pid_t pid = child_with("tmpfs", "/proc");

	(void)state;
	if (pid < 0)
		skip();
	assert_int_equal(proc_open(pid), -1);
	end(pid);
}

/* What a container mounts in its /proc may be a file system of its own making, which never answers. */
static void mounts_in_it_are_not_crossed(void **state)
{
	cleanup_close int proc = -1;
	pid_t pid = child_with("/etc/hostname", "/proc/1/status");

	(void)state;
	if (pid < 0)
		skip();
	proc = proc_open(pid);
	assert_true(proc >= 0);
	assert_int_equal(ask(proc, AGENT_PROC_STATUS, 1), -EXDEV);
	assert_int_equal(ask(proc, AGENT_PROC_STAT, 1), 0);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_processes),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(only_a_procfs_is_looked_into),
		cmocka_unit_test(mounts_in_it_are_not_crossed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
