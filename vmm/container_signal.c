/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals that reach the VMM's process are meant for the container's, whose pid it lends to the
 * outside: `kill PID` does what it would do to a container without a VM. They are blocked in all
 * threads and read from a signalfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/container_priv.h"

static void container_signal_set(sigset_t *set)
{
	/*
	 * Not passed on: what says that this process itself is broken; SIGPIPE, which is ignored;
	 * SIGCHLD; job control of the terminal we read, which is answered by an error instead.
	 */
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT,
				   SIGPIPE, SIGCHLD, SIGTTIN, SIGTTOU };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(set, own[i]);
	/* The vCPU threads are kicked with it. */
	sigdelset(set, SIGRTMIN);
}

void container_block_signals(void)
{
	sigset_t set;

	container_signal_set(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

static void container_on_signal(void *data, uint32_t events)
{
	struct signalfd_siginfo info;
	struct container *c = data;

	(void)events;
	if (read(c->signal_fd, &info, sizeof(info)) != sizeof(info) || c->over)
		return;
	if (info.ssi_signo == SIGWINCH && c->terminal >= 0) {
		container_terminal_resize(c);
		return;
	}
	if (c->state != VMM_BOOTING) {
		if (container_signal_send(c, 0, info.ssi_signo, false, NULL) < 0)
			log_warning("signal %u is lost: the guest agent does not answer",
				    info.ssi_signo);
		return;
	}
	/* There is no process yet that could handle it: those that end one end the machine. */
	switch (info.ssi_signo) {
	case SIGTERM:
	case SIGINT:
	case SIGHUP:
	case SIGQUIT:
		container_fail(c, EINTR, "ended by a signal before the container was created");
		break;
	default:
		break;
	}
}

int container_signal_open(struct container *c, struct error **err)
{
	sigset_t set;
	int r;

	container_signal_set(&set);
	c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = c->signal_fd < 0 ? -errno :
			       event_loop_add(c->loop, &c->signal_src, c->signal_fd, EPOLLIN,
					      container_on_signal, c);
	return r < 0 ? error_set(err, -r, "cannot receive signals") : 0;
}

int container_terminal_open(struct container *c, int fd, struct error **err)
{
	/* Fails only for a process group's leader: it must then be the session's, as we check. */
	if (setsid() < 0 && getsid(0) != getpid())
		return error_set(err, errno, "cannot become a session leader");
	if (ioctl(fd, TIOCSCTTY, 0) < 0)
		return error_set(err, errno, "cannot make the terminal the controlling one");
	c->terminal = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (c->terminal < 0)
		return error_set(err, errno, "cannot duplicate the terminal");
	return 0;
}

void container_terminal_resize(struct container *c)
{
	struct winsize size;

	/* Before the container exists its size is in the configuration; after it, it is asked again. */
	if (c->terminal < 0 || c->state == VMM_BOOTING)
		return;
	if (ioctl(c->terminal, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		container_resize(c, 0, size.ws_row, size.ws_col);
}
