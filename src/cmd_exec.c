/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the process runs in the guest, and the VMM moves its streams. What stands
 * for it on the host is a proxy that holds the connection to the VMM: it passes signals and
 * terminal sizes on, and ends as the process ends. With --detach the proxy is a child that lives
 * on; its pid goes into the pid file, for whoever waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "console.h"
#include "container.h"
#include "control_client.h"
#include "driver_bundle.h"
#include "exec_options.h"
#include "launch_guest.h"
#include "relay.h"

#define EXEC_TIMEOUT_MS 60000

/* The process's streams: 0, 1 and 2, or a terminal's slave. */
static int exec_open_terminal(const struct exec_options *o, struct oci_process *p, int *master,
			      int *slave, struct error **err)
{
	struct winsize size;

	if (!p->terminal)
		return o->console_socket ? error_set(err, 0, "--console-socket: the process has no "
						     "terminal") : 0;
	if (!o->console_socket && o->detach)
		return error_set(err, 0, "--tty: --console-socket is needed with --detach");
	if (!o->console_socket && !p->rows && !ioctl(STDIN_FILENO, TIOCGWINSZ, &size)) {
		p->rows = size.ws_row;
		p->columns = size.ws_col;
	}
	if (console_open(master, slave, p->rows, p->columns, err) < 0)
		return -1;
	if (!o->console_socket)
		return 0;
	if (console_send(o->console_socket, *master, err) < 0)
		return -1;
	close(steal_fd(master));
	return 0;
}

/* Answers with the connection on which the process was started. */
static int exec_start(struct container *c, const struct oci_process *p, int slave,
		      struct error **err)
{
	cleanup_close int sock = control_connect(c->dirfd, err);
	cleanup_wire struct wire_writer w = { 0 };
	cleanup_msg struct msg msg = { 0 };
	const int streams[] = { 0, 1, 2 };
	struct agent_process process;
	int r;

	if (sock < 0 || launch_guest_process(p, &c->spec, !fd_is_null(STDIN_FILENO), &c->spec.arena,
					     &process, err) < 0)
		return -1;
	agent_process_encode(&w, &process);
	if (w.failed)
		return error_set(err, ENOMEM, "cannot describe the process");
	r = msg_send(sock, VMM_EXEC, w.data, w.len, p->terminal ? &slave : streams,
		     p->terminal ? 1 : 3);
	if (r < 0)
		return error_set(err, -r, "cannot ask the container's VMM");
	if (control_receive(sock, EXEC_TIMEOUT_MS, &msg, err) < 0)
		return -1;
	if (msg.type != VMM_STARTED)
		return error_set(err, EPROTO, "the VMM answered out of turn");
	return steal_fd(&sock);
}

static void proxy_send_size(int sock, int slave)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct winsize size;

	if (slave < 0 || ioctl(slave, TIOCGWINSZ, &size) < 0)
		return;
	wire_put_u32(&w, size.ws_row);
	wire_put_u32(&w, size.ws_col);
	if (!w.failed)
		msg_send(sock, VMM_EXEC_RESIZE, w.data, w.len, NULL, 0);
}

static void proxy_send_signal(int sock, int signo)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, (uint32_t)signo);
	if (!w.failed)
		msg_send(sock, VMM_EXEC_SIGNAL, w.data, w.len, NULL, 0);
}

/* The process's wait status, once all its output has been delivered. */
static int proxy_wait(int sock, int slave, struct relay *relay, int *status, struct error **err)
{
	cleanup_msg struct msg msg = { 0 };
	struct signalfd_siginfo info;
	struct wire_reader r;

	for (;;) {
		int got = relay_wait(relay, sock, &info, err);

		if (got < 0)
			return -1;
		if (!got)
			break;
		if (info.ssi_signo == SIGWINCH) {
			relay_resize(relay);
			proxy_send_size(sock, slave);
		} else {
			proxy_send_signal(sock, (int)info.ssi_signo);
		}
	}
	if (control_receive(sock, -1, &msg, err) < 0)
		return -1;
	r = WIRE_READER(msg.payload, msg.len);
	*status = (int)wire_get_u32(&r);
	if (msg.type != VMM_EXITED || r.failed)
		return error_set(err, EPROTO, "the VMM answered out of turn");
	return 0;
}

/* Streams that the VMM has must not stay open here: their ends are waited for. */
static int proxy_drop_streams(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int r = null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0;

	if (null > 2)
		close(null);
	return r ? -1 : 0;
}

/* The detached proxy: whoever waits for it sees what became of the process. */
_Noreturn static void proxy_end_as(int status)
{
	const struct rlimit no_core = { 0, 0 };
	sigset_t set;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &no_core);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

_Noreturn static void proxy_main(int sock, int slave, struct relay *relay)
{
	int status;

	setsid();
	/* As the session's leader we are told when the terminal's size changes. */
	if (slave >= 0)
		ioctl(slave, TIOCSCTTY, 0);
	if (proxy_drop_streams() < 0)
		_exit(1);
	proxy_send_size(sock, slave);
	if (proxy_wait(sock, slave, relay, &status, NULL) < 0)
		proxy_end_as(SIGKILL); /* the machine has gone, and the process with it */
	proxy_end_as(status);
}

static int exec_write_pid(const char *path, pid_t pid, struct error **err)
{
	cleanup_close int fd = -1;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || dprintf(fd, "%d", pid) < 0)
		return error_set(err, errno, "--pid-file: cannot write %s", path);
	return 0;
}

static int exec_detached(const struct exec_options *o, int sock, int slave, struct relay *relay,
			 struct error **err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_set(err, errno, "cannot fork");
	if (!pid)
		proxy_main(sock, slave, relay);
	return exec_write_pid(o->pid_file, pid, err);
}

static int exec_foreground(const struct exec_options *o, int sock, int *master, int slave,
			   struct relay *relay, struct error **err)
{
	int status;

	if (exec_write_pid(o->pid_file, getpid(), err) < 0 ||
	    (*master >= 0 && relay_terminal(relay, steal_fd(master), err) < 0) ||
	    proxy_wait(sock, slave, relay, &status, err) < 0)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int exec_in(const struct exec_options *o, struct container *c, struct error **err)
{
	cleanup_close int sock = -1, master = -1, slave = -1;
	struct oci_process process = { 0 };
	struct relay relay;
	int code;

	if (exec_options_process(o, &c->spec, &process, err) < 0 ||
	    (c->state.gpu_driver &&
	     driver_bundle_set_env(c->state.gpu_driver, &c->spec.arena, &process, err) < 0) ||
	    exec_open_terminal(o, &process, &master, &slave, err) < 0)
		return -1;
	/* Signals that come from here on are the process's. */
	if (relay_begin(&relay, false, err) < 0)
		return -1;
	sock = exec_start(c, &process, slave, err);
	if (sock < 0)
		code = -1;
	else if (o->detach)
		code = exec_detached(o, sock, slave, &relay, err);
	else
		code = exec_foreground(o, sock, &master, slave, &relay, err);
	relay_end(&relay);
	return code;
}

int cmd_exec(const struct app *app, int argc, char **argv, struct error **err)
{
	cleanup_container struct container c = { .dirfd = -1 };
	struct exec_options o = { 0 };
	int r = exec_options_parse(&o, argc, argv, err);

	if (r <= 0)
		return r;
	if (container_open(app, o.id, &c, err) < 0)
		return -1;
	if (c.state.status == OCI_STATUS_PAUSED)
		return error_set(err, 0, "container %s is paused: resume it first", o.id);
	if (c.state.status != OCI_STATUS_RUNNING && c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is not running", o.id);
	if (container_load_spec(&c, err) < 0)
		return -1;
	return exec_in(&o, &c, err);
}
