/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "console.h"
#include "container.h"
#include "container_start.h"
#include "create_options.h"
#include "relay.h"

static void run_forward(const struct app *app, const char *id, struct relay *relay, int signo)
{
	cleanup_container struct container c = { .dirfd = -1 };

	if (signo == SIGWINCH)
		relay_resize(relay);
	else if (container_open(app, id, &c, NULL) == 0)
		container_kill(&c, signo, false, NULL);
}

/* The exit code of the VMM, which is the process's. */
static int run_wait(const struct app *app, const char *id, struct relay *relay, pid_t vmm,
		    struct error **err)
{
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid == vmm)
			break;
		if (pid > 0)
			continue; /* a worker: the VMM sees it too */
		if (pid < 0)
			return error_set(err, errno, "cannot wait for the container");
		if (relay_wait(relay, -1, &info, err) < 0)
			return -1;
		if (info.ssi_signo != SIGCHLD)
			run_forward(app, id, relay, (int)info.ssi_signo);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Without --console-socket, the terminal that the process asks for is ours. */
static int run_own_terminal(const struct create_options *o, int *master, int *slave,
			    struct error **err)
{
	cleanup_spec struct oci_spec spec = { 0 };
	cleanup_close int dirfd = open(o->launch.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (o->detach || o->launch.console_socket)
		return 0;
	if (dirfd < 0)
		return error_set(err, errno, "cannot open the bundle %s", o->launch.bundle);
	if (oci_spec_load(dirfd, o->launch.config, &spec, err) < 0)
		return -1;
	if (!spec.process.terminal)
		return 0;
	return console_open(master, slave, spec.process.rows, spec.process.columns, err);
}

static int run_foreground(const struct app *app, struct create_options *o, int *master,
			  struct error **err)
{
	struct relay relay;
	pid_t vmm = 0;
	int code = -1;

	if (relay_begin(&relay, true, err) < 0)
		return -1;
	if ((*master < 0 || relay_terminal(&relay, steal_fd(master), err) == 0) &&
	    launch_create(app, &o->launch, &vmm, err) == 0) {
		if (o->launch.terminal >= 0)
			close(steal_fd(&o->launch.terminal));
		if (container_start(app, o->launch.id, err) == 0)
			code = run_wait(app, o->launch.id, &relay, vmm, err);
		if (!o->keep || code < 0)
			container_delete(app, o->launch.id, true, code < 0 ? NULL : err);
	}
	relay_end(&relay);
	return code;
}

int cmd_run(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		CREATE_OPTIONS,
		{ "detach", 'd', NULL, "do not wait for the end of the container" },
		{ "keep", 'k', NULL, "do not delete it when it has ended" },
		{ 0 },
	};
	static const struct command cmd = {
		"run", "ID", "Create and start container ID, wait for its end, and delete it. The "
		"exit code is its process's, or 128 and the number of the signal that ended it.",
		options, 1, 1,
	};
	cleanup_close int master = -1, slave = -1;
	struct create_options o;
	int first, code;

	create_options_init(&o);
	first = command_parse(&cmd, argc, argv, create_option_set, &o, err);
	if (first <= 0)
		return first;
	o.launch.id = argv[first];
	if (!o.detach) {
		if (run_own_terminal(&o, &master, &slave, err) < 0)
			return -1;
		o.launch.terminal = steal_fd(&slave);
		code = run_foreground(app, &o, &master, err);
		if (o.launch.terminal >= 0)
			close(o.launch.terminal);
		return code;
	}
	if (launch_create(app, &o.launch, NULL, err) < 0)
		return -1;
	if (container_start(app, o.launch.id, err) == 0)
		return 0;
	container_delete(app, o.launch.id, true, NULL);
	return -1;
}
