/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "container.h"
#include "guest_cgroup.h"
#include "numbers.h"
#include "oci/json_out.h"

/* A number of a file of the host's cgroup. */
static uint64_t host_number(int cgroup, const char *file, const char *key, uint64_t otherwise)
{
	cleanup_close int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = fd < 0 ? NULL : fd_read_file(fd, 1 << 20, NULL);

	return text ? number_after(text, key, otherwise) : otherwise;
}

static int read_host(const struct container *c, struct stats *s, struct error **err)
{
	cleanup_close int dir = -1;

	if (!c->state.cgroup)
		return 0;
	dir = open(c->state.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, errno, "cannot open the cgroup %s", c->state.cgroup);
	/* µs in the files, ns in events */
	s->cpu_total = host_number(dir, "cpu.stat", "usage_usec", 0) * 1000;
	s->cpu_user = host_number(dir, "cpu.stat", "user_usec", 0) * 1000;
	s->cpu_system = host_number(dir, "cpu.stat", "system_usec", 0) * 1000;
	s->cpu_periods = host_number(dir, "cpu.stat", "nr_periods", 0);
	s->cpu_throttled = host_number(dir, "cpu.stat", "nr_throttled", 0);
	s->cpu_throttled_time = host_number(dir, "cpu.stat", "throttled_usec", 0) * 1000;
	s->memory = host_number(dir, "memory.current", NULL, 0);
	s->memory_limit = host_number(dir, "memory.max", NULL, UINT64_MAX);
	s->memory_max = host_number(dir, "memory.peak", NULL, 0);
	s->swap = host_number(dir, "memory.swap.current", NULL, 0);
	s->swap_limit = host_number(dir, "memory.swap.max", NULL, UINT64_MAX);
	s->cache = host_number(dir, "memory.stat", "file", 0);
	s->oom_kills = host_number(dir, "memory.events", "oom_kill", 0);
	return 0;
}

static int read_guest(const struct container *c, struct stats *s, struct error **err)
{
	static const struct agent_pair files[] = {
		{ (char *)"pids.current", (char *)"" },	  { (char *)"pids.max", (char *)"" },
		{ (char *)"memory.current", (char *)"" }, { (char *)"memory.max", (char *)"" },
		{ (char *)"memory.events", (char *)"" },
	};
	cleanup_guest_cgroup struct guest_cgroup got = { 0 };

	if (guest_cgroup_access(c->dirfd, files, sizeof(files) / sizeof(*files), &got, err) < 0)
		return -1;
	s->pids = guest_cgroup_number(&got, "pids.current", NULL, 0);
	s->pids_limit = guest_cgroup_number(&got, "pids.max", NULL, 0);
	s->guest_memory = guest_cgroup_number(&got, "memory.current", NULL, 0);
	s->guest_memory_limit = guest_cgroup_number(&got, "memory.max", NULL, UINT64_MAX);
	s->oom_kills += guest_cgroup_number(&got, "memory.events", "oom_kill", 0);
	return 0;
}

int stats_read(const struct container *c, struct stats *s, struct error **err)
{
	*s = (struct stats){ 0 };
	return read_host(c, s, err) < 0 || read_guest(c, s, err) < 0 ? -1 : 0;
}

static void write_usage(struct json_out *out, const char *name, uint64_t usage, uint64_t max,
			uint64_t limit, uint64_t failures)
{
	json_out_open(out, name);
	json_out_uint(out, "limit", limit);
	json_out_uint(out, "usage", usage);
	json_out_uint(out, "max", max);
	json_out_uint(out, "failcnt", failures);
	json_out_close(out);
}

static void write_cpu(struct json_out *out, const struct stats *s)
{
	json_out_open(out, "cpu");
	json_out_open(out, "usage");
	json_out_uint(out, "total", s->cpu_total);
	json_out_uint(out, "kernel", s->cpu_system);
	json_out_uint(out, "user", s->cpu_user);
	json_out_close(out);
	json_out_open(out, "throttling");
	json_out_uint(out, "periods", s->cpu_periods);
	json_out_uint(out, "throttledPeriods", s->cpu_throttled);
	json_out_uint(out, "throttledTime", s->cpu_throttled_time);
	json_out_close(out);
	json_out_close(out);
}

void stats_write(struct json_out *out, const struct stats *s)
{
	json_out_open(out, "data");
	write_cpu(out, s);
	json_out_open(out, "memory");
	json_out_uint(out, "cache", s->cache);
	write_usage(out, "usage", s->memory, s->memory_max, s->memory_limit, s->oom_kills);
	write_usage(out, "swap", s->memory + s->swap, 0, s->swap_limit, 0);
	json_out_open(out, "raw");
	json_out_uint(out, "guest_usage", s->guest_memory);
	json_out_uint(out, "guest_limit", s->guest_memory_limit);
	json_out_uint(out, "oom_kill", s->oom_kills);
	json_out_close(out);
	json_out_close(out);
	json_out_open(out, "pids");
	json_out_uint(out, "current", s->pids);
	json_out_uint(out, "limit", s->pids_limit);
	json_out_close(out);
	json_out_close(out);
}
