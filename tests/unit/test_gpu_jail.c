/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the render server's jail forbids: this program is executed in it, in the server's place, tries,
 * and says on its socket what came of it. Skipped without the privilege to make the jail.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "gpu_jail.h"
#include "gpu_select.h"
#include "unit.h"

#define SERVER_FD 3

static long try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_socketpair(void)
{
	int pair[2];

	return socketpair(AF_TIPC, SOCK_STREAM, 0, pair);
}

static long try_unix_pair(void)
{
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static long try_fanotify(void)
{
	return syscall(SYS_fanotify_init, FAN_REPORT_FID, 0);
}

static long try_name_to_handle(void)
{
	struct file_handle handle = { 0 };
	int mount;

	return syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount, 0);
}

static long try_open_by_handle(void)
{
	return syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0);
}

static long try_ldt(void)
{
	char ldt[64];

	return syscall(SYS_modify_ldt, 0, ldt, sizeof(ldt));
}

static long try_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, SERVER_FD, SERVER_FD);
}

static long try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static const struct {
	const char *name;
	long (*fn)(void);
	int error; /* 0: it works */
} tries[] = {
	{ "socket", try_socket, EAFNOSUPPORT },
	{ "socketpair", try_socketpair, EAFNOSUPPORT },
	{ "socketpair of unix sockets", try_unix_pair, 0 },
	{ "fanotify_init", try_fanotify, EPERM },
	{ "name_to_handle_at", try_name_to_handle, EPERM },
	{ "open_by_handle_at", try_open_by_handle, EPERM },
	{ "modify_ldt", try_ldt, EPERM },
	{ "kcmp", try_kcmp, EPERM },
	{ "unshare", try_unshare, EPERM },
};

#define TRIES (sizeof(tries) / sizeof(*tries))

/* Ends at once: what a sanitizer would do at exit, it could not do there. */
static void __attribute__((noreturn)) in_jail(void)
{
	int results[TRIES];

	for (size_t i = 0; i < TRIES; i++)
		results[i] = tries[i].fn() < 0 ? errno : 0;
	_exit(write(SERVER_FD, results, sizeof(results)) == sizeof(results) ? 0 : 1);
}

static void test_forbidden(void **state)
{
	char self[PATH_MAX] = "";
	char *devices[] = { NULL };
	const struct gpu_choice choice = { .driver = (char *)"software", .software = true,
					   .icd = (char *)"/usr/share/vulkan/icd.d/x.json",
					   .devices = devices };
	struct gpu_jail jail = { .choice = &choice, .watch_fd = -1, .log_fd = STDERR_FILENO,
				 .cgroup_fd = -1, .layer = "/usr/share", .server = self };
	struct error *err = NULL;
	int sock[2], results[TRIES];
	pid_t pid;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	jail.server_fd = sock[1];
	if (gpu_render_server_spawn(&jail, &pid, &err) < 0)
		fail_msg("%s", error_msg(err));
	close(sock[1]);
	assert_int_equal(recv(sock[0], results, sizeof(results), 0), sizeof(results));
	for (size_t i = 0; i < TRIES; i++)
		if (results[i] != tries[i].error)
			fail_msg("%s: %s", tries[i].name, strerror(results[i]));
	close(sock[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_forbidden) };

	if (argc > 1 && !strcmp(argv[1], "--socket-fd"))
		in_jail();
	if (geteuid()) {
		print_message("skipped: not root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
