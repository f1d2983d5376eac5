/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The agent cloned this process into the container's cgroup and, for the container's first one,
 * into new namespaces; an exec joins those of the first. Everything happens in the order in which
 * the rights for it are still there: namespaces and mounts, then limits, then the user, then the
 * filter, then the program. From the first moment no fd of the agent's is open here but those the
 * process needs, and what is open is close-on-exec.
 */
#include "guest-agent/agent_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/msg.h"
#include "base/wire.h"
#include "guest-agent/agent_exec.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_hooks.h"
#include "guest-agent/agent_net.h"
#include "guest-agent/agent_rootfs.h"
#include "guest-agent/agent_sched.h"
#include "guest-agent/agent_seccomp.h"
#include "guest-agent/agent_terminal.h"
#include "guest-agent/agent_user.h"
#include "guest-agent/agent_userns.h"

static void child_fail(int sync, const struct error *e) __attribute__((noreturn));
static void child_fail(int sync, const struct error *e)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, e ? (uint32_t)e->code : 0);
	wire_put_str(&w, error_msg(e));
	msg_send(sync, CHILD_ERROR, w.data, w.len, NULL, 0);
	_exit(1);
}

/* The agent blocks and ignores signals, has a low OOM score, and fds of its own. */
static int child_reset(const struct child *c, struct error **err)
{
	const struct agent_process *p = c->process;
	int keep[] = { c->sync, c->init_pidfd, c->stdio[0], c->stdio[1], c->stdio[2] };
	char score[16];
	sigset_t none;
	int r;

	r = fd_keep_only(keep, sizeof(keep) / sizeof(*keep));
	if (r < 0)
		return error_set(err, -r, "close the agent's files");
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setsid() < 0)
		return error_set(err, errno, "setsid");
	/* In a new user namespace this has no rights yet: the agent does it (agent_userns.c). */
	if (c->container && (c->namespaces & CLONE_NEWUSER))
		return 0;
	snprintf(score, sizeof(score), "%d", p->has_oom_score_adj ? p->oom_score_adj : 0);
	return file_write(AT_FDCWD, "/proc/self/oom_score_adj", score, err);
}

/* As crun and runc do: a working directory that the image lacks is made. */
static int child_make_cwd(const char *cwd, struct error **err)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = root < 0 ? -errno : root_ensure(root, cwd, S_IFDIR);

	/* A read-only root or a directory in the way: chdir() will say what is wrong with it. */
	if (fd < 0 && fd != -EROFS && fd != -EEXIST && fd != -ENOTDIR)
		return error_set(err, -fd, "make the working directory `%s`", cwd);
	return 0;
}

static int child_set_names(const struct agent_container *c, struct error **err)
{
	if (c->hostname && *c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
		return error_set(err, errno, "set hostname `%s`", c->hostname);
	if (c->domainname && *c->domainname &&
	    setdomainname(c->domainname, strlen(c->domainname)) < 0)
		return error_set(err, errno, "set domainname `%s`", c->domainname);
	return 0;
}

static int child_open_terminal(const struct child *c, int fds[2], struct error **err)
{
	const struct agent_process *p = c->process;

	if (!p->terminal)
		return 0;
	return terminal_open(p->rows, p->columns, c->container != NULL, fds, err);
}

/* The agent's end of the socket closes when the agent has given this process up. */
static void child_wait(int sync, enum child_msg type)
{
	cleanup_msg struct msg msg = { 0 };

	if (msg_recv(sync, &msg) != 1 || msg.type != type)
		_exit(1);
}

/* The container's first process: it makes what the others will find. */
static int child_set_up(const struct child *c, int terminal[2], struct error **err)
{
	const struct agent_container *container = c->container;

	if (c->namespaces & CLONE_NEWUSER) {
		child_wait(c->sync, CHILD_MAPPED);
		if (userns_enter(err) < 0)
			return -1;
	}
	/* Only now: the process has to be in the cgroup that becomes the namespace's root. */
	if ((c->namespaces & CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		return error_set(err, errno, "unshare the cgroup namespace");
	if ((c->namespaces & CLONE_NEWNET) && net_loopback_up(err) < 0)
		return -1;
	if (child_set_names(container, err) < 0 || rootfs_enter(container, err) < 0 ||
	    child_open_terminal(c, terminal, err) < 0 ||
	    child_make_cwd(c->process->cwd, err) < 0)
		return -1;
	return rootfs_seal(container, err);
}

/* An exec: the pid namespace is joined already, by the agent's clone. */
static int child_join(const struct child *c, int terminal[2], struct error **err)
{
	int join = (int)(c->namespaces & ~(uint64_t)CLONE_NEWPID);

	if ((join & CLONE_NEWUSER) && userns_raise_limits(0, c->process, err) < 0)
		return -1;
	if (setns(c->init_pidfd, join) < 0)
		return error_set(err, errno, "join the container's namespaces");
	close(c->init_pidfd);
	if ((join & CLONE_NEWUSER) && userns_enter(err) < 0)
		return -1;
	return child_open_terminal(c, terminal, err);
}

static int child_use_stdio(const struct child *c, int slave, struct error **err)
{
	if (slave >= 0 && ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_set(err, errno, "make the pty the controlling terminal");
	for (int i = 0; i < 3; i++)
		if (dup2(slave >= 0 ? slave : c->stdio[i], i) < 0)
			return error_set(err, errno, "standard stream %d", i);
	return 0;
}

/*
 * A pipe and a pty belong to root until now; the process's user must be able to open
 * /dev/stdout. The node of /dev/null is shared and stays as it is.
 */
static int child_own_stdio(uid_t uid, struct error **err)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (fstat(i, &st) < 0)
			return error_set(err, errno, "standard stream %d", i);
		if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
			continue;
		if (st.st_uid != uid && fchown(i, uid, (gid_t)-1) < 0)
			return error_set(err, errno, "change the owner of standard stream %d", i);
	}
	return 0;
}

static int child_report_ready(int sync, const int terminal[2], struct error **err)
{
	int r = msg_send(sync, CHILD_READY, NULL, 0, terminal, terminal[0] >= 0 ? 2 : 0);

	return r < 0 ? error_set(err, -r, "tell the agent that the process is ready") : 0;
}

/* CVE-2024-21626's kind: a working directory that is not below the container's root. */
static int child_check_cwd(const char *cwd, struct error **err)
{
	char path[PATH_MAX];

	if (!getcwd(path, sizeof(path)) || path[0] != '/')
		return error_set(err, ENOENT, "the working directory `%s` is not in the container",
				 cwd);
	return 0;
}

static int child_become(const struct agent_process *p, struct error **err)
{
	int r;

	umask(p->has_umask ? p->umask : 0022);
	if (child_own_stdio(p->uid, err) < 0 || sched_apply(p, err) < 0 ||
	    user_apply_rlimits(p, err) < 0)
		return -1;
	r = chdir(p->cwd) < 0 ? -errno : 0;
	if (r < 0 && r != -EACCES)
		return error_set(err, -r, "chdir to `%s`", p->cwd);
	if (user_apply(p, err) < 0)
		return -1;
	/* What root may not enter (a network file system's rule) its owner may. */
	if (r < 0 && chdir(p->cwd) < 0)
		return error_set(err, errno, "chdir to `%s`", p->cwd);
	return child_check_cwd(p->cwd, err);
}

/*
 * The filter comes last, so that a profile has to allow no more than what is left then: execve(), and
 * capset() unless the process keeps CAP_SYS_ADMIN.
 */
static void child_exec(const struct agent_process *p, struct error **err)
{
	cleanup_free char *file = exec_find(p, err);

	if (!file)
		return;
	if (close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0) {
		error_set(err, errno, "close_range");
		return;
	}
	if (p->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		error_set(err, errno, "PR_SET_NO_NEW_PRIVS");
		return;
	}
	/* With no_new_privs even that can be given up before. */
	if ((p->no_new_privileges && user_finish(p, err) < 0) || seccomp_apply(p, err) < 0 ||
	    (!p->no_new_privileges && user_finish(p, err) < 0))
		return;
	execve(file, p->args, p->env);
	error_set(err, errno, "exec `%s`", file);
}

/* Early, so that `create` fails for a program that is not there; what counts is the second look. */
static int child_look_for_program(const struct agent_process *p, struct error **err)
{
	cleanup_free char *file = NULL;

	if (chdir(p->cwd) < 0)
		return 0;
	file = exec_find(p, err);
	return file ? 0 : -1;
}

/* Everything up to the moment in which the container is `created`. */
static int child_prepare(const struct child *c, struct error **err)
{
	int terminal[2] = { -1, -1 };

	if (child_reset(c, err) < 0)
		return -1;
	if ((c->container ? child_set_up(c, terminal, err) : child_join(c, terminal, err)) < 0)
		return -1;
	if (child_look_for_program(c->process, err) < 0)
		return -1;
	if (child_use_stdio(c, terminal[1], err) < 0 ||
	    child_report_ready(c->sync, terminal, err) < 0)
		return -1;
	for (int i = 0; i < 2; i++)
		if (terminal[i] >= 0)
			close(terminal[i]);
	return 0;
}

void child_main(const struct child *c)
{
	struct error *err = NULL;

	if (child_prepare(c, &err) < 0)
		child_fail(c->sync, err);
	child_wait(c->sync, CHILD_GO);
	if ((!c->container || hooks_run(c->container, &err) == 0) &&
	    child_become(c->process, &err) == 0)
		child_exec(c->process, &err);
	child_fail(c->sync, err);
}
