/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "create_options.h"

int cmd_create(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = { CREATE_OPTIONS, { 0 } };
	static const struct command cmd = {
		"create", "ID", "Boot the microVM of container ID and set the container up. Its "
		"process waits for `start`.", options, 1, 1,
	};
	struct create_options o;
	int first;

	create_options_init(&o);
	first = command_parse(&cmd, argc, argv, create_option_set, &o, err);
	if (first <= 0)
		return first;
	o.launch.id = argv[first];
	return launch_create(app, &o.launch, NULL, err);
}
