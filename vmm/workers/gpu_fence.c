/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/gpu_fence.h"

#include <stdlib.h>

void gpu_fences_init(struct gpu_fences *fences)
{
	*fences = (struct gpu_fences){ .tail = &fences->pending };
	pthread_mutex_init(&fences->lock, NULL);
}

void gpu_fences_release(struct gpu_fences *fences)
{
	while (fences->pending) {
		struct gpu_fence *fence = fences->pending;

		fences->pending = fence->next;
		free(fence);
	}
	pthread_mutex_destroy(&fences->lock);
}

uint64_t gpu_fence_add(struct gpu_fences *fences, uint32_t ctx, uint32_t ring, uint16_t head,
		       uint32_t len)
{
	struct gpu_fence *fence = malloc(sizeof(*fence));

	if (!fence)
		return 0;
	*fence = (struct gpu_fence){ .number = ++fences->last_number, .ctx = ctx, .ring = ring,
				     .head = head, .len = len };
	pthread_mutex_lock(&fences->lock);
	*fences->tail = fence;
	fences->tail = &fence->next;
	fences->outstanding++;
	pthread_mutex_unlock(&fences->lock);
	return fence->number;
}

void gpu_fence_pass(struct gpu_fences *fences, uint32_t ctx, uint32_t ring, uint64_t number)
{
	pthread_mutex_lock(&fences->lock);
	for (struct gpu_fence *f = fences->pending; f && f->number <= number; f = f->next)
		if (f->ctx == ctx && f->ring == ring)
			f->passed = true;
	pthread_mutex_unlock(&fences->lock);
}

void gpu_fence_pass_context(struct gpu_fences *fences, uint32_t ctx)
{
	pthread_mutex_lock(&fences->lock);
	for (struct gpu_fence *f = fences->pending; f; f = f->next)
		if (f->ctx == ctx)
			f->passed = true;
	pthread_mutex_unlock(&fences->lock);
}

void gpu_fence_pass_all(struct gpu_fences *fences)
{
	pthread_mutex_lock(&fences->lock);
	for (struct gpu_fence *f = fences->pending; f; f = f->next)
		f->passed = true;
	pthread_mutex_unlock(&fences->lock);
}

bool gpu_fence_waiting(const struct gpu_fences *fences)
{
	return __atomic_load_n(&fences->pending, __ATOMIC_RELAXED);
}

uint64_t gpu_fence_outstanding(const struct gpu_fences *fences)
{
	return __atomic_load_n(&fences->outstanding, __ATOMIC_RELAXED);
}

struct gpu_fence *gpu_fence_take_passed(struct gpu_fences *fences)
{
	struct gpu_fence **at, *found;

	pthread_mutex_lock(&fences->lock);
	for (at = &fences->pending; *at && !(*at)->passed; at = &(*at)->next)
		;
	found = *at;
	if (found) {
		*at = found->next;
		if (fences->tail == &found->next)
			fences->tail = at;
		fences->outstanding--;
	}
	pthread_mutex_unlock(&fences->lock);
	return found;
}
