/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A context is a process of the render server's. One that was stopped (SIGSTOP) keeps its socket
 * open and never answers, and a guest that waits for it would wait for ever: nothing tells it from
 * one whose GPU is at work, except for the kernel's own word. Only a process in the same pid
 * namespace can have that without a view of the host's, and this one, the namespace's first, is
 * there anyway. It sleeps until the worker asks, which it does while work is outstanding.
 *
 * It has the server's rights, and shares its user, its filter and its root. The server could
 * take it over as little as the other way round: it cannot be traced, and its /proc files are root's.
 */
#include "gpu_watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/gpu_watch_proto.h"
#include "base/log.h"

/* Between two questions that belong together; a longer time says nothing about now. */
#define RECENT_S 8
/* Who uses less of a processor than one part in so many only polls. */
#define BUSY_SHARE 10

/* One look at all processes. */
struct look {
	double when;	/* seconds */
	double used;	/* processor time of all of them together, seconds */
};

static double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Its state and processor time; false when it has gone. Its name is chosen by a guest. */
static bool read_stat(pid_t pid, char *state, double *used)
{
	unsigned long long user, system;
	char path[32], text[1024];
	cleanup_close int fd = -1;
	const char *rest;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", state,
			    &user, &system) != 3)
		return false;
	*used = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
	return true;
}

/* Kills what was stopped, and sums up what the others use. */
static struct look look_at_all(void)
{
	struct look look = { .when = seconds_now() };
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0;
		double used;
		char state;

		if (pid <= 1 || !read_stat(pid, &state, &used))
			continue;
		look.used += used;
		if (state != 'T')
			continue;
		log_warning("a process of the render server was stopped while the guest waits for it: "
			    "it is killed");
		kill(pid, SIGKILL);
	}
	if (dir)
		closedir(dir);
	return look;
}

static char answer_of(const struct look *before, const struct look *now)
{
	double elapsed = now->when - before->when;

	/* A process that ended took its time along: something happens. */
	if (elapsed > RECENT_S || now->used < before->used)
		return GPU_WATCH_BUSY;
	return now->used - before->used > elapsed / BUSY_SHARE ? GPU_WATCH_BUSY : GPU_WATCH_IDLE;
}

/* Takes one question, or finds that the worker has gone. */
static int serve(int sock)
{
	static struct look before = { .when = -2 * RECENT_S };
	struct look now;
	char byte;
	ssize_t n = recv(sock, &byte, 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != 1 || byte != GPU_WATCH_ASK)
		return -1;
	now = look_at_all();
	byte = answer_of(&before, &now);
	before = now;
	send(sock, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	return 0;
}

/* What has ended; when that is the server, all is over. */
static void reap(pid_t server)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == server)
			_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

void gpu_watch_run(pid_t server, int sock)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .fd = sock, .events = POLLIN } };
	struct signalfd_siginfo info;
	sigset_t child;

	prctl(PR_SET_NAME, "krun-gpu-jail", 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	fds[0].fd = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	for (;;) {
		reap(server);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			_exit(1);
		while (read(fds[0].fd, &info, sizeof(info)) > 0)
			;
		if (fds[1].revents && serve(sock) < 0)
			fds[1].fd = -1;
	}
}
