/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "update_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"

enum { OPT_BLKIO_WEIGHT = 256, OPT_CPU_PERIOD, OPT_CPU_QUOTA, OPT_CPU_SHARE, OPT_CPU_BURST,
       OPT_CPU_IDLE, OPT_CPUSET_CPUS, OPT_CPUSET_MEMS, OPT_MEMORY, OPT_RESERVATION, OPT_SWAP,
       OPT_PIDS };

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

static int load_resources(struct update_options *u, const char *name, struct error **err)
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

/* 0 is "not asked", as in the JSON form and in other runtimes. */
static int set_memory_option(const char *name, const char *value, int64_t *limit, bool *asked,
			     struct error **err)
{
	if (option_bytes(name, value, limit, err) < 0)
		return -1;
	*asked = *limit != 0;
	return 0;
}

static int update_option(void *data, int key, const char *value, struct error **err)
{
	struct update_options *u = data;
	uint64_t n;

	switch (key) {
	case 'r':
		return load_resources(u, value, err);
	case OPT_MEMORY:
		return set_memory_option("memory", value, &u->r.memory_limit,
					 &u->r.has_memory_limit, err);
	case OPT_RESERVATION:
		return set_memory_option("memory-reservation", value, &u->r.memory_reservation,
					 &u->r.has_memory_reservation, err);
	case OPT_SWAP:
		return set_memory_option("memory-swap", value, &u->r.memory_swap,
					 &u->r.has_memory_swap, err);
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

int update_options_parse(struct update_options *u, int argc, char **argv, struct error **err)
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

	return command_parse(&cmd, argc, argv, update_option, u, err);
}
