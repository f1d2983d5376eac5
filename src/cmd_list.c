/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "container.h"
#include "oci/json_out.h"

struct list_options {
	bool quiet, json;
};

static int list_option(void *data, int key, const char *value, struct error **err)
{
	struct list_options *o = data;

	if (key == 'q')
		o->quiet = true;
	else if (!strcmp(value, "json"))
		o->json = true;
	else if (strcmp(value, "table"))
		return error_set(err, 0, "--format: expected table or json, not %s", value);
	return 0;
}

static void list_json_item(struct json_out *out, const struct oci_state *s)
{
	json_out_open(out, NULL);
	json_out_string(out, "id", s->id);
	json_out_int(out, "pid", s->status == OCI_STATUS_STOPPED ? 0 : s->vmm.pid);
	json_out_string(out, "status", oci_status_name(s->status));
	json_out_string(out, "bundle", s->bundle);
	json_out_string(out, "created", s->created);
	json_out_string(out, "owner", s->owner);
	json_out_close(out);
}

static void list_row(const struct oci_state *s)
{
	printf("%-24s %-8d %-9s %-32s %-27s %s\n", s->id,
	       s->status == OCI_STATUS_STOPPED ? 0 : s->vmm.pid, oci_status_name(s->status),
	       s->bundle, s->created, s->owner);
}

static void list_one(const struct app *app, const char *id, const struct list_options *o,
		     struct json_out *out)
{
	cleanup_container struct container c = { .dirfd = -1 };

	/* One that is deleted meanwhile, or is a leftover, is no container. */
	if (container_open(app, id, &c, NULL) < 0 ||
	    (c.state.status == OCI_STATUS_CREATING && oci_state_trylock(c.dirfd, NULL) == 1))
		return;
	if (o->quiet)
		puts(id);
	else if (o->json)
		list_json_item(out, &c.state);
	else
		list_row(&c.state);
}

int cmd_list(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "format", 'f', "FORMAT", "table or json" },
		{ "quiet", 'q', NULL, "ids alone" },
		{ 0 },
	};
	static const struct command cmd = { "list", "", "List the containers below --root.",
					    options, 0, 0 };
	struct list_options o = { false, false };
	int first = command_parse(&cmd, argc, argv, list_option, &o, err);
	struct json_out out = { 0 };
	char **ids;

	if (first <= 0)
		return first;
	ids = oci_state_list(app->root, err);
	if (!ids)
		return -1;
	if (o.json && !o.quiet) {
		json_out_begin(&out, true);
		json_out_open_list(&out, NULL);
	} else if (!o.quiet) {
		printf("%-24s %-8s %-9s %-32s %-27s %s\n", "ID", "PID", "STATUS", "BUNDLE",
		       "CREATED", "OWNER");
	}
	for (char **id = ids; *id; id++)
		list_one(app, *id, &o, &out);
	wire_strv_free(ids);
	if (o.json && !o.quiet) {
		cleanup_free char *text = NULL;

		json_out_close_list(&out);
		text = json_out_end(&out);
		if (!text)
			return error_set(err, ENOMEM, "cannot write the list");
		fputs(text, stdout);
	}
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}
