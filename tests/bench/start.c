/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Times one container's life under two or more OCI runtimes, on the same bundle, turn by turn.
 *
 * Usage: start ROUNDS BUNDLE RUNTIME...
 *
 * The bundle's process is expected to write one byte to its standard output, which is a pipe here,
 * as its first act, and to end. All times are this host's CLOCK_MONOTONIC, in nanoseconds from just
 * before `create` is executed; under QEMU's -icount, where that clock advances by one nanosecond per
 * instruction, they are numbers of instructions. One line per round and runtime:
 *
 *   RUNTIME CREATED FIRST ENDED DELETED
 *
 * CREATED: `create` has returned. FIRST: the process's byte has come; `start` is executed in between.
 * ENDED: the pipe's last writer has closed it. DELETED: `delete` has returned; it is tried until the
 * runtime has noticed the end, so that a runtime which is slow in that pays for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DELETE_TRIES 2000
#define DELETE_PAUSE_NS 5000000

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "start: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Executes `RUNTIME args...` with @out as its standard output and waits for its end: its exit code. */
static int runtime_run(char *const argv[], int out, int errors)
{
	int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid = fork();

	if (pid < 0 || null < 0)
		fail("fork");
	if (pid == 0) {
		dup2(null, STDIN_FILENO);
		dup2(out >= 0 ? out : null, STDOUT_FILENO);
		if (!errors)
			dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(null);
	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void must(char *const argv[], int out)
{
	int code = runtime_run(argv, out, 1);

	if (code == 0)
		return;
	fprintf(stderr, "start: %s %s: exit code %d\n", argv[0], argv[1], code);
	exit(1);
}

static void round_run(char *runtime, char *bundle)
{
	char id[64], byte, rest[256];
	char *create[] = { runtime, "create", "--bundle", bundle, id, NULL };
	char *start[] = { runtime, "start", id, NULL };
	char *delete[] = { runtime, "delete", id, NULL };
	const struct timespec pause = { .tv_nsec = DELETE_PAUSE_NS };
	long long begin, created, first, ended;
	int out[2], tries = 0;

	snprintf(id, sizeof(id), "bench-%d", (int)getpid());
	if (pipe2(out, O_CLOEXEC) < 0)
		fail("pipe2");
	begin = now_ns();
	must(create, out[1]);
	close(out[1]);
	created = now_ns();
	must(start, -1);
	if (read(out[0], &byte, 1) != 1)
		fail("the process wrote nothing");
	first = now_ns();
	while (read(out[0], rest, sizeof(rest)) > 0)
		;
	ended = now_ns();
	close(out[0]);
	while (runtime_run(delete, -1, 0) != 0) {
		if (++tries == DELETE_TRIES)
			fail("the container does not stop");
		nanosleep(&pause, NULL);
	}
	printf("%s %lld %lld %lld %lld\n", runtime, created - begin, first - begin, ended - begin,
	       now_ns() - begin);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[1]) : 0;

	if (rounds < 1) {
		fputs("usage: start ROUNDS BUNDLE RUNTIME...\n", stderr);
		return 2;
	}
	for (int i = 0; i < rounds; i++)
		for (int r = 3; r < argc; r++)
			round_run(argv[r], argv[2]);
	return 0;
}
