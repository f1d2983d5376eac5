/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The notes are vhost-user's inflight region: a byte for each descriptor, which the worker sets
 * when it has taken the chain that begins there and clears when it has returned it. How many are
 * set, and what the used ring says, give how far the worker had come in the avail ring.
 *
 * A worker that is stopped, or spins, still has its socket. Nothing is asked of it while the guest
 * is idle: only the first kick since the last look wakes this process (EPOLLONESHOT; the eventfd is
 * the worker's, who reads it). A kick that lies unread two seconds later may mean that the worker is
 * busy in a call. So it has a thread for nothing but to answer a number in the notes; when that
 * thread does not answer either, three times in a row, the process does not run.
 */
#include "vmm/virtio/worker_guard.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "vmm/virtio/virtqueue.h"

static uint64_t guard_queue_bytes(uint16_t queue_size)
{
	const uint64_t bytes = sizeof(struct vhost_user_inflight_queue) +
			       (uint64_t)queue_size * sizeof(struct vhost_user_inflight_desc);

	return (bytes + 63) & ~63ull;
}

static struct vhost_user_inflight_queue *guard_queue(const struct worker_guard *guard,
						     unsigned int index)
{
	return (void *)(guard->notes + index * guard_queue_bytes(guard->queue_size));
}

static struct vhost_user_pulse *guard_pulse(const struct worker_guard *guard)
{
	return (void *)(guard->notes + guard->size - sizeof(struct vhost_user_pulse));
}

static void guard_set_timer(struct worker_guard *guard, bool on)
{
	const struct itimerspec when = { .it_value.tv_sec = on ? WORKER_GUARD_PERIOD_S : 0 };

	timerfd_settime(guard->timer_fd, 0, &when, NULL);
}

static void guard_on_kick(void *data, uint32_t events)
{
	struct worker_guard *guard = data;

	(void)events;
	guard->misses = 0;
	guard_set_timer(guard, true);
}

static void guard_arm(struct worker_guard *guard)
{
	for (unsigned int i = 0; i < WORKER_GUARD_QUEUES; i++) {
		event_loop_remove(guard->loop, &guard->kick_src[i]);
		if (guard->kick_fd[i] >= 0)
			event_loop_add(guard->loop, &guard->kick_src[i], guard->kick_fd[i],
				       EPOLLIN | EPOLLET | EPOLLONESHOT, guard_on_kick, guard);
	}
}

static bool guard_kick_unread(const struct worker_guard *guard)
{
	for (unsigned int i = 0; i < WORKER_GUARD_QUEUES; i++) {
		struct pollfd p = { .fd = guard->kick_fd[i], .events = POLLIN };

		if (p.fd >= 0 && poll(&p, 1, 0) == 1)
			return true;
	}
	return false;
}

/* Has the worker's thread answered since the last time? And ask again. */
static bool guard_ask(struct worker_guard *guard)
{
	struct vhost_user_pulse *pulse = guard_pulse(guard);
	uint32_t asked = __atomic_load_n(&pulse->asked, __ATOMIC_RELAXED);
	bool answered = __atomic_load_n(&pulse->answered, __ATOMIC_ACQUIRE) == asked;

	__atomic_store_n(&pulse->asked, asked + 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &pulse->asked, FUTEX_WAKE, 1, NULL, NULL, 0);
	return answered;
}

static void guard_on_timer(void *data, uint32_t events)
{
	struct worker_guard *guard = data;
	uint64_t count;

	(void)events;
	if (read(guard->timer_fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (!guard_kick_unread(guard)) {
		guard_arm(guard);
		return;
	}
	/* The first look only asks. */
	guard->misses = guard_ask(guard) ? 0 : guard->misses + 1;
	if (guard->misses >= WORKER_GUARD_MISSES)
		guard->silent(guard->data);
	else
		guard_set_timer(guard, true);
}

static int guard_init(struct worker_guard *guard)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	guard->size = (WORKER_GUARD_QUEUES * guard_queue_bytes(guard->queue_size) + 4095 +
		       sizeof(struct vhost_user_pulse)) & ~4095ull;
	guard->memfd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	guard->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (guard->memfd < 0 || guard->timer_fd < 0 ||
	    ftruncate(guard->memfd, (off_t)guard->size) < 0 ||
	    fcntl(guard->memfd, F_ADD_SEALS, seals) < 0)
		return -1;
	guard->notes = mmap(NULL, guard->size, PROT_READ | PROT_WRITE, MAP_SHARED, guard->memfd, 0);
	if (guard->notes == MAP_FAILED)
		guard->notes = NULL;
	return guard->notes ? event_loop_add(guard->loop, &guard->timer_src, guard->timer_fd,
					     EPOLLIN, guard_on_timer, guard) : -1;
}

struct worker_guard *worker_guard_create(struct event_loop *loop, uint16_t queue_size,
					 void (*silent)(void *data), void *data)
{
	struct worker_guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	*guard = (struct worker_guard){ .loop = loop, .memfd = -1, .timer_fd = -1,
					.queue_size = queue_size, .kick_fd = { -1, -1 },
					.silent = silent, .data = data };
	if (guard_init(guard) < 0) {
		worker_guard_free(guard);
		return NULL;
	}
	return guard;
}

void worker_guard_free(struct worker_guard *guard)
{
	if (!guard)
		return;
	worker_guard_stop(guard);
	event_loop_remove(guard->loop, &guard->timer_src);
	if (guard->notes)
		munmap(guard->notes, guard->size);
	if (guard->timer_fd >= 0)
		close(guard->timer_fd);
	if (guard->memfd >= 0)
		close(guard->memfd);
	free(guard);
}

struct vhost_user_inflight worker_guard_describe(const struct worker_guard *guard)
{
	return (struct vhost_user_inflight){ .mmap_size = guard->size,
					     .num_queues = WORKER_GUARD_QUEUES,
					     .queue_size = guard->queue_size };
}

int worker_guard_start(struct worker_guard *guard, const int *kick_fd, uint32_t queues)
{
	memset(guard->notes, 0, guard->size - sizeof(struct vhost_user_pulse));
	guard->misses = 0;
	for (unsigned int i = 0; i < WORKER_GUARD_QUEUES; i++)
		guard->kick_fd[i] = queues & 1u << i ? kick_fd[i] : -1;
	guard_arm(guard);
	return 0;
}

void worker_guard_stop(struct worker_guard *guard)
{
	for (unsigned int i = 0; i < WORKER_GUARD_QUEUES; i++) {
		event_loop_remove(guard->loop, &guard->kick_src[i]);
		guard->kick_fd[i] = -1;
	}
	if (guard->timer_fd >= 0)
		guard_set_timer(guard, false);
}

unsigned int worker_guard_inherit(const struct worker_guard *guard, unsigned int index,
				  struct virtqueue *vq, uint16_t *heads)
{
	const struct vhost_user_inflight_queue *q = guard_queue(guard, index);
	const uint16_t used = virtqueue_used_idx(vq);
	/* Returned to the driver, but not noted any more. */
	const bool returned = __atomic_load_n(&q->used_idx, __ATOMIC_RELAXED) != used;
	const uint16_t last = __atomic_load_n(&q->last_batch_head, __ATOMIC_RELAXED);
	unsigned int count = 0;

	for (uint16_t head = 0; head < vq->size && head < guard->queue_size; head++) {
		if (__atomic_load_n(&q->desc[head].inflight, __ATOMIC_RELAXED) != 1 ||
		    (returned && head == last))
			continue;
		heads[count++] = head;
	}
	virtqueue_go_on(vq, (uint16_t)(used + count), used);
	return count;
}
