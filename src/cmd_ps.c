/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "container.h"
#include "oci/json_out.h"

static int ps_option(void *data, int key, const char *value, struct error **err)
{
	(void)key;
	if (strcmp(value, "json") && strcmp(value, "table"))
		return error_set(err, 0, "--format: expected table or json, not %s", value);
	*(bool *)data = !strcmp(value, "json");
	return 0;
}

static size_t ps_alive(const struct container *c, pid_t *pids)
{
	size_t n = 0;

	if (process_ref_alive(&c->state.vmm))
		pids[n++] = c->state.vmm.pid;
	for (size_t i = 0; i < c->state.num_workers; i++)
		if (process_ref_alive(&c->state.workers[i]))
			pids[n++] = c->state.workers[i].pid;
	return n;
}

static int ps_json(const pid_t *pids, size_t count, struct error **err)
{
	cleanup_free char *text = NULL;
	struct json_out out;

	json_out_begin(&out, true);
	json_out_open_list(&out, NULL);
	for (size_t i = 0; i < count; i++)
		json_out_int(&out, NULL, pids[i]);
	json_out_close_list(&out);
	text = json_out_end(&out);
	if (!text)
		return error_set(err, ENOMEM, "cannot write the list");
	fputs(text, stdout);
	return 0;
}

int cmd_ps(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "format", 'f', "FORMAT", "table or json" },
		{ 0 },
	};
	static const struct command cmd = {
		"ps", "ID", "List the host's processes of container ID: its VMM first, then its "
		"workers. Its own processes are in the microVM.", options, 1, 1,
	};
	cleanup_container struct container c = { .dirfd = -1 };
	pid_t pids[OCI_STATE_WORKERS_MAX + 1];
	bool json = false;
	size_t count;
	int first = command_parse(&cmd, argc, argv, ps_option, &json, err);

	if (first <= 0)
		return first;
	if (container_open(app, argv[first], &c, err) < 0)
		return -1;
	count = ps_alive(&c, pids);
	if (json) {
		if (ps_json(pids, count, err) < 0)
			return -1;
	} else {
		puts("PID");
		for (size_t i = 0; i < count; i++)
			printf("%d\n", pids[i]);
	}
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}
