/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-pause: the first container of a pod, whose only work it is to hold the pod's namespaces.
 * That takes no microVM: this process, in those namespaces, is its process. It answers command lines as
 * the VMM of a container does, and ends when it is told to by a signal. It also stands for a container
 * without a process, which can be created and not be started.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/sandbox.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "vmm/control.h"
#include "vmm/event_loop.h"

struct pause {
	pthread_mutex_t lock;
	struct event_loop *loop;
	struct control *control;
	struct event_source signals;
	int signal_fd;
	bool process; /* there is one to start: this */
	bool started;
};

static const struct sandbox_rule rules[] = {
	{ .syscall = "epoll_wait", .why = "the event loop" },
	{ .syscall = "epoll_pwait", .why = "the event loop, on architectures without epoll_wait" },
	{ .syscall = "epoll_ctl", .why = "command lines come and go" },
	{ .syscall = "futex", .why = "the event loop's lock" },
	{ .syscall = "read", .why = "signals" },
	{ .syscall = "write", .why = "the log" },
	{ .syscall = "accept4", .why = "command lines" },
	{ .syscall = "recvmsg", .why = "their requests" },
	{ .syscall = "sendmsg", .why = "answers" },
	{ .syscall = "recvfrom", .why = "requests, as C libraries make it" },
	{ .syscall = "sendto", .why = "answers, as C libraries make it" },
	{ .syscall = "getsockopt", .why = "who is it" },
	SANDBOX_FCNTL(F_GETFL, "connections do not block"),
	SANDBOX_FCNTL(F_SETFL, "likewise"),
	{ .syscall = "close", .why = "connections" },
	{ .syscall = "mmap", .why = "allocator" },
	{ .syscall = "munmap", .why = "allocator" },
	{ .syscall = "brk", .why = "allocator" },
	{ .syscall = "clock_gettime", .why = "rate limits, where there is no vDSO" },
	{ .syscall = "rt_sigaction", .why = "end by a signal" },
	{ .syscall = "rt_sigprocmask", .why = "end by a signal" },
	{ .syscall = "getpid", .why = "end by a signal" },
	{ .syscall = "gettid", .why = "end by a signal" },
	SANDBOX_TGKILL_SELF("end by a signal"),
	{ .syscall = "rt_sigreturn", .why = "return from a signal handler" },
	{ .syscall = "restart_syscall", .why = "after a stop and go on" },
	{ .syscall = "exit_group", .why = "the end" },
};

/* As a pause program does: asked to end, it ends well. */
static void pause_signal(int signo)
{
	sigset_t set;

	if (signo == SIGTERM || signo == SIGINT || signo == SIGHUP || signo == SIGQUIT)
		_exit(EXIT_SUCCESS);
	if (signo != SIGKILL)
		return;
	sigfillset(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(SIGKILL);
}

static void request_signal(struct control_conn *conn, struct wire_reader *r)
{
	const uint32_t signo = wire_get_u32(r);

	wire_get_u8(r);
	if (!wire_done(r) || !signo || signo > (uint32_t)SIGRTMAX) {
		control_send_error(conn, EINVAL, "cannot send the signal");
		return;
	}
	control_send_ok(conn);
	pause_signal((int)signo);
}

static void pause_request(void *data, struct control_conn *conn, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	struct pause *p = data;
	uint8_t state = p->started ? VMM_STATE_RUNNING : VMM_STATE_CREATED;

	switch (msg->type) {
	case VMM_START:
		if (!p->process) {
			control_send_error(conn, 0, "process: missing in config.json, so that there is "
					   "nothing to start");
			return;
		}
		p->started = true;
		control_send_ok(conn);
		return;
	case VMM_STATE:
		control_send(conn, VMM_STATE_IS, &state, sizeof(state));
		return;
	case VMM_SIGNAL:
		request_signal(conn, &r);
		return;
	case VMM_PAUSE:
	case VMM_RESUME:
		control_send_ok(conn); /* there is nothing that would go on */
		return;
	default:
		control_send_error(conn, ENOTSUP, "a pod's first container holds its namespaces and "
				   "has no microVM");
	}
}

static void pause_gone(void *data, struct control_conn *conn)
{
	(void)data;
	(void)conn;
}

static const struct control_ops pause_ops = { .request = pause_request, .gone = pause_gone };

static void pause_on_signal(void *data, uint32_t events)
{
	struct signalfd_siginfo info;
	struct pause *p = data;

	(void)events;
	if (read(p->signal_fd, &info, sizeof(info)) == sizeof(info))
		pause_signal((int)info.ssi_signo);
}

static int watch_signals(struct pause *p, struct error **err)
{
	sigset_t set;
	int r;

	sigfillset(&set);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (p->signal_fd < 0)
		return error_set(err, errno, "cannot watch for signals");
	r = event_loop_add(p->loop, &p->signals, p->signal_fd, EPOLLIN, pause_on_signal, p);
	return r < 0 ? error_set(err, -r, "cannot watch for signals") : 0;
}

/* The control socket comes once its process is on record. */
static int begin(struct pause *p, struct error **err)
{
	cleanup_msg struct msg msg = { 0 };

	if (msg_recv(VMM_SETUP_FD, &msg) != 1 || msg.type != VMM_CONFIG || msg.nfds != 1 ||
	    msg.len != 1)
		return error_set(err, EPROTO, "the command that makes the pod's first container has ended");
	p->process = *(const uint8_t *)msg.payload;
	p->loop = event_loop_create(&p->lock, err);
	if (!p->loop || watch_signals(p, err) < 0)
		return -1;
	p->control = control_create(p->loop, steal_fd(&msg.fds[0]), &pause_ops, p, err);
	if (!p->control || sandbox_leave_root(err) < 0 || sandbox_keep_caps(NULL, 0, err) < 0 ||
	    sandbox_no_new_privs(err) < 0 ||
	    sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), err) < 0)
		return -1;
	msg_send(VMM_SETUP_FD, VMM_CREATED, NULL, 0, NULL, 0);
	close(VMM_SETUP_FD);
	return 0;
}

int main(void)
{
	struct pause p = { .lock = PTHREAD_MUTEX_INITIALIZER };
	cleanup_error struct error *err = NULL;
	int keep[] = { VMM_SETUP_FD };
	sigset_t set;

	log_init("krun-gpu-pause", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd_keep_only(keep, 1);
	fd_set_cloexec(VMM_SETUP_FD, true);
	if (begin(&p, &err) < 0) {
		log_error("%s", error_msg(err));
		return EXIT_FAILURE;
	}
	event_loop_run(p.loop);
	return EXIT_FAILURE;
}
