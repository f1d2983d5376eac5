/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_GPU_STATS_PROTO_H
#define BASE_GPU_STATS_PROTO_H

/*
 * What krun-gpu-gpu counts, in a file of the container's state directory that it has mapped and
 * `krun-gpu stats` reads. One writer; each number is written at once, and no two belong together.
 * To the reader they are numbers from a process that a guest may have taken over.
 */

#include <stdint.h>

#define GPU_STATS_FILE "gpu-stats"
#define GPU_STATS_SIZE 4096
#define GPU_STATS_VERSION 1

struct gpu_stats {
	uint64_t version;
	uint64_t contexts;	 /* alive: a process of the render server each */
	uint64_t contexts_lost;	 /* that ended other than by the guest's wish, so far */
	uint64_t blobs;		 /* now */
	uint64_t blob_bytes;	 /* of them */
	uint64_t blob_bytes_max; /* that the guest may have */
	uint64_t fences;	 /* outstanding */
	uint64_t fences_total;	 /* so far */
	uint64_t commands;	 /* answered so far */
	uint64_t submissions;	 /* of them */
};

#endif
