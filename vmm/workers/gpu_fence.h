/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_FENCE_H
#define VMM_WORKERS_GPU_FENCE_H

/*
 * Commands whose chains go back to the guest only when the GPU has come so far (virtio 1.2,
 * 5.7.6.7 and VIRTIO_GPU_FLAG_INFO_RING_IDX). Each has a number of its own; numbers never repeat,
 * so that what arrives late for a context that is gone means nothing.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct gpu_fence {
	struct gpu_fence *next;
	uint64_t number;
	uint32_t ctx, ring;
	uint32_t len;  /* bytes of the response, already written */
	uint16_t head; /* the chain, on the control queue */
	bool passed;
};

struct gpu_fences {
	pthread_mutex_t lock; /* of the list; never held around a call into the renderer */
	struct gpu_fence *pending; /* owned, oldest first */
	struct gpu_fence **tail;
	uint64_t last_number;
	uint64_t outstanding;
};

void gpu_fences_init(struct gpu_fences *fences);
void gpu_fences_release(struct gpu_fences *fences);

/** gpu_fence_add() - wait for a number to pass; the number, or 0 when out of memory */
uint64_t gpu_fence_add(struct gpu_fences *fences, uint32_t ctx, uint32_t ring, uint16_t head,
		       uint32_t len);

/** gpu_fence_pass() - @number and all before it on its ring have passed; from any thread */
void gpu_fence_pass(struct gpu_fences *fences, uint32_t ctx, uint32_t ring, uint64_t number);

/** gpu_fence_pass_context() - nothing more comes from this context */
void gpu_fence_pass_context(struct gpu_fences *fences, uint32_t ctx);

/** gpu_fence_pass_all() - the queue is about to stop */
void gpu_fence_pass_all(struct gpu_fences *fences);

/** gpu_fence_waiting() - whether any has not passed; from any thread or signal handler */
bool gpu_fence_waiting(const struct gpu_fences *fences);

/** gpu_fence_outstanding() - how many; from any thread */
uint64_t gpu_fence_outstanding(const struct gpu_fences *fences);

/** gpu_fence_take_passed() - off the list, oldest first; the caller frees it; NULL: none */
struct gpu_fence *gpu_fence_take_passed(struct gpu_fences *fences);

#endif
