/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_GPU_LIMIT_PROTO_H
#define BASE_GPU_LIMIT_PROTO_H

/*
 * How much host-visible memory the render server's processes may have together: each process keeps its
 * own sum in a slot of a shared memory file, which the jail makes (src/gpu_jail.c) and the Vulkan layer
 * maps (vmm/vulkan-layer/layer_limit.c). It bounds what a guest asks of a server that works as it should:
 * a server that fell to its guest can write what it likes there, and is bounded by its cgroup.
 */

#include <stdint.h>

/* "FD:BYTES", of the file and the limit; without it there is no limit. */
#define GPU_LIMIT_ENV "KRUN_GPU_MEMORY_LIMIT"

#define GPU_LIMIT_SLOTS 1024u

struct gpu_limit {
	struct gpu_limit_slot {
		int32_t pid; /* whose; 0: nobody's. It may have ended: its slot is free then */
		uint32_t unused;
		uint64_t bytes;
	} slots[GPU_LIMIT_SLOTS];
};

#endif
