/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Venus makes a resource of host-visible memory only when an application maps it, and that is what
 * the GPU worker counts; but each such allocation is a memory file of ours, and an unmapped one can be
 * filled by the device. So they are counted here too, over all of the render server's processes.
 *
 * Each process writes its own slot alone. It adds first and then looks at the sum: two that ask at
 * the same time may both be refused where there was room for one, but never both be given what only one
 * may have. A process that was killed gives nothing back: slots of processes that are gone
 * count as empty, which is looked at only when the sum seems too large.
 */
#include "layer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/gpu_limit_proto.h"

static struct {
	pthread_once_t once;
	uint64_t bytes; /* 0: no limit */
	struct gpu_limit *shared; /* NULL: it cannot be had, and nothing is allowed */
	struct gpu_limit_slot *slot;
} limit = { .once = PTHREAD_ONCE_INIT };

static bool layer_process_ended(int32_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* One of ours from a process of the same pid, which is gone; an empty one; or a dead one's. */
static struct gpu_limit_slot *layer_limit_claim(struct gpu_limit *shared)
{
	const int32_t self = getpid();

	for (unsigned int i = 0; i < GPU_LIMIT_SLOTS; i++)
		if (__atomic_load_n(&shared->slots[i].pid, __ATOMIC_SEQ_CST) == self)
			return &shared->slots[i];
	for (unsigned int i = 0; i < GPU_LIMIT_SLOTS; i++) {
		struct gpu_limit_slot *slot = &shared->slots[i];
		int32_t pid = __atomic_load_n(&slot->pid, __ATOMIC_SEQ_CST);

		if ((!pid || layer_process_ended(pid)) &&
		    __atomic_compare_exchange_n(&slot->pid, &pid, self, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			return slot;
	}
	return NULL;
}

static void layer_limit_open(void)
{
	const char *env = getenv(GPU_LIMIT_ENV);
	unsigned long long bytes;
	void *map;
	int fd;

	if (!env)
		return;
	if (sscanf(env, "%d:%llu", &fd, &bytes) != 2 || !bytes) {
		limit.bytes = 1;
		return;
	}
	limit.bytes = bytes;
	map = mmap(NULL, sizeof(*limit.shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return;
	limit.shared = map;
	limit.slot = layer_limit_claim(limit.shared);
	if (limit.slot)
		__atomic_store_n(&limit.slot->bytes, 0, __ATOMIC_SEQ_CST);
}

/* Whether all together are within the limit; @living: without those that are gone. */
static bool layer_limit_kept(bool living)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < GPU_LIMIT_SLOTS; i++) {
		const struct gpu_limit_slot *slot = &limit.shared->slots[i];
		const int32_t pid = __atomic_load_n(&slot->pid, __ATOMIC_SEQ_CST);

		if (!pid || (living && layer_process_ended(pid)))
			continue;
		if (__builtin_add_overflow(sum, __atomic_load_n(&slot->bytes, __ATOMIC_SEQ_CST),
					   &sum))
			return false;
	}
	return sum <= limit.bytes;
}

bool layer_limit_take(uint64_t bytes)
{
	pthread_once(&limit.once, layer_limit_open);
	if (!limit.bytes)
		return true;
	if (!limit.slot || bytes > limit.bytes)
		return false;
	__atomic_add_fetch(&limit.slot->bytes, bytes, __ATOMIC_SEQ_CST);
	if (layer_limit_kept(false) || layer_limit_kept(true))
		return true;
	layer_limit_give(bytes);
	return false;
}

void layer_limit_give(uint64_t bytes)
{
	if (limit.slot)
		__atomic_sub_fetch(&limit.slot->bytes, bytes, __ATOMIC_SEQ_CST);
}
