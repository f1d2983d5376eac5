/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_WORKER_GUARD_H
#define VMM_VIRTIO_WORKER_GUARD_H

/*
 * What lets a guest live on when a worker of its is lost: the worker notes in shared memory which
 * chains it has, so that they can be answered in its stead, and a kick that it leaves unread raises
 * the question whether it is still alive.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/vhost_user_proto.h"

struct error;
struct virtqueue;

#define WORKER_GUARD_QUEUES 2

/* How often it looks, once a kick is left unread, and how often the worker may fail to answer. */
#define WORKER_GUARD_PERIOD_S 2
#define WORKER_GUARD_MISSES 3

struct worker_guard {
	struct event_loop *loop; /* borrowed */
	int memfd;		 /* owned: the worker's notes */
	uint8_t *notes;		 /* owned mapping, written by the worker at any time */
	uint64_t size;
	uint16_t queue_size;
	int timer_fd; /* owned */
	struct event_source timer_src, kick_src[WORKER_GUARD_QUEUES];
	int kick_fd[WORKER_GUARD_QUEUES]; /* borrowed; -1: not watched */
	unsigned int misses;
	void (*silent)(void *data); /* the worker does not run any more */
	void *data;
};

/** worker_guard_create() - @silent is called with the machine's lock held, once a start */
struct worker_guard *worker_guard_create(struct event_loop *loop, uint16_t queue_size,
					 void (*silent)(void *data), void *data);
void worker_guard_free(struct worker_guard *guard);

/** worker_guard_describe() - for SET_INFLIGHT_FD, with guard->memfd */
struct vhost_user_inflight worker_guard_describe(const struct worker_guard *guard);

/** worker_guard_start() - forget all notes and watch the kicks of @queues (bit per queue) */
int worker_guard_start(struct worker_guard *guard, const int *kick_fd, uint32_t queues);
void worker_guard_stop(struct worker_guard *guard);

/**
 * worker_guard_inherit() - the worker is gone: make @vq go on where it was
 * @heads: room for @vq's size; gets the heads of the chains that it had taken and not returned
 *
 * Return: their number. What the worker noted is checked, not trusted.
 */
unsigned int worker_guard_inherit(const struct worker_guard *guard, unsigned int index,
				  struct virtqueue *vq, uint16_t *heads);

#endif
