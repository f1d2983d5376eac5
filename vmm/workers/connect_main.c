/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-connect: connects to unix sockets of the host's for a container that has them as mounts.
 *
 * Theory of operation: it gets the sockets as O_PATH fds, and is asked for a connection to one of
 * them by its number; it connects by way of its own /proc/self/fd, the only directory it sees, and
 * passes the connection on. What flows through it the VMM moves. It runs as the container's user, so
 * that whoever listens sees that user, and the socket's mode means what it means without a VM.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/connect_proto.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sandbox.h"

#define GROUPS_MAX 64

struct options {
	unsigned int sockets;
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t num_groups;
};

static const struct sandbox_rule rules[] = {
	{ .syscall = "recvfrom", .why = "requests" },
	{ .syscall = "sendmsg", .why = "answers, with their sockets" },
	{ .syscall = "socket", .why = "a connection", .arg = 0, .arg_mask = 0xffffffff,
	  .arg_value = AF_UNIX },
	{ .syscall = "connect", .why = "to one of the sockets" },
	{ .syscall = "close", .why = "what has been passed on" },
	{ .syscall = "write", .why = "the log" },
	{ .syscall = "clock_gettime", .why = "time stamps of the log, where there is no vDSO" },
	{ .syscall = "exit_group", .why = "the end" },
	{ .syscall = "rt_sigprocmask", .why = "abort()" },
	{ .syscall = "getpid", .why = "abort()" },
	{ .syscall = "gettid", .why = "abort()" },
	SANDBOX_TGKILL_SELF("abort()"),
	{ .syscall = "restart_syscall", .why = "after a stop and go on" },
};

/* SOCKETS UID GID [GROUP]...: the command line's own words, all of them numbers. */
static int parse(struct options *o, int argc, char **argv)
{
	unsigned long v[3 + GROUPS_MAX];

	if (argc < 4 || argc - 1 > 3 + GROUPS_MAX)
		return -1;
	for (int i = 1; i < argc; i++) {
		char *end;

		errno = 0;
		v[i - 1] = strtoul(argv[i], &end, 10);
		if (errno || end == argv[i] || *end || v[i - 1] > UINT32_MAX)
			return -1;
	}
	if (v[0] < 1 || v[0] > CONNECT_SOCKETS_MAX)
		return -1;
	o->sockets = (unsigned int)v[0];
	o->uid = (uid_t)v[1];
	o->gid = (gid_t)v[2];
	for (int i = 4; i < argc; i++)
		o->groups[o->num_groups++] = (gid_t)v[i - 1];
	return 0;
}

/* Its cwd is /proc/self/fd, alone: even ".." leads nowhere. */
static int enter_fds(struct error **err)
{
	cleanup_close int proc = open_tree(AT_FDCWD, "/proc/self/fd",
					   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (proc < 0)
		return error_set(err, errno, "cannot set /proc/self/fd aside");
	if (sandbox_empty_root(err) < 0)
		return -1;
	return fchdir(proc) < 0 ? error_set(err, errno, "cannot enter /proc/self/fd") : 0;
}

/* Root keeps what lets it open sockets of others, as the container's root would have it. */
static int become_user(const struct options *o, struct error **err)
{
	static const int caps[] = { CAP_DAC_OVERRIDE };

	if (setgroups(o->num_groups, o->groups) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
	    setresuid(o->uid, o->uid, o->uid) < 0)
		return error_set(err, errno, "cannot become the container's user %u:%u", o->uid,
				 o->gid);
	return sandbox_keep_caps(caps, o->uid ? 0 : 1, err);
}

static int narrow(const struct options *o, struct error **err)
{
	int keep[1 + CONNECT_SOCKETS_MAX] = { CONNECT_FD };

	for (unsigned int i = 0; i < o->sockets; i++)
		keep[1 + i] = (int)(CONNECT_FD_FIRST + i);
	if (fd_keep_only(keep, 1 + o->sockets) < 0)
		return error_set(err, errno, "cannot close inherited file descriptors");
	if (enter_fds(err) < 0 || become_user(o, err) < 0 || sandbox_no_new_privs(err) < 0)
		return -1;
	return sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), err);
}

/* A connected socket, or -errno. A listener that lets nobody in at once is one that is busy. */
static int connect_to(unsigned int number)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%u", CONNECT_FD_FIRST + number);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return steal_fd(&sock);
}

static int answer(uint32_t slot, int sock)
{
	struct connect_answer a = { slot, htole32((uint32_t)(sock < 0 ? -sock : 0)) };
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (sock >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &sock, sizeof(int));
	}
	return sendmsg(CONNECT_FD, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Until the VMM has gone. */
static int serve(const struct options *o)
{
	for (;;) {
		struct connect_request r;
		ssize_t n = recv(CONNECT_FD, &r, sizeof(r), 0);
		int sock, sent;

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(r))
			return n ? -EPROTO : 0;
		sock = le32toh(r.socket) < o->sockets ? connect_to(le32toh(r.socket)) : -EINVAL;
		sent = answer(r.slot, sock);
		if (sock >= 0)
			close(sock);
		if (sent < 0)
			return sent == -EPIPE ? 0 : sent;
	}
}

int main(int argc, char **argv)
{
	cleanup_error struct error *err = NULL;
	struct options o = { 0 };
	int r;

	log_init("krun-gpu-connect", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	if (parse(&o, argc, argv) < 0) {
		log_error("this is started by krun-gpu, with numbers as arguments");
		return EXIT_FAILURE;
	}
	if (narrow(&o, &err) < 0) {
		log_error("%s", error_msg(err));
		return EXIT_FAILURE;
	}
	r = serve(&o);
	if (r < 0)
		log_error("the VMM cannot be answered: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
