/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "container.h"
#include "oci/json_out.h"
#include "stats.h"

#define INTERVAL_DEFAULT_S 5
/* How often it is looked for what did not come by itself: an end, memory that was too little. */
#define POLL_MS 500

struct events_options {
	bool once;
	long interval; /* seconds */
};

/* "10" and "10s", as runc takes it */
static int events_option(void *data, int key, const char *value, struct error **err)
{
	struct events_options *o = data;
	char number[16];
	size_t len = 0;

	if (key == 's') {
		o->once = true;
		return 0;
	}
	while (value[len] && len < sizeof(number) - 1 && !(value[len] == 's' && !value[len + 1])) {
		number[len] = value[len];
		len++;
	}
	number[len] = 0;
	return option_number("interval", number, 1, 86400, &o->interval, err);
}

static int events_write(const char *type, const char *id, const struct stats *s, struct error **err)
{
	cleanup_free char *text = NULL;
	struct json_out out;

	json_out_begin(&out, false);
	json_out_open(&out, NULL);
	json_out_string(&out, "type", type);
	json_out_string(&out, "id", id);
	if (s)
		stats_write(&out, s);
	json_out_close(&out);
	text = json_out_end(&out);
	if (!text)
		return error_set(err, ENOMEM, "cannot write an event");
	puts(text);
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}

/* A process for which memory was too little may have been the last one. */
static bool events_was_oom(const struct container *c)
{
	return !faccessat(c->dirfd, OCI_OOM_DIR "/" VMM_OOM_MARK, F_OK, 0);
}

/* Until the container ends. */
static int events_follow(struct container *c, const struct events_options *o, struct error **err)
{
	const struct timespec pause = { 0, POLL_MS * 1000 * 1000 };
	const long steps = o->interval * 1000 / POLL_MS;
	cleanup_error struct error *why = NULL;
	uint64_t kills = 0;

	for (long step = 0;; step++) {
		struct stats s;

		if (!container_goes_on(c))
			return !kills && events_was_oom(c) ? events_write("oom", c->id, NULL, err) : 0;
		/* One that is paused, or ends just now, has nothing to tell. */
		if (c->state.status != OCI_STATUS_PAUSED && stats_read(c, &s, &why) == 0) {
			if (s.oom_kills > kills && events_write("oom", c->id, NULL, err) < 0)
				return -1;
			kills = s.oom_kills;
			if (step % steps == 0 && events_write("stats", c->id, &s, err) < 0)
				return -1;
		}
		error_free(&why);
		nanosleep(&pause, NULL);
	}
}

int cmd_events(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "stats", 's', NULL, "show what is used now, and end" },
		{ "interval", 256, "SECONDS", "how often to show what is used (5)" },
		{ 0 },
	};
	static const struct command cmd = {
		"events", "ID", "Show what container ID uses, as lines of JSON, and when a process of "
		"it was ended because memory was too little.", options, 1, 1,
	};
	struct events_options o = { .interval = INTERVAL_DEFAULT_S };
	cleanup_container struct container c = { .dirfd = -1 };
	int first = command_parse(&cmd, argc, argv, events_option, &o, err);
	struct stats s;

	if (first <= 0)
		return first;
	if (container_open(app, argv[first], &c, err) < 0)
		return -1;
	if (c.state.status != OCI_STATUS_RUNNING && c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is %s, not running", argv[first],
				 oci_status_name(c.state.status));
	if (!o.once)
		return events_follow(&c, &o, err);
	return stats_read(&c, &s, err) < 0 ? -1 : events_write("stats", argv[first], &s, err);
}
