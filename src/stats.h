/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STATS_H
#define STATS_H

#include <stdint.h>

struct container;
struct error;
struct json_out;

/**
 * struct stats - what a container uses
 *
 * Processor time, memory and input/output are those of the container's cgroup on the host: all that
 * its microVM costs. Processes, and memory that was too little, are the guest's.
 */
struct stats {
	uint64_t cpu_total, cpu_user, cpu_system;		   /* ns */
	uint64_t cpu_periods, cpu_throttled, cpu_throttled_time; /* the last in ns */
	uint64_t memory, memory_limit, memory_max, swap, swap_limit, cache;
	uint64_t guest_memory, guest_memory_limit; /* of the container's processes */
	uint64_t pids, pids_limit;
	uint64_t oom_kills; /* processes that the guest's or the host's kernel has ended */
};

/** stats_read() - of a running container; 0 or -1 */
int stats_read(const struct container *c, struct stats *s, struct error **err);

/** stats_write() - the object "data" of an event, as runc has it */
void stats_write(struct json_out *out, const struct stats *s);

#endif
