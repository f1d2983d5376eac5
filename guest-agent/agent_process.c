/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent's side of a process of the container; agent_child.c is the process's own. */
#include "guest-agent/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/msg.h"
#include "base/wire.h"
#include "guest-agent/agent_cgroup.h"
#include "guest-agent/agent_child.h"
#include "guest-agent/agent_time.h"
#include "guest-agent/agent_userns.h"

#define SYNC_TIMEOUT_S 2

static void process_close_sync(struct process *p)
{
	if (p->sync.fd < 0)
		return;
	loop_watch(p->loop, &p->sync, 0);
	close(steal_fd(&p->sync.fd));
}

static void process_fail(struct process *p, uint32_t code, const char *why)
{
	if (p->state == PROCESS_FAILED)
		return;
	p->state = PROCESS_FAILED;
	if (!p->reaped)
		pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
	p->events->failed(p->data, p, code, why);
}

static void process_on_ready(struct process *p, struct msg *msg)
{
	cleanup_error struct error *err = NULL;

	if (p->state != PROCESS_PREPARING)
		return;
	if (msg->nfds == 2 && streams_set_terminal(&p->streams, steal_fd(&msg->fds[0]),
						   steal_fd(&msg->fds[1]), &err) < 0) {
		process_fail(p, (uint32_t)err->code, error_msg(err));
		return;
	}
	p->state = PROCESS_WAITING;
	p->events->ready(p->data, p);
}

static void process_on_error(struct process *p, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	uint32_t code = wire_get_u32(&r);
	cleanup_free char *why = wire_get_str(&r);

	process_fail(p, code, why ? why : "the process failed without a reason");
}

/* End of file: execve() closed the socket, or the process died first. */
static void process_on_sync_end(struct process *p)
{
	process_close_sync(p);
	if (p->state == PROCESS_STARTING) {
		p->state = PROCESS_RUNNING;
		p->events->started(p->data, p);
	} else if (p->state == PROCESS_PREPARING) {
		process_fail(p, 0, "the container's set-up was killed (is its memory limit too low?)");
	}
}

static void process_sync_ready(void *data, uint32_t events)
{
	cleanup_msg struct msg msg = { 0 };
	struct process *p = data;

	(void)events;
	if (msg_recv(p->sync.fd, &msg) != 1)
		process_on_sync_end(p);
	else if (msg.type == CHILD_READY)
		process_on_ready(p, &msg);
	else if (msg.type == CHILD_ERROR)
		process_on_error(p, &msg);
	else
		process_fail(p, EPROTO, "the process said something out of place");
}

static void process_drained(void *data)
{
	struct process *p = data;

	p->events->ended(p->data, p);
}

static pid_t clone_into(uint64_t namespaces, int cgroup, int *pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_INTO_CGROUP | namespaces,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/*
 * For the container's first process: new namespaces. Its mount namespace is always its own: a
 * container that asks for none means its host's, and to the guest there is only this one. The
 * cgroup namespace is unshared by the process, once it is in its cgroup; a time namespace with
 * offsets is there already (agent_time.c).
 */
static pid_t clone_init(const struct process_spawn *ps, int *pidfd)
{
	uint64_t own = (ps->namespaces & ~(uint64_t)CLONE_NEWCGROUP) | CLONE_NEWNS;

	if (time_is_offset(ps->container))
		own &= ~(uint64_t)CLONE_NEWTIME;
	return clone_into(own, ps->cgroup, pidfd);
}

/*
 * For an exec: into the container's pid namespace, which counts for children only, so that the
 * agent steps in and out of it for the clone.
 */
static pid_t clone_exec(const struct process_spawn *ps, int *pidfd)
{
	cleanup_close int home = -1, cgroup = -1;
	pid_t pid;

	home = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (home < 0 || ((ps->namespaces & CLONE_NEWPID) &&
			 setns(ps->init->pidfd, CLONE_NEWPID) < 0))
		return -1;
	pid = clone_into(0, ps->cgroup, pidfd);
	if (pid < 0 && errno == EBUSY) {
		cgroup = cgroup_open_of(ps->init->pid);
		pid = cgroup < 0 ? -1 : clone_into(0, cgroup, pidfd);
	}
	/* The agent's own pid namespace cannot be refused to it. */
	if (pid != 0 && (ps->namespaces & CLONE_NEWPID) && setns(home, CLONE_NEWPID) < 0)
		abort();
	return pid;
}

static int process_clone(struct process *p, const struct process_spawn *ps, const int stdio[3],
			 int sync, struct error **err)
{
	struct child child = {
		.process = ps->process,
		.container = ps->container,
		.namespaces = ps->namespaces | CLONE_NEWNS,
		.init_pidfd = ps->init ? ps->init->pidfd : -1,
		.sync = sync,
		.stdio = { stdio[0], stdio[1], stdio[2] },
	};

	int home = -1, code;

	if (ps->container && time_is_offset(ps->container)) {
		home = time_unshare(ps->container, err);
		if (home < 0)
			return -1;
	}
	p->pid = ps->container ? clone_init(ps, &p->pidfd) : clone_exec(ps, &p->pidfd);
	code = errno;
	if (p->pid == 0)
		child_main(&child);
	if (home >= 0)
		time_return(home);
	return p->pid < 0 ? error_set(err, code, "clone the container's process") : 0;
}

/* A process that was born into a user namespace waits for its maps. */
static int process_map(struct process *p, const struct process_spawn *ps, struct error **err)
{
	int r;

	if (!ps->container || !(ps->namespaces & CLONE_NEWUSER))
		return 0;
	if (userns_set_up(p->pid, ps->container, err) < 0)
		return -1;
	r = msg_send(p->sync.fd, CHILD_MAPPED, NULL, 0, NULL, 0);
	return r < 0 ? error_set(err, -r, "tell the process of its maps") : 0;
}

static int process_begin(struct process *p, const struct process_spawn *ps, struct error **err)
{
	const struct timeval timeout = { .tv_sec = SYNC_TIMEOUT_S };
	cleanup_close int theirs = -1;
	int sync[2], stdio[3], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sync) < 0)
		return error_set(err, errno, "socketpair");
	p->sync.fd = sync[0];
	theirs = sync[1];
	/* The process is in reach of the container's: a torn message must not stop the agent. */
	setsockopt(p->sync.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (streams_open(&p->streams, ps->id, ps->process, stdio, err) < 0)
		return -1;
	r = 0;
	if (ps->namespaces & CLONE_NEWUSER)
		r = userns_own_stdio(stdio, ps->uids, ps->process->uid, err);
	if (r == 0)
		r = process_clone(p, ps, stdio, theirs, err);
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
	if (r < 0 || process_map(p, ps, err) < 0)
		return -1;
	r = loop_watch(p->loop, &p->sync, EPOLLIN);
	return r < 0 ? error_set(err, -r, "watch the process") : 0;
}

struct process *process_spawn(const struct process_spawn *ps, struct error **err)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p) {
		error_set(err, ENOMEM, "process");
		return NULL;
	}
	p->id = ps->id;
	p->pidfd = -1;
	p->loop = ps->loop;
	p->events = ps->events;
	p->data = ps->data;
	p->sync = (struct loop_source){ .fd = -1, .ready = process_sync_ready, .data = p };
	p->streams = (struct streams){ .loop = ps->loop, .host = -1, .slave = -1,
				       .drained = process_drained, .data = p };
	if (process_begin(p, ps, err) == 0)
		return p;
	process_free(p);
	return NULL;
}

int process_go(struct process *p)
{
	if (p->state != PROCESS_WAITING)
		return -EINVAL;
	p->state = PROCESS_STARTING;
	return msg_send(p->sync.fd, CHILD_GO, NULL, 0, NULL, 0);
}

/* signal(7): those whose default action is not to end the process */
static bool signal_is_harmless(int signo)
{
	return signo == SIGCHLD || signo == SIGCONT || signo == SIGSTOP || signo == SIGTSTP ||
	       signo == SIGTTIN || signo == SIGTTOU || signo == SIGURG || signo == SIGWINCH;
}

int process_signal(struct process *p, int signo)
{
	if (p->reaped)
		return -ESRCH;
	if (signo && p->state <= PROCESS_WAITING && !signal_is_harmless(signo)) {
		if (signo != SIGKILL && (signo < 1 || signo > SIGRTMAX))
			return -EINVAL;
		p->ended_by = signo;
		signo = SIGKILL;
	}
	return pidfd_send_signal(p->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}

pid_t process_pid_inside(const struct process *p)
{
	cleanup_free char *text = NULL;
	cleanup_close int fd = -1;
	char path[64], *line, *last;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = fd < 0 ? NULL : fd_read_file(fd, 65536, NULL);
	line = text ? strstr(text, "\nNSpid:") : NULL;
	if (!line)
		return p->pid;
	line++;
	line[strcspn(line, "\n")] = 0;
	last = strrchr(line, '\t');
	return last ? (pid_t)strtol(last, NULL, 10) : p->pid;
}

void process_reaped(struct process *p, int status)
{
	p->reaped = true;
	/* What it said before it died comes first. Its socket has no other holder: this ends. */
	while (p->sync.fd >= 0)
		process_sync_ready(p, 0);
	p->status = p->ended_by ? p->ended_by : status;
	streams_finish(&p->streams);
}

void process_free(struct process *p)
{
	if (!p)
		return;
	process_close_sync(p);
	streams_release(&p->streams);
	if (p->pidfd >= 0)
		close(p->pidfd);
	free(p);
}
