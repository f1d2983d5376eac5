/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sits at a terminal: runs a command on one, and types, reads and resizes as it is told.
 *
 * Usage: pty ACTION... -- COMMAND [ARGUMENT]...
 *   size=ROWSxCOLUMNS  sets the terminal's size; the command starts at the first other action
 *   expect=TEXT        waits until TEXT has come after what was expected last
 *   type=TEXT          types TEXT and the return key
 *   key=N              types the one character whose code is N
 *
 * What the command writes is copied to standard output. Exits as the command does, 128+n when a
 * signal n ends it, or 124 when a text does not come, or the command does not end, within LIMIT_S.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 90

struct session {
	int master;
	pid_t pid;
	struct winsize size;
	char **command;
	char seen[65536]; /* what came and was not expected yet; NUL-terminated */
	size_t len;
	bool ended; /* nothing more will come */
};

static void give_up(struct session *s, const char *what, const char *text)
{
	fprintf(stderr, "\npty: %s%s within %d s\n", what, text, LIMIT_S);
	if (s->pid > 0)
		kill(-s->pid, SIGKILL);
	exit(124);
}

static void session_start(struct session *s)
{
	if (s->pid)
		return;
	s->pid = forkpty(&s->master, NULL, NULL, &s->size);
	if (s->pid < 0) {
		perror("pty: forkpty");
		exit(125);
	}
	if (s->pid == 0) {
		execvp(s->command[0], s->command);
		perror(s->command[0]);
		_exit(127);
	}
}

/* Keeps the newest half when a command has written more than anybody expected. */
static void session_keep(struct session *s, const char *data, size_t len)
{
	if (s->len + len >= sizeof(s->seen)) {
		size_t half = sizeof(s->seen) / 2;

		memmove(s->seen, s->seen + s->len - (s->len < half ? s->len : half),
			s->len < half ? s->len : half);
		s->len = s->len < half ? s->len : half;
	}
	for (size_t i = 0; i < len; i++)
		s->seen[s->len++] = data[i] ? data[i] : ' ';
	s->seen[s->len] = '\0';
}

/* Reads what has come; false when nothing came before @end. */
static bool session_read(struct session *s, time_t end)
{
	struct pollfd p = { .fd = s->master, .events = POLLIN };
	char data[4096];
	ssize_t n;
	time_t left = end - time(NULL);

	if (left <= 0 || poll(&p, 1, (int)left * 1000) <= 0)
		return false;
	n = read(s->master, data, sizeof(data));
	if (n <= 0) {
		s->ended = true; /* EIO: no process has the terminal any more */
		return true;
	}
	if (write(STDOUT_FILENO, data, (size_t)n) != n)
		exit(125);
	session_keep(s, data, (size_t)n);
	return true;
}

static void session_expect(struct session *s, const char *text)
{
	time_t end = time(NULL) + LIMIT_S;
	char *at;

	while (!(at = strstr(s->seen, text))) {
		if (s->ended || !session_read(s, end))
			give_up(s, "no ", text);
	}
	s->len -= (size_t)(at - s->seen) + strlen(text);
	memmove(s->seen, at + strlen(text), s->len + 1);
}

static void session_type(struct session *s, const char *text, const char *end)
{
	if (write(s->master, text, strlen(text)) < 0 || write(s->master, end, strlen(end)) < 0)
		perror("pty: type");
}

static void session_act(struct session *s, const char *action)
{
	unsigned short rows, cols;

	if (sscanf(action, "size=%hux%hu", &rows, &cols) == 2) {
		s->size = (struct winsize){ .ws_row = rows, .ws_col = cols };
		if (s->pid)
			ioctl(s->master, TIOCSWINSZ, &s->size);
		return;
	}
	session_start(s);
	if (!strncmp(action, "expect=", 7)) {
		session_expect(s, action + 7);
	} else if (!strncmp(action, "type=", 5)) {
		session_type(s, action + 5, "\r");
	} else if (!strncmp(action, "key=", 4)) {
		session_type(s, (char[]){ (char)atoi(action + 4), '\0' }, "");
	} else {
		fprintf(stderr, "pty: no action \"%s\"\n", action);
		exit(125);
	}
}

static int session_end(struct session *s)
{
	time_t end = time(NULL) + LIMIT_S;
	int status;

	while (!s->ended) {
		if (!session_read(s, end))
			give_up(s, "the command did not end", "");
	}
	if (waitpid(s->pid, &status, 0) < 0)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	static struct session s = { .size = { .ws_row = 24, .ws_col = 80 } };
	int i, dashes = 1;

	while (dashes < argc && strcmp(argv[dashes], "--") != 0)
		dashes++;
	if (dashes + 1 >= argc) {
		fputs("usage: pty ACTION... -- COMMAND [ARGUMENT]...\n", stderr);
		return 125;
	}
	s.command = argv + dashes + 1;
	for (i = 1; i < dashes; i++)
		session_act(&s, argv[i]);
	session_start(&s);
	return session_end(&s);
}
