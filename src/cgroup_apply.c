/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.resources to the files of cgroup v2. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cgroup.h"
#include "launch_guest.h"
#include "oci/oci_spec.h"

static int apply(int dirfd, const char *field, struct error **err, const char *file,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static int apply(int dirfd, const char *field, struct error **err, const char *file,
		 const char *fmt, ...)
{
	cleanup_close int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return error_set(err, ENOMEM, "linux.resources.%s", field);
	}
	if (fd < 0 && errno == ENOENT)
		return error_set(err, 0, "linux.resources.%s: the host's cgroup has no %s", field,
				 file);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "linux.resources.%s: cannot write %s to %s", field,
				 text, file);
	return 0;
}

/* What the host's processes themselves need: threads of the VMM, of its workers and of a driver. */
#define PIDS_ROOM 512
/* The kernel's own limit; a number above it is none. */
#define PIDS_LIMIT_MAX 4194304

static int apply_memory(int fd, const struct oci_resources *r, uint64_t memory_max,
			struct error **err)
{
	if (memory_max && apply(fd, "memory.limit", err, "memory.max", "%llu",
				(unsigned long long)memory_max) < 0)
		return -1;
	/* The guest has no swap of its own: its memory may go to the host's. */
	if (r->has_memory_swap && r->memory_swap < 0)
		return apply(fd, "memory.swap", err, "memory.swap.max", "max");
	if (r->memory_limit > 0 && r->memory_swap >= r->memory_limit)
		return apply(fd, "memory.swap", err, "memory.swap.max", "%lld",
			     (long long)(r->memory_swap - r->memory_limit));
	return 0;
}

/*
 * The container's processes are counted in the guest. On the host the limit is for a VMM or a worker
 * that has been taken over; where there is no such controller, it goes without.
 */
static int apply_pids(int fd, const struct oci_resources *r, struct error **err)
{
	if (!r->pids_limit || faccessat(fd, "pids.max", W_OK, 0) < 0)
		return 0;
	if (r->pids_limit < 0 || r->pids_limit > PIDS_LIMIT_MAX - PIDS_ROOM)
		return apply(fd, "pids.limit", err, "pids.max", "max");
	return apply(fd, "pids.limit", err, "pids.max", "%lld",
		     (long long)r->pids_limit + PIDS_ROOM);
}

/* cpu.weight is 1 to 10000 for 2 to 262144 shares (KEP 2254's conversion, runc's and crun's). */
static unsigned long long weight_of_shares(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int apply_cpu(int fd, const struct oci_resources *r, struct error **err)
{
	const unsigned long long period = r->cpu_period ? r->cpu_period : 100000;

	if (r->cpu_shares && apply(fd, "cpu.shares", err, "cpu.weight", "%llu",
				   weight_of_shares(r->cpu_shares)) < 0)
		return -1;
	if (r->cpu_quota > 0 && apply(fd, "cpu.quota", err, "cpu.max", "%lld %llu",
				      (long long)r->cpu_quota, period) < 0)
		return -1;
	/* No limit, or none any more; without the controller there has never been one. */
	if ((r->cpu_quota < 0 || (!r->cpu_quota && r->cpu_period)) &&
	    !faccessat(fd, "cpu.max", W_OK, 0) &&
	    apply(fd, "cpu.quota", err, "cpu.max", "max %llu", period) < 0)
		return -1;
	if (r->cpu_burst && apply(fd, "cpu.burst", err, "cpu.max.burst", "%llu",
				  (unsigned long long)r->cpu_burst) < 0)
		return -1;
	if (r->has_cpu_idle && apply(fd, "cpu.idle", err, "cpu.idle", "%lld",
				     (long long)r->cpu_idle) < 0)
		return -1;
	if (r->cpus && *r->cpus && apply(fd, "cpu.cpus", err, "cpuset.cpus", "%s", r->cpus) < 0)
		return -1;
	if (r->mems && *r->mems && apply(fd, "cpu.mems", err, "cpuset.mems", "%s", r->mems) < 0)
		return -1;
	return 0;
}

static int apply_throttles(int fd, const struct oci_resources *r, struct error **err)
{
	static const struct {
		const char *field, *file, *key;
	} kinds[OCI_THROTTLE_KINDS] = {
		[OCI_THROTTLE_READ_BPS] = { "blockIO.throttleReadBpsDevice", "io.max", "rbps=" },
		[OCI_THROTTLE_WRITE_BPS] = { "blockIO.throttleWriteBpsDevice", "io.max", "wbps=" },
		[OCI_THROTTLE_READ_IOPS] = { "blockIO.throttleReadIOPSDevice", "io.max", "riops=" },
		[OCI_THROTTLE_WRITE_IOPS] = { "blockIO.throttleWriteIOPSDevice", "io.max", "wiops=" },
		[OCI_THROTTLE_WEIGHT] = { "blockIO.weightDevice", "io.bfq.weight", "" },
	};

	for (int kind = 0; kind < OCI_THROTTLE_KINDS; kind++) {
		const struct oci_throttles *t = &r->throttle[kind];

		for (size_t i = 0; i < t->count; i++)
			if (apply(fd, kinds[kind].field, err, kinds[kind].file, "%u:%u %s%llu",
				  t->items[i].major, t->items[i].minor, kinds[kind].key,
				  (unsigned long long)t->items[i].value) < 0)
				return -1;
	}
	return 0;
}

/* io.weight counts to 10000 where the specification counts to 1000. */
static int apply_io(int fd, const struct oci_resources *r, struct error **err)
{
	if (r->blkio_weight) {
		const unsigned int weight = 1 + (r->blkio_weight - 10) * 9999 / 990;

		if (!faccessat(fd, "io.bfq.weight", W_OK, 0)) {
			if (apply(fd, "blockIO.weight", err, "io.bfq.weight", "%u",
				  r->blkio_weight) < 0)
				return -1;
		} else if (apply(fd, "blockIO.weight", err, "io.weight", "%u", weight) < 0) {
			return -1;
		}
	}
	return apply_throttles(fd, r, err);
}

static int apply_unified(int fd, const struct oci_resources *r, struct error **err)
{
	for (size_t i = 0; i < r->num_unified; i++) {
		const char *key = r->unified[i].key;

		if (strchr(key, '/'))
			return error_set(err, 0, "linux.resources.unified: %s is not the name of a "
					 "cgroup file", key);
		if (launch_guest_has_cgroup_file(key))
			continue;
		if (apply(fd, "unified", err, key, "%s", r->unified[i].value) < 0)
			return -1;
	}
	return 0;
}

int cgroup_apply(int fd, const struct oci_resources *r, uint64_t memory_max, struct error **err)
{
	if (apply_memory(fd, r, memory_max, err) < 0 || apply_pids(fd, r, err) < 0 ||
	    apply_cpu(fd, r, err) < 0 || apply_io(fd, r, err) < 0)
		return -1;
	return apply_unified(fd, r, err);
}

const char *cgroup_needed(const struct oci_resources *r)
{
	if (r->cpu_quota > 0)
		return "cpu.quota";
	if (r->cpu_shares)
		return "cpu.shares";
	if (r->cpu_burst)
		return "cpu.burst";
	if (r->has_cpu_idle && r->cpu_idle)
		return "cpu.idle";
	if (r->memory_swap > 0)
		return "memory.swap";
	if ((r->cpus && *r->cpus) || (r->mems && *r->mems))
		return "cpu.cpus";
	if (r->blkio_weight)
		return "blockIO.weight";
	for (int kind = 0; kind < OCI_THROTTLE_KINDS; kind++)
		if (r->throttle[kind].count)
			return "blockIO";
	for (size_t i = 0; i < r->num_unified; i++)
		if (!launch_guest_has_cgroup_file(r->unified[i].key))
			return "unified";
	return NULL;
}
