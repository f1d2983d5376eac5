/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>

#include "app.h"
#include "base/error.h"
#include "container.h"
#include "signals.h"

static int kill_option(void *data, int key, const char *value, struct error **err)
{
	(void)key;
	(void)value;
	(void)err;
	*(bool *)data = true;
	return 0;
}

int cmd_kill(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "all", 'a', NULL, "send it to all processes of the container" },
		{ 0 },
	};
	static const struct command cmd = {
		"kill", "ID [SIGNAL]", "Send SIGNAL (default: TERM) to the process of container ID.",
		options, 1, 2,
	};
	cleanup_container struct container c = { .dirfd = -1 };
	int first, signo = SIGTERM;
	bool all = false;

	first = command_parse(&cmd, argc, argv, kill_option, &all, err);
	if (first <= 0)
		return first;
	if (first + 1 < argc)
		signo = signal_parse(argv[first + 1]);
	if (signo < 0)
		return error_set(err, 0, "kill: there is no signal %s", argv[first + 1]);
	if (container_open(app, argv[first], &c, err) < 0)
		return -1;
	if (c.state.status == OCI_STATUS_STOPPED)
		return container_not_running(argv[first], err);
	if (c.state.status == OCI_STATUS_CREATING)
		return error_set(err, 0, "container %s is not created yet", argv[first]);
	if (!signo)
		return 0; /* the question was whether it is there */
	return container_kill(&c, signo, all, err);
}
