/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

#define HOOK_STDERR_SHOWN 512

/* Runs in the forked child. */
static void hook_exec(const struct oci_hook *hook, int in, int errors)
{
	char *path_only[] = { hook->path, NULL }, *empty[] = { NULL };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0 ||
	    fd_keep_only(NULL, 0) < 0)
		_exit(127);
	execve(hook->path, hook->args && hook->args[0] ? hook->args : path_only,
	       hook->env ? hook->env : empty);
	dprintf(2, "%s\n", strerror(errno));
	_exit(127);
}

/* Answers with the wait status, or -1 when the hook ran out of time or cannot be waited for. */
static int hook_wait(const struct oci_hook *hook, pid_t pid, int *status, struct error **err)
{
	cleanup_close int fd = pidfd_open(pid, 0);
	struct pollfd pfd = { fd, POLLIN, 0 };
	int r = 1;

	if (hook->timeout && fd >= 0) {
		const int ms = hook->timeout > INT32_MAX / 1000 ? -1 : (int)hook->timeout * 1000;

		do {
			r = poll(&pfd, 1, ms);
		} while (r < 0 && errno == EINTR);
	}
	if (!r)
		kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "cannot wait for %s", hook->path);
	if (!r)
		return error_set(err, 0, "%s did not end within %u s", hook->path, hook->timeout);
	return 0;
}

static int hook_failed(const struct oci_hook *hook, int status, int errors, struct error **err)
{
	char text[HOOK_STDERR_SHOWN + 1];
	ssize_t n = pread(errors, text, HOOK_STDERR_SHOWN, 0);

	text[n > 0 ? n : 0] = 0;
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = 0;
	if (WIFSIGNALED(status))
		return error_set(err, 0, "%s was ended by signal %d%s%s", hook->path,
				 WTERMSIG(status), *text ? ": " : "", text);
	return error_set(err, 0, "%s ended with code %d%s%s", hook->path, WEXITSTATUS(status),
			 *text ? ": " : "", text);
}

static int hook_run(const struct oci_hook *hook, const char *state_json, struct error **err)
{
	cleanup_close int in = memfd_create("state", MFD_CLOEXEC);
	cleanup_close int errors = memfd_create("errors", MFD_CLOEXEC);
	int status, r;
	pid_t pid;

	if (in < 0 || errors < 0)
		return error_set(err, errno, "cannot make a memfd");
	r = fd_write_full(in, state_json, strlen(state_json));
	if (r < 0 || lseek(in, 0, SEEK_SET) < 0)
		return error_set(err, r < 0 ? -r : errno, "cannot write the state for a hook");
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "cannot fork");
	if (!pid)
		hook_exec(hook, in, errors);
	if (hook_wait(hook, pid, &status, err) < 0)
		return -1;
	return status ? hook_failed(hook, status, errors, err) : 0;
}

int oci_hooks_run(const struct oci_spec *spec, enum oci_hook_point point, const char *state_json,
		  struct error **err)
{
	const bool late = point == OCI_HOOK_POSTSTART || point == OCI_HOOK_POSTSTOP;

	for (size_t i = 0; i < spec->hooks[point].count; i++) {
		cleanup_error struct error *why = NULL;

		if (!hook_run(&spec->hooks[point].hooks[i], state_json, &why))
			continue;
		error_wrap(&why, "hooks.%s[%zu]", oci_hook_point_name(point), i);
		if (!late)
			return error_move(err, &why);
		log_warning("%s", error_msg(why));
	}
	return 0;
}
