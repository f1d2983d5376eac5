/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/process_ref.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* proc(5): the fields behind the name, which may itself hold blanks and parentheses. */
static int process_stat(pid_t pid, char *state, uint64_t *start)
{
	cleanup_close int fd = -1;
	cleanup_free char *text = NULL;
	unsigned long long ticks;
	char path[64], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = fd < 0 ? NULL : fd_read_file(fd, 4096, NULL);
	p = text ? strrchr(text, ')') : NULL;
	if (!p)
		return -ESRCH;
	/* state is field 3, starttime field 22 */
	if (sscanf(p + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %llu", state, &ticks) != 2)
		return -ESRCH;
	*start = ticks;
	return 0;
}

struct process_ref process_ref_of(pid_t pid)
{
	struct process_ref ref = { pid, 0 };
	char state;

	if (pid <= 0 || process_stat(pid, &state, &ref.start) < 0)
		ref.pid = 0;
	return ref;
}

bool process_ref_alive(const struct process_ref *ref)
{
	uint64_t start;
	char state;

	if (ref->pid <= 0 || process_stat(ref->pid, &state, &start) < 0)
		return false;
	return start == ref->start && state != 'Z' && state != 'X';
}

int process_ref_open(const struct process_ref *ref)
{
	cleanup_close int fd = -1;

	if (ref->pid > 0)
		fd = pidfd_open(ref->pid, 0);
	/* Looked at again with the pidfd in hand: from here on it is that process or none. */
	if (fd < 0 || !process_ref_alive(ref)) {
		errno = ESRCH;
		return -1;
	}
	return steal_fd(&fd);
}

int process_ref_kill(const struct process_ref *ref, int signo)
{
	cleanup_close int fd = process_ref_open(ref);

	if (fd < 0)
		return -errno;
	return pidfd_send_signal(fd, signo, NULL, 0) < 0 ? -errno : 0;
}

int process_ref_end(const struct process_ref *ref, int timeout_ms)
{
	cleanup_close int fd = process_ref_open(ref);
	struct pollfd pfd = { fd, POLLIN, 0 };
	int r;

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	do {
		r = poll(&pfd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r ? 0 : -ETIMEDOUT;
}
