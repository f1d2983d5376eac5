/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#define HOOK_STDERR_SHOWN 400

/* In the hook's process. Its output is nobody's; what it says of an error is part of ours. */
static void hook_exec(const struct agent_hook *h, int in, int errors) __attribute__((noreturn));
static void hook_exec(const struct agent_hook *h, int in, int errors)
{
	char *path_only[] = { h->path, NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0 ||
	    close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
		_exit(127);
	execve(h->path, h->args[0] ? h->args : path_only, h->env);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

static int hook_wait(const struct agent_hook *h, pid_t pid, int *status, struct error **err)
{
	cleanup_close int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ms = !h->timeout || h->timeout > INT_MAX / 1000 ? -1 : (int)h->timeout * 1000;
	int r;

	if (fd < 0)
		return error_set(err, errno, "watch %s", h->path);
	do {
		r = poll(&p, 1, ms);
	} while (r < 0 && errno == EINTR);
	if (r <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "wait for %s", h->path);
	return r > 0 ? 0 : error_set(err, 0, "%s did not end within %u s", h->path, h->timeout);
}

static int hook_check(const struct agent_hook *h, int status, int errors, struct error **err)
{
	char text[HOOK_STDERR_SHOWN + 1];
	ssize_t n = pread(errors, text, HOOK_STDERR_SHOWN, 0);

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	if (!status)
		return 0;
	if (WIFSIGNALED(status))
		return error_set(err, 0, "%s was ended by signal %d%s%s", h->path, WTERMSIG(status),
				 *text ? ": " : "", text);
	return error_set(err, 0, "%s ended with code %d%s%s", h->path, WEXITSTATUS(status),
			 *text ? ": " : "", text);
}

static int hook_run(const struct agent_hook *h, const char *state, struct error **err)
{
	cleanup_close int in = memfd_create("state", MFD_CLOEXEC);
	cleanup_close int errors = memfd_create("errors", MFD_CLOEXEC);
	int status, r;
	pid_t pid;

	if (in < 0 || errors < 0)
		return error_set(err, errno, "memfd");
	r = fd_write_full(in, state, strlen(state));
	if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
		return error_set(err, r < 0 ? -r : errno, "write the state for a hook");
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "fork for %s", h->path);
	if (!pid)
		hook_exec(h, in, errors);
	if (hook_wait(h, pid, &status, err) < 0)
		return -1;
	return hook_check(h, status, errors, err);
}

int hooks_run(const struct agent_container *c, struct error **err)
{
	for (size_t i = 0; i < c->num_hooks; i++)
		if (hook_run(&c->hooks[i], c->state, err) < 0)
			return error_wrap(err, "hooks.startContainer[%zu]", i);
	return 0;
}
