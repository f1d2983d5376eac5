/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_VTEST_SYNC_H
#define TESTS_GPU_VTEST_SYNC_H

/* An application's timelines and what waits for them. Any thread may call all of these. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value that a timeline is to reach, or does reach. */
struct vtest_point {
	uint32_t sync, generation;
	uint64_t value;
};

struct vtest_sync {
	bool used;
	uint32_t generation; /* an id is used again; what is late for its last user means nothing */
	uint64_t value;
};

struct vtest_wait {
	struct vtest_wait *next;
	int fd; /* owned: an eventfd, readable when the wait is over */
	bool any;
	int64_t expires_ms; /* -1: never */
	size_t count;
	struct vtest_point points[];
};

struct vtest_syncs {
	pthread_mutex_t lock;
	struct vtest_sync *table; /* owned; id 1 is the first */
	size_t size;
	struct vtest_wait *waits; /* owned */
};

void vtest_syncs_init(struct vtest_syncs *s);
void vtest_syncs_release(struct vtest_syncs *s);

/** vtest_sync_create() - its id, or 0 when out of memory */
uint32_t vtest_sync_create(struct vtest_syncs *s, uint64_t value);
void vtest_sync_unref(struct vtest_syncs *s, uint32_t id);
uint64_t vtest_sync_read(struct vtest_syncs *s, uint32_t id);
/** vtest_sync_generation() - to put into a point */
uint32_t vtest_sync_generation(struct vtest_syncs *s, uint32_t id);
/** vtest_sync_reach() - the timelines have come so far; ends waits */
void vtest_sync_reach(struct vtest_syncs *s, const struct vtest_point *points, size_t count);
/** vtest_sync_write() - set a value, down too */
void vtest_sync_write(struct vtest_syncs *s, uint32_t id, uint64_t value);

/** vtest_sync_wait() - an fd, the caller's, that becomes readable; -1 on failure */
int vtest_sync_wait(struct vtest_syncs *s, const struct vtest_point *points, size_t count, bool any,
		    uint32_t timeout_ms);

#endif
