/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

int relay_begin(struct relay *r, bool child, struct error **err)
{
	static const int ours[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPIPE,
				    SIGTTIN, SIGTTOU };
	sigset_t set;

	*r = (struct relay){ .signals = -1, .master = -1 };
	sigfillset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		sigdelset(&set, ours[i]);
	if (!child)
		sigdelset(&set, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return error_set(err, errno, "cannot block signals");
	r->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return r->signals < 0 ? error_set(err, errno, "cannot wait for signals") : 0;
}

void relay_resize(const struct relay *r)
{
	struct winsize size;

	if (r->master >= 0 && !ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
		ioctl(r->master, TIOCSWINSZ, &size);
}

int relay_terminal(struct relay *r, int master, struct error **err)
{
	struct termios mode;

	r->master = master;
	fd_set_nonblock(master, true);
	relay_resize(r);
	if (tcgetattr(STDIN_FILENO, &r->saved) < 0)
		return errno == ENOTTY ? 0 : error_set(err, errno, "cannot read the terminal's mode");
	mode = r->saved;
	cfmakeraw(&mode);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) < 0)
		return error_set(err, errno, "cannot set the terminal's mode");
	r->raw = true;
	return 0;
}

/* Bytes that arrived for the pty, as far as it takes them. */
static void relay_push(struct relay *r)
{
	ssize_t n = write(r->master, r->buf, r->len);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		r->len = 0; /* nobody reads there any more */
	for (ssize_t i = 0; n > 0 && (size_t)i + (size_t)n < r->len; i++)
		r->buf[i] = r->buf[i + n];
	if (n > 0)
		r->len -= (size_t)n;
}

/* Bytes from the pty to our output; false at its end */
static bool relay_show(struct relay *r)
{
	char buf[4096];
	ssize_t n = read(r->master, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	fd_write_full(STDOUT_FILENO, buf, (size_t)n);
	return true;
}

int relay_wait(struct relay *r, int other, struct signalfd_siginfo *info, struct error **err)
{
	bool input = r->master >= 0;

	for (;;) {
		struct pollfd p[] = {
			{ r->signals, POLLIN, 0 },
			{ other, POLLIN, 0 },
			{ r->master, (short)(POLLIN | (r->len ? POLLOUT : 0)), 0 },
			{ input && !r->len ? STDIN_FILENO : -1, POLLIN, 0 },
		};

		if (poll(p, 4, -1) < 0 && errno != EINTR)
			return error_set(err, errno, "cannot wait");
		if (p[3].revents) {
			ssize_t n = read(STDIN_FILENO, r->buf, sizeof(r->buf));

			r->len = n > 0 ? (size_t)n : 0;
			input = n > 0 || (n < 0 && errno == EINTR);
		}
		if (r->len)
			relay_push(r);
		if (p[2].revents & (POLLIN | POLLHUP | POLLERR) && !relay_show(r)) {
			close(r->master);
			r->master = -1;
			input = false;
		}
		if (p[0].revents && read(r->signals, info, sizeof(*info)) == sizeof(*info))
			return 1;
		if (p[1].revents)
			return 0;
	}
}

void relay_end(struct relay *r)
{
	struct pollfd p = { r->master, POLLIN, 0 };

	while (r->master >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
		if (!relay_show(r))
			break;
	if (r->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &r->saved);
	r->raw = false;
	if (r->master >= 0)
		close(r->master);
	if (r->signals >= 0)
		close(r->signals);
	r->master = r->signals = -1;
}
