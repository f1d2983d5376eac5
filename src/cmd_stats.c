/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "container.h"
#include "gpu_usage.h"
#include "oci/json_out.h"
#include "stats.h"

#define INTERVAL_DEFAULT_S 2
#define PROCESSES_MAX 512

struct stats_options {
	bool json, once;
	long interval; /* seconds */
};

/* What is read at one time. */
struct sample {
	struct timespec when;
	struct stats stats;
	bool has_gpu;
	struct gpu_usage gpu;
};

static int stats_option(void *data, int key, const char *value, struct error **err)
{
	struct stats_options *o = data;

	switch (key) {
	case 'f':
		if (strcmp(value, "json") && strcmp(value, "table"))
			return error_set(err, 0, "--format: expected table or json, not %s", value);
		o->json = !strcmp(value, "json");
		return 0;
	case 'n':
		o->once = true;
		return 0;
	default:
		return option_number("interval", value, 1, 86400, &o->interval, err);
	}
}

static int sample_read(const struct container *c, struct sample *s, struct error **err)
{
	pid_t pids[PROCESSES_MAX], workers[OCI_STATE_WORKERS_MAX];
	size_t count = 0, num_workers = 0;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &s->when);
	if (stats_read(c, &s->stats, err) < 0)
		return -1;
	/* Of the workers only the render server's jail has children. */
	for (size_t i = 0; i < c->state.num_workers; i++) {
		if (!process_ref_alive(&c->state.workers[i]))
			continue;
		workers[num_workers++] = c->state.workers[i].pid;
		count += gpu_usage_processes("/proc", c->state.workers[i].pid, pids + count,
					     PROCESSES_MAX - count);
	}
	r = gpu_usage_read(c->dirfd, "/proc", pids, count, &s->gpu, err);
	s->has_gpu = r > 0;
	if (s->has_gpu)
		gpu_usage_lost("/proc", workers, num_workers, &s->gpu);
	return r < 0 ? -1 : 0;
}

static void write_gpu(struct json_out *out, const struct gpu_usage *g)
{
	const struct gpu_stats *n = &g->counts;

	json_out_open(out, "gpu");
	json_out_bool(out, "workerLost", g->lost);
	json_out_open(out, "time");
	json_out_uint(out, "ns", g->time_ns);
	json_out_string(out, "source", g->time_source);
	json_out_close(out);
	if (g->has_utilization) {
		json_out_open(out, "utilization");
		json_out_uint(out, "percent", g->utilization);
		json_out_string(out, "source", "nvml");
		json_out_close(out);
	}
	json_out_open(out, "memory");
	json_out_uint(out, "bytes", g->memory);
	json_out_string(out, "source", g->memory_source);
	json_out_close(out);
	json_out_open(out, "blobs");
	json_out_uint(out, "count", n->blobs);
	json_out_uint(out, "bytes", n->blob_bytes);
	json_out_uint(out, "limit", n->blob_bytes_max);
	json_out_close(out);
	json_out_uint(out, "contexts", n->contexts);
	json_out_uint(out, "contextsLost", n->contexts_lost);
	json_out_uint(out, "fencesOutstanding", n->fences);
	json_out_uint(out, "fences", n->fences_total);
	json_out_uint(out, "commands", n->commands);
	json_out_uint(out, "submissions", n->submissions);
	json_out_close(out);
}

static int show_json(const char *id, const struct sample *s, struct error **err)
{
	cleanup_free char *text = NULL;
	struct json_out out;

	json_out_begin(&out, false);
	json_out_open(&out, NULL);
	json_out_string(&out, "id", id);
	stats_write(&out, &s->stats);
	if (s->has_gpu)
		write_gpu(&out, &s->gpu);
	json_out_close(&out);
	text = json_out_end(&out);
	if (!text)
		return error_set(err, ENOMEM, "cannot write the figures");
	puts(text);
	return 0;
}

static void put_bytes(const char *name, uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double amount = (double)bytes;
	size_t unit = 0;

	while (amount >= 1024 && unit < 4) {
		amount /= 1024;
		unit++;
	}
	printf("%-18s%.*f %s", name, unit ? 1 : 0, amount, units[unit]);
}

/* How much of a processor's, or GPU's, time passed in use between two samples. */
static double share(uint64_t from, uint64_t to, const struct sample *before,
		    const struct sample *now)
{
	double elapsed = (double)(now->when.tv_sec - before->when.tv_sec) * 1e9 +
			 (double)(now->when.tv_nsec - before->when.tv_nsec);

	return to > from && elapsed > 0 ? 100.0 * (double)(to - from) / elapsed : 0;
}

static void show_gpu(const struct sample *before, const struct sample *now)
{
	const struct gpu_usage *g = &now->gpu;

	if (g->lost)
		printf("%-18s%s\n", "GPU", "worker lost: programs in the container have none any more");
	printf("%-18s%.3f s (%s)", "GPU time", (double)g->time_ns / 1e9, g->time_source);
	if (before)
		printf(", %.1f %%", share(before->gpu.time_ns, g->time_ns, before, now));
	if (g->has_utilization)
		printf("; in use %u %% (nvml)", g->utilization);
	putchar('\n');
	put_bytes("GPU memory", g->memory);
	printf(" (%s)\n", g->memory_source);
	printf("%-18s%" PRIu64 ", %" PRIu64 " lost\n", "contexts", g->counts.contexts,
	       g->counts.contexts_lost);
	printf("%-18s%" PRIu64, "blobs", g->counts.blobs);
	putchar('\n');
	put_bytes("  their size", g->counts.blob_bytes);
	printf(" of %" PRIu64 " MiB\n", g->counts.blob_bytes_max >> 20);
	printf("%-18s%" PRIu64 " outstanding, %" PRIu64 " so far\n", "fences", g->counts.fences,
	       g->counts.fences_total);
	printf("%-18s%" PRIu64 ", %" PRIu64 " submissions\n", "GPU commands", g->counts.commands,
	       g->counts.submissions);
}

static void show_table(const char *id, const struct sample *before, const struct sample *now)
{
	if (before && isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout); /* over the last one */
	printf("%-18s%s\n", "container", id);
	printf("%-18s%.3f s", "processor", (double)now->stats.cpu_total / 1e9);
	if (before)
		printf(", %.1f %%",
		       share(before->stats.cpu_total, now->stats.cpu_total, before, now));
	putchar('\n');
	put_bytes("memory", now->stats.memory);
	putchar('\n');
	put_bytes("  in the guest", now->stats.guest_memory);
	printf("\n%-18s%" PRIu64 "\n", "processes", now->stats.pids);
	if (now->has_gpu)
		show_gpu(before, now);
	else
		printf("%-18s%s\n", "GPU", "none");
}

static int show(const struct stats_options *o, const char *id, const struct sample *before,
		const struct sample *now, struct error **err)
{
	if (!o->json)
		show_table(id, before, now);
	else if (show_json(id, now, err) < 0)
		return -1;
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}

/* Until the container ends. */
static int follow(struct container *c, const struct stats_options *o, struct error **err)
{
	const struct timespec pause = { o->interval, 0 };
	cleanup_error struct error *why = NULL;
	struct sample samples[2];
	bool have = false;

	for (unsigned int i = 0;; i ^= 1) {
		if (!container_goes_on(c))
			return 0;
		if (c->state.status != OCI_STATUS_PAUSED && sample_read(c, &samples[i], &why) == 0) {
			if (show(o, c->id, have ? &samples[i ^ 1] : NULL, &samples[i], err) < 0)
				return -1;
			have = true;
		} else {
			have = false;
		}
		error_free(&why);
		nanosleep(&pause, NULL);
	}
}

int cmd_stats(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "format", 'f', "FORMAT", "table or json (a line each time)" },
		{ "no-stream", 'n', NULL, "show them once, and end" },
		{ "interval", 256, "SECONDS", "how often to show them (2)" },
		{ 0 },
	};
	static const struct command cmd = {
		"stats", "ID", "Show what container ID uses, of the GPU too, until it ends.",
		options, 1, 1,
	};
	struct stats_options o = { .interval = INTERVAL_DEFAULT_S };
	cleanup_container struct container c = { .dirfd = -1 };
	int first = command_parse(&cmd, argc, argv, stats_option, &o, err);
	struct sample now;

	if (first <= 0)
		return first;
	if (container_open(app, argv[first], &c, err) < 0)
		return -1;
	if (c.state.status != OCI_STATUS_RUNNING && c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is %s, not running", argv[first],
				 oci_status_name(c.state.status));
	if (!o.once)
		return follow(&c, &o, err);
	return sample_read(&c, &now, err) < 0 ? -1 : show(&o, argv[first], NULL, &now, err);
}
