/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: limits are kept twice, in the guest by the container's cgroup there, and on the
 * host by the cgroup of the VMM and its workers. The guest comes first: when its limit shrinks it gives
 * memory back, and the host's limit follows as far as it has done so. The microVM itself keeps its
 * size: more memory or processors than it was created with cannot be given.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "cgroup.h"
#include "container.h"
#include "guest_cgroup.h"
#include "launch_guest.h"
#include "launch_size.h"
#include "numbers.h"

/* How long memory may take to come back before the host's limit is set. */
#define SHRINK_MS 3000
#define SHRINK_STEP_MS 100
#define MIB (1ull << 20)

enum { OPT_BLKIO_WEIGHT = 256, OPT_CPU_PERIOD, OPT_CPU_QUOTA, OPT_CPU_SHARE, OPT_CPU_BURST,
       OPT_CPU_IDLE, OPT_CPUSET_CPUS, OPT_CPUSET_MEMS, OPT_MEMORY, OPT_RESERVATION, OPT_SWAP,
       OPT_PIDS };

struct update {
	struct arena arena;
	struct oci_resources r;
};

/* Bytes: a number, and k, m or g. */
static int option_bytes(const char *name, const char *value, int64_t *out, struct error **err)
{
	static const char units[] = "bkmg";
	const char *unit = NULL;
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (end != value && *end && !end[1])
		unit = strchr(units, *end | 0x20);
	if (errno || end == value || (*end && !unit) || n < -1 ||
	    (unit && n > (INT64_MAX >> (10 * (unit - units)))))
		return error_set(err, 0, "--%s: expected a number of bytes, or -1, not %s", name,
				 value);
	*out = unit && n > 0 ? n << (10 * (unit - units)) : n;
	return 0;
}

static int option_i64(const char *name, const char *value, int64_t min, int64_t *out,
		      struct error **err)
{
	long n;

	if (option_number(name, value, (long)min, INT64_MAX, &n, err) < 0)
		return -1;
	*out = n;
	return 0;
}

static int option_u64(const char *name, const char *value, uint64_t *out, struct error **err)
{
	int64_t n;

	if (option_i64(name, value, 0, &n, err) < 0)
		return -1;
	*out = (uint64_t)n;
	return 0;
}

static int load_resources(struct update *u, const char *name, struct error **err)
{
	cleanup_close int fd = !strcmp(name, "-") ? dup(STDIN_FILENO) :
						    open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return oci_resources_load(fd, name, &u->arena, &u->r, err);
}

static int set_cpu_option(struct oci_resources *r, int key, const char *value, struct error **err)
{
	switch (key) {
	case OPT_CPU_PERIOD:
		return option_u64("cpu-period", value, &r->cpu_period, err);
	case OPT_CPU_QUOTA:
		return option_i64("cpu-quota", value, -1, &r->cpu_quota, err);
	case OPT_CPU_SHARE:
		return option_u64("cpu-share", value, &r->cpu_shares, err);
	case OPT_CPU_BURST:
		return option_u64("cpu-burst", value, &r->cpu_burst, err);
	case OPT_CPU_IDLE:
		r->has_cpu_idle = true;
		return option_i64("cpu-idle", value, 0, &r->cpu_idle, err);
	case OPT_CPUSET_CPUS:
		r->cpus = (char *)value;
		return 0;
	default:
		r->mems = (char *)value;
		return 0;
	}
}

static int set_memory_option(struct oci_resources *r, int key, const char *value,
			     struct error **err)
{
	if (key == OPT_MEMORY) {
		r->has_memory_limit = true;
		return option_bytes("memory", value, &r->memory_limit, err);
	}
	if (key == OPT_RESERVATION) {
		r->has_memory_reservation = true;
		return option_bytes("memory-reservation", value, &r->memory_reservation, err);
	}
	r->has_memory_swap = true;
	return option_bytes("memory-swap", value, &r->memory_swap, err);
}

static int update_option(void *data, int key, const char *value, struct error **err)
{
	struct update *u = data;
	uint64_t n;

	switch (key) {
	case 'r':
		return load_resources(u, value, err);
	case OPT_MEMORY:
	case OPT_RESERVATION:
	case OPT_SWAP:
		return set_memory_option(&u->r, key, value, err);
	case OPT_PIDS:
		return option_i64("pids-limit", value, -1, &u->r.pids_limit, err);
	case OPT_BLKIO_WEIGHT:
		if (option_u64("blkio-weight", value, &n, err) < 0)
			return -1;
		if (n < 10 || n > 1000)
			return error_set(err, 0, "--blkio-weight: expected a number from 10 to 1000");
		u->r.blkio_weight = (uint32_t)n;
		return 0;
	default:
		return set_cpu_option(&u->r, key, value, err);
	}
}

/* The machine does not grow: what it would need more of is refused before anything is changed. */
static int check_size(const struct container *c, const struct oci_resources *r, struct error **err)
{
	const uint64_t period = r->cpu_period ? r->cpu_period : 100000;
	const struct oci_state *s = &c->state;

	if (r->memory_limit > 0 && !launch_size_host_limit(r->memory_limit, s->ram, s->room))
		return error_set(err, 0, "linux.resources.memory.limit: the microVM has %llu MiB of "
				 "memory, and cannot get more while it runs",
				 (unsigned long long)(s->ram / MIB));
	if (r->cpu_quota > 0 && ((uint64_t)r->cpu_quota + period - 1) / period > s->vcpus)
		return error_set(err, 0, "linux.resources.cpu.quota: the microVM has %u virtual CPUs, "
				 "and cannot get more while it runs", s->vcpus);
	return 0;
}

static uint64_t host_number(int cgroup, const char *file, uint64_t otherwise)
{
	cleanup_close int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = fd < 0 ? NULL : fd_read_file(fd, 4096, NULL);

	return text ? number_after(text, NULL, otherwise) : otherwise;
}

/*
 * A limit below what is in use would have the host's kernel end the VMM. What the guest has freed
 * comes back in its own time; what it has not by then stays allowed.
 */
static uint64_t wait_for_memory(int cgroup, uint64_t wanted)
{
	const struct timespec pause = { 0, SHRINK_STEP_MS * 1000 * 1000 };
	const uint64_t margin = 16 * MIB;
	uint64_t used = host_number(cgroup, "memory.current", 0);

	for (int waited = 0; used + margin > wanted && waited < SHRINK_MS; waited += SHRINK_STEP_MS) {
		nanosleep(&pause, NULL);
		used = host_number(cgroup, "memory.current", 0);
	}
	return used + margin > wanted ? used + margin : wanted;
}

static int update_host(const struct container *c, const struct oci_resources *r, struct error **err)
{
	const char *needed = cgroup_needed(r);
	cleanup_close int cgroup = -1;
	uint64_t memory_max = 0;

	if (!c->state.cgroup)
		return needed ? error_set(err, 0, "linux.resources.%s: needs a cgroup of the host's, "
					  "and container %s has none", needed, c->id) : 0;
	cgroup = open(c->state.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return error_set(err, errno, "cannot open the cgroup %s", c->state.cgroup);
	if (r->has_memory_limit)
		memory_max = wait_for_memory(cgroup, launch_size_host_limit(r->memory_limit,
									    c->state.ram,
									    c->state.room));
	return cgroup_apply(cgroup, r, memory_max, err);
}

static int update_guest(const struct container *c, const struct oci_resources *r,
			struct arena *arena, struct error **err)
{
	struct agent_pair *files;
	size_t count;

	if (launch_guest_cgroup(r, arena, &files, &count, err) < 0)
		return -1;
	return count ? guest_cgroup_access(c->dirfd, files, count, NULL, err) : 0;
}

static int update_container(const struct app *app, const char *id, struct update *u,
			    struct error **err)
{
	cleanup_container struct container c = { .dirfd = -1 };

	if (container_open(app, id, &c, err) < 0 || oci_state_lock(c.dirfd, err) < 0 ||
	    container_refresh(&c, err) < 0)
		return -1;
	if (c.state.status != OCI_STATUS_RUNNING && c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is %s: its limits can be changed while it is "
				 "running", id, oci_status_name(c.state.status));
	if (check_size(&c, &u->r, err) < 0 || update_guest(&c, &u->r, &u->arena, err) < 0)
		return -1;
	return update_host(&c, &u->r, err);
}

int cmd_update(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "resources", 'r', "FILE", "read linux.resources from FILE (JSON); - is standard input" },
		{ "memory", OPT_MEMORY, "BYTES", "memory limit" },
		{ "memory-reservation", OPT_RESERVATION, "BYTES", "memory that is not reclaimed first" },
		{ "memory-swap", OPT_SWAP, "BYTES", "limit of memory and swap together" },
		{ "cpu-period", OPT_CPU_PERIOD, "US", "period of the quota, in microseconds" },
		{ "cpu-quota", OPT_CPU_QUOTA, "US", "CPU time in a period, in microseconds" },
		{ "cpu-burst", OPT_CPU_BURST, "US", "CPU time that may be saved up" },
		{ "cpu-share", OPT_CPU_SHARE, "N", "weight against other containers" },
		{ "cpu-idle", OPT_CPU_IDLE, "N", "1: run only where nobody else wants to" },
		{ "cpuset-cpus", OPT_CPUSET_CPUS, "LIST", "the host's CPUs that may be used" },
		{ "cpuset-mems", OPT_CPUSET_MEMS, "LIST", "the host's memory nodes that may be used" },
		{ "pids-limit", OPT_PIDS, "N", "most processes in the container" },
		{ "blkio-weight", OPT_BLKIO_WEIGHT, "N", "weight of input and output" },
		{ 0 },
	};
	static const struct command cmd = {
		"update", "ID", "Change the limits of the running container ID, in the microVM and on "
		"the host.", options, 1, 1,
	};
	struct update u = { 0 };
	int first = command_parse(&cmd, argc, argv, update_option, &u, err), r = first;

	if (first > 0)
		r = update_container(app, argv[first], &u, err);
	arena_release(&u.arena);
	return r;
}
