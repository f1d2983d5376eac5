/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_USAGE_H
#define SRC_GPU_USAGE_H

/* How much of a GPU a container uses. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/gpu_stats_proto.h"

struct error;

/** struct gpu_usage - and by whose word */
struct gpu_usage {
	bool lost; /* the worker counts no more: what was there then is 0, what was so far stays */
	struct gpu_stats counts;
	/* Since each process began; "drm": the kernel driver's, of its engines; "processor": of the
	 * render server's processes, which is all there is to it when the GPU is software. */
	uint64_t time_ns;
	const char *time_source;
	/* Of the GPU's multiprocessors lately, "nvml"; where that is, time_ns is "processor". */
	bool has_utilization;
	unsigned int utilization; /* percent */
	uint64_t memory;
	const char *memory_source; /* "drm", "nvml", or "blobs": what of it the guest has mapped */
};

/**
 * gpu_usage_read() - of the container whose state directory is @dirfd
 * @proc: where a proc file system is, "/proc"
 * @pids: the render server's processes
 *
 * Return: 1, 0 when the container has no GPU, or -1.
 */
int gpu_usage_read(int dirfd, const char *proc, const pid_t *pids, size_t count,
		   struct gpu_usage *out, struct error **err);

/**
 * gpu_usage_lost() - note it in @usage when none of a container's workers is a GPU's and runs
 * @pids: the container's workers that there are
 *
 * A worker that was stopped does not run; the VMM soon does without it, too.
 */
void gpu_usage_lost(const char *proc, const pid_t *pids, size_t count, struct gpu_usage *usage);

/** gpu_usage_processes() - all below @parent; how many of @max there are */
size_t gpu_usage_processes(const char *proc, pid_t parent, pid_t *pids, size_t max);

/** struct gpu_nvml - what NVIDIA's library says of some processes */
struct gpu_nvml {
	bool has_memory, has_utilization;
	uint64_t memory; /* bytes */
	unsigned int utilization;
};

/** gpu_nvml_read() - nothing is set where there is no such library, or no GPU of its */
void gpu_nvml_read(const pid_t *pids, size_t count, struct gpu_nvml *out);

#endif
