/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "container.h"
#include "guest_cgroup.h"
#include "numbers.h"
#include "stats_parse.h"
#include "oci/json_out.h"

static char *host_text(int dirfd, const char *path)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fd_read_file(fd, 1 << 20, NULL);
}

/* A number of a file of the host's cgroup. */
static uint64_t host_number(int cgroup, const char *file, const char *key, uint64_t otherwise)
{
	cleanup_free char *text = host_text(cgroup, file);

	return text ? number_after(text, key, otherwise) : otherwise;
}

/* A container that shares the host's network has no interfaces of its own. */
static void read_network(const struct container *c, struct stats *s)
{
	cleanup_free char *text = NULL;
	char path[64];
	struct stat own, theirs;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->state.vmm.pid);
	if (stat("/proc/self/ns/net", &own) < 0 || stat(path, &theirs) < 0 ||
	    (own.st_ino == theirs.st_ino && own.st_dev == theirs.st_dev))
		return;
	snprintf(path, sizeof(path), "/proc/%d/net/dev", c->state.vmm.pid);
	text = host_text(AT_FDCWD, path);
	stats_parse_interfaces(text ? text : "", s);
}

static int read_host(const struct container *c, struct stats *s, struct error **err)
{
	cleanup_free char *io = NULL;
	cleanup_close int dir = -1;

	read_network(c, s);
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
	/* What is limited there is swap alone, and what is told of is both together. */
	s->swap_limit = stats_add_limits(host_number(dir, "memory.swap.max", NULL, UINT64_MAX),
					 s->memory_limit);
	s->cache = host_number(dir, "memory.stat", "file", 0);
	s->oom_kills = host_number(dir, "memory.events", "oom_kill", 0);
	io = host_text(dir, "io.stat");
	stats_parse_devices(io ? io : "", s);
	return 0;
}

static struct stats_pages read_pages(const struct guest_cgroup *got, const char *size,
				     const char *current, const char *events)
{
	const char *there = guest_cgroup_text(got, current);

	return (struct stats_pages){
		.size = there && *there ? size : NULL,
		.usage = guest_cgroup_number(got, current, NULL, 0),
		.failures = guest_cgroup_number(got, events, "max", 0),
	};
}

static int read_guest(const struct container *c, struct stats *s, struct error **err)
{
	static const struct agent_pair files[] = {
		{ (char *)"pids.current", (char *)"" },	  { (char *)"pids.max", (char *)"" },
		{ (char *)"memory.current", (char *)"" }, { (char *)"memory.max", (char *)"" },
		{ (char *)"memory.events", (char *)"" },
		{ (char *)"hugetlb.2MB.current", (char *)"" },
		{ (char *)"hugetlb.2MB.events", (char *)"" },
		{ (char *)"hugetlb.1GB.current", (char *)"" },
		{ (char *)"hugetlb.1GB.events", (char *)"" },
	};
	cleanup_guest_cgroup struct guest_cgroup got = { 0 };

	if (guest_cgroup_access(c->dirfd, files, sizeof(files) / sizeof(*files), &got, err) < 0)
		return -1;
	s->pids = guest_cgroup_number(&got, "pids.current", NULL, 0);
	s->pids_limit = guest_cgroup_number(&got, "pids.max", NULL, 0);
	s->guest_memory = guest_cgroup_number(&got, "memory.current", NULL, 0);
	s->guest_memory_limit = guest_cgroup_number(&got, "memory.max", NULL, UINT64_MAX);
	s->oom_kills += guest_cgroup_number(&got, "memory.events", "oom_kill", 0);
	s->pages[0] = read_pages(&got, "2MB", "hugetlb.2MB.current", "hugetlb.2MB.events");
	s->pages[1] = read_pages(&got, "1GB", "hugetlb.1GB.current", "hugetlb.1GB.events");
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

static void write_amount(struct json_out *out, const struct stats_device *d, const char *op,
			 uint64_t value)
{
	json_out_open(out, NULL);
	json_out_uint(out, "major", d->major);
	json_out_uint(out, "minor", d->minor);
	json_out_string(out, "op", op);
	json_out_uint(out, "value", value);
	json_out_close(out);
}

static void write_devices(struct json_out *out, const struct stats *s)
{
	json_out_open(out, "blkio");
	json_out_open_list(out, "ioServiceBytesRecursive");
	for (size_t i = 0; i < s->num_devices; i++) {
		write_amount(out, &s->devices[i], "Read", s->devices[i].read_bytes);
		write_amount(out, &s->devices[i], "Write", s->devices[i].write_bytes);
	}
	json_out_close_list(out);
	json_out_open_list(out, "ioServicedRecursive");
	for (size_t i = 0; i < s->num_devices; i++) {
		write_amount(out, &s->devices[i], "Read", s->devices[i].reads);
		write_amount(out, &s->devices[i], "Write", s->devices[i].writes);
	}
	json_out_close_list(out);
	json_out_close(out);
}

static void write_pages(struct json_out *out, const struct stats *s)
{
	json_out_open(out, "hugetlb");
	for (size_t i = 0; i < STATS_PAGE_SIZES; i++) {
		if (!s->pages[i].size)
			continue;
		json_out_open(out, s->pages[i].size);
		json_out_uint(out, "usage", s->pages[i].usage);
		json_out_uint(out, "failcnt", s->pages[i].failures);
		json_out_close(out);
	}
	json_out_close(out);
}

static void write_interfaces(struct json_out *out, const struct stats *s)
{
	json_out_open_list(out, "network_interfaces");
	for (const struct stats_interface *i = s->interfaces;
	     i < s->interfaces + s->num_interfaces; i++) {
		json_out_open(out, NULL);
		json_out_string(out, "Name", i->name);
		json_out_uint(out, "RxBytes", i->rx_bytes);
		json_out_uint(out, "RxPackets", i->rx_packets);
		json_out_uint(out, "RxErrors", i->rx_errors);
		json_out_uint(out, "RxDropped", i->rx_dropped);
		json_out_uint(out, "TxBytes", i->tx_bytes);
		json_out_uint(out, "TxPackets", i->tx_packets);
		json_out_uint(out, "TxErrors", i->tx_errors);
		json_out_uint(out, "TxDropped", i->tx_dropped);
		json_out_close(out);
	}
	json_out_close_list(out);
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
	write_devices(out, s);
	write_pages(out, s);
	write_interfaces(out, s);
	json_out_close(out);
}
