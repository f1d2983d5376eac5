/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STATS_H
#define STATS_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

struct container;
struct error;
struct json_out;

#define STATS_DEVICES_MAX 64
#define STATS_INTERFACES_MAX 16
#define STATS_PAGE_SIZES 2

/** struct stats_device - what was read from a block device and written to it */
struct stats_device {
	uint64_t major, minor;
	uint64_t read_bytes, write_bytes, reads, writes;
};

/** struct stats_interface - what an interface of the container's network namespace has passed */
struct stats_interface {
	char name[IFNAMSIZ];
	uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
	uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/** struct stats_pages - huge pages of one size, of the container's processes */
struct stats_pages {
	const char *size;	  /* "2MB"; NULL: the guest has none */
	uint64_t usage, failures; /* bytes; how often the limit was met */
};

/**
 * struct stats - what a container uses
 *
 * Processor time, memory and input/output are those of the container's cgroup on the host: all that
 * its microVM costs. Processes, huge pages, and memory that was too little, are the guest's.
 */
struct stats {
	uint64_t cpu_total, cpu_user, cpu_system;		   /* ns */
	uint64_t cpu_periods, cpu_throttled, cpu_throttled_time; /* the last in ns */
	uint64_t memory, memory_limit, memory_max, swap, swap_limit, cache;
	uint64_t guest_memory, guest_memory_limit; /* of the container's processes */
	uint64_t pids, pids_limit;
	uint64_t oom_kills; /* processes that the guest's or the host's kernel has ended */
	struct stats_device devices[STATS_DEVICES_MAX];
	size_t num_devices;
	struct stats_interface interfaces[STATS_INTERFACES_MAX]; /* but lo, and taps of ours */
	size_t num_interfaces;
	struct stats_pages pages[STATS_PAGE_SIZES];
};

/** stats_read() - of a running container; 0 or -1 */
int stats_read(const struct container *c, struct stats *s, struct error **err);

/** stats_write() - the object "data" of an event, as runc has it */
void stats_write(struct json_out *out, const struct stats *s);

#endif
