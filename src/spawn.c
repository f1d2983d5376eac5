/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: between fork and exec the child moves into its cgroup and namespaces,
 * arranges its file descriptors and executes. A close-on-exec pipe tells the parent: end of file
 * means executed, anything else is the reason why not.
 */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

/* Above every target, so that no dup2() can hit a source that is still needed. */
#define SPAWN_FD_HIGH 64

static int child_join_cgroup(int cgroup_fd, struct error **err)
{
	cleanup_close int fd = -1;

	if (cgroup_fd < 0)
		return 0;
	fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		return error_set(err, errno, "cannot join the container's cgroup");
	return 0;
}

static int child_join_netns(const struct spawn *s, struct error **err)
{
	if (s->netns_fd >= 0 && setns(s->netns_fd, CLONE_NEWNET) < 0)
		return error_set(err, errno, "cannot join the network namespace");
	if (s->new_netns && unshare(CLONE_NEWNET) < 0)
		return error_set(err, errno, "cannot make a network namespace");
	return 0;
}

static bool apparmor_is_enabled(void)
{
	cleanup_close int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	char c;

	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

/* As crun does it, a host without AppArmor goes without; that it is so is said. */
static int child_set_profile(const char *profile, struct error **err)
{
	cleanup_close int fd = -1;

	if (!profile || !*profile)
		return 0;
	if (!apparmor_is_enabled()) {
		log_warning("process.apparmorProfile: the host has no AppArmor, so that %s is not "
			    "applied to the VMM", profile);
		return 0;
	}
	/* The second is where kernels before 5.1 have it. */
	fd = open("/proc/thread-self/attr/apparmor/exec", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		fd = open("/proc/thread-self/attr/exec", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "exec %s", profile) < 0)
		return error_set(err, errno, "process.apparmorProfile: cannot apply %s to the VMM",
				 profile);
	return 0;
}

/* SELinux only: nobody else listens to this file unless told to. */
static int child_set_label(const char *label, struct error **err)
{
	cleanup_close int fd = -1;

	if (!label || !*label || access("/sys/fs/selinux/enforce", F_OK) < 0)
		return 0;
	fd = open("/proc/thread-self/attr/exec", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, label, strlen(label)) < 0)
		return error_set(err, errno, "process.selinuxLabel: cannot set %s", label);
	return 0;
}

static int child_raise_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_FD_HIGH);
}

static int child_arrange_fds(const struct spawn *s, int *report, struct error **err)
{
	int high[SPAWN_FDS_MAX], keep[SPAWN_FDS_MAX + 1];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), log = child_raise_fd(s->log_fd);

	*report = child_raise_fd(*report);
	for (size_t i = 0; i < s->num_fds; i++) {
		high[i] = child_raise_fd(s->fds[i].from);
		keep[i] = s->fds[i].to;
		if (high[i] < 0)
			return error_set(err, errno, "cannot pass a file descriptor");
	}
	keep[s->num_fds] = *report;
	if (null < 0 || log < 0 || *report < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(log, 2) < 0)
		return error_set(err, errno, "cannot set up standard file descriptors");
	for (size_t i = 0; i < s->num_fds; i++)
		if (dup2(high[i], s->fds[i].to) < 0)
			return error_set(err, errno, "cannot pass a file descriptor");
	if (fd_keep_only(keep, s->num_fds + 1) < 0)
		return error_set(err, errno, "cannot close file descriptors");
	return 0;
}

static void child_reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Runs in the child; answers only when something failed. */
static void child_exec(const struct spawn *s, int *report, struct error **err)
{
	char *const no_environment[] = { NULL };

	child_reset_signals();
	if (s->new_session)
		setsid();
	if (child_join_cgroup(s->cgroup_fd, err) < 0 || child_join_netns(s, err) < 0 ||
	    (s->prepare && s->prepare(s->data, err) < 0) ||
	    child_set_label(s->selinux_label, err) < 0 ||
	    child_set_profile(s->apparmor_profile, err) < 0 || child_arrange_fds(s, report, err) < 0)
		return;
	if (!s->prepare && chdir("/") < 0) {
		error_set(err, errno, "cannot change to /");
		return;
	}
	execve(s->argv[0], (char *const *)s->argv, no_environment);
	error_set(err, errno, "cannot execute %s", s->argv[0]);
}

static void child_main(const struct spawn *s, int report)
{
	cleanup_error struct error *err = NULL;
	int saved = report;

	child_exec(s, &report, &err);
	if (report < 0)
		report = saved;
	fd_write_full(report, error_msg(err), strlen(error_msg(err)));
	_exit(127);
}

int spawn_process(const struct spawn *s, struct process_ref *child, struct error **err)
{
	cleanup_close int from_child = -1, to_parent = -1;
	cleanup_free char *why = NULL;
	int pipefd[2];
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	from_child = pipefd[0];
	to_parent = pipefd[1];
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "cannot fork");
	if (!pid)
		child_main(s, to_parent);
	*child = process_ref_of(pid);
	close(steal_fd(&to_parent));
	why = fd_read_file(from_child, 4096, NULL);
	if (why && !*why)
		return 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	child->pid = 0;
	return error_set(err, 0, "%s", why ? why : "a helper program could not be started");
}
