/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "container.h"

int cmd_state(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command cmd = {
		"state", "ID", "Show the state of container ID as JSON.", NULL, 1, 1,
	};
	cleanup_container struct container c = { .dirfd = -1 };
	cleanup_free char *json = NULL;
	int first = command_parse(&cmd, argc, argv, NULL, NULL, err);

	if (first <= 0)
		return first;
	if (container_open(app, argv[first], &c, err) < 0)
		return -1;
	/* One that is being created may not have its configuration yet. */
	if (container_load_spec(&c, err) < 0 && c.state.status != OCI_STATUS_CREATING)
		return -1;
	error_free(err);
	json = oci_state_json(&c.state, &c.spec);
	if (!json)
		return error_set(err, ENOMEM, "cannot write the state");
	fputs(json, stdout);
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}
