/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>

#include "app.h"
#include "base/error.h"
#include "container.h"
#include "container_match.h"
#include "signals.h"

struct kill_options {
	bool all, regex;
	int signo;
};

static int kill_option(void *data, int key, const char *value, struct error **err)
{
	struct kill_options *o = data;

	(void)value;
	(void)err;
	if (key == 'r')
		o->regex = true;
	else
		o->all = true;
	return 0;
}

static int kill_one(const struct app *app, const char *id, void *data, struct error **err)
{
	cleanup_container struct container c = { .dirfd = -1 };
	const struct kill_options *o = data;

	if (container_open(app, id, &c, err) < 0)
		return -1;
	if (c.state.status == OCI_STATUS_STOPPED)
		return container_not_running(id, err);
	if (c.state.status == OCI_STATUS_CREATING)
		return error_set(err, 0, "container %s is not created yet", id);
	if (!o->signo)
		return 0; /* the question was whether it is there */
	return container_kill(&c, o->signo, o->all, err);
}

int cmd_kill(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "all", 'a', NULL, "send it to all processes of the container" },
		{ "regex", 'r', NULL, "ID is a regular expression: every container that it matches" },
		{ 0 },
	};
	static const struct command cmd = {
		"kill", "ID [SIGNAL]", "Send SIGNAL (default: TERM) to the process of container ID.",
		options, 1, 2,
	};
	struct kill_options o = { .signo = SIGTERM };
	int first = command_parse(&cmd, argc, argv, kill_option, &o, err);

	if (first <= 0)
		return first;
	if (first + 1 < argc)
		o.signo = signal_parse(argv[first + 1]);
	if (o.signo < 0)
		return error_set(err, 0, "kill: there is no signal %s", argv[first + 1]);
	return o.regex ? container_match(app, argv[first], kill_one, &o, err) :
			 kill_one(app, argv[first], &o, err);
}
