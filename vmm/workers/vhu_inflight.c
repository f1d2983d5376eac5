/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The notes for a front end that may have to go on without us (vhost-user, "Inflight I/O
 * tracking"). One is killed between any two instructions, so the order of the stores matters: a
 * chain is noted after it was popped (not noted, it is found in the avail ring again); which one is
 * being returned is noted before it is in the used ring, and that it is not ours any more after.
 *
 * The pulse: a thread does nothing but store what is asked. It shows that this process runs, also
 * while the other thread waits for the render server.
 */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/workers/vhu_internal.h"

static uint64_t notes_queue_bytes(uint16_t queue_size)
{
	const uint64_t bytes = sizeof(struct vhost_user_inflight_queue) +
			       (uint64_t)queue_size * sizeof(struct vhost_user_inflight_desc);

	return (bytes + 63) & ~63ull;
}

static struct vhost_user_inflight_queue *notes_queue(struct vhu *vhu, unsigned int index,
						     uint16_t head)
{
	if (!vhu->notes || index >= vhu->notes_queues || head >= vhu->notes_queue_size)
		return NULL;
	return (void *)(vhu->notes + index * notes_queue_bytes(vhu->notes_queue_size));
}

static void *pulse_main(void *data)
{
	struct vhost_user_pulse *pulse = data;

	for (;;) {
		uint32_t asked = __atomic_load_n(&pulse->asked, __ATOMIC_ACQUIRE);

		__atomic_store_n(&pulse->answered, asked, __ATOMIC_RELEASE);
		syscall(SYS_futex, &pulse->asked, FUTEX_WAIT, asked, NULL, NULL, 0);
	}
	return NULL;
}

/* Its memory stays mapped as long as this process is there: the thread never ends. */
static int pulse_start(struct vhu *vhu)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, pulse_main,
			   vhu->notes + vhu->notes_size - sizeof(struct vhost_user_pulse));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

int vhu_inflight_set(struct vhu *vhu, const struct vhost_user_inflight *inflight, int fd)
{
	const uint64_t least = inflight->num_queues * notes_queue_bytes(inflight->queue_size) +
			       sizeof(struct vhost_user_pulse);
	void *p;

	if (vhu->notes || inflight->num_queues < vhu->ops->num_queues || !inflight->queue_size ||
	    inflight->queue_size > VIRTQUEUE_MAX_SIZE || inflight->mmap_size < least ||
	    inflight->mmap_size > 1u << 24 || inflight->mmap_size % 8 ||
	    inflight->mmap_offset > INT64_MAX)
		return -EINVAL;
	p = mmap(NULL, inflight->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 (off_t)inflight->mmap_offset);
	if (p == MAP_FAILED)
		return -errno;
	vhu->notes = p;
	vhu->notes_size = inflight->mmap_size;
	vhu->notes_queues = inflight->num_queues;
	vhu->notes_queue_size = inflight->queue_size;
	return pulse_start(vhu);
}

void vhu_inflight_taken(struct vhu *vhu, unsigned int index, uint16_t head)
{
	struct vhost_user_inflight_queue *q = notes_queue(vhu, index, head);

	if (q)
		__atomic_store_n(&q->desc[head].inflight, 1, __ATOMIC_RELEASE);
}

void vhu_inflight_returning(struct vhu *vhu, unsigned int index, uint16_t head)
{
	struct vhost_user_inflight_queue *q = notes_queue(vhu, index, head);

	if (!q)
		return;
	__atomic_store_n(&q->last_batch_head, head, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

void vhu_inflight_returned(struct vhu *vhu, unsigned int index, uint16_t head)
{
	struct vhost_user_inflight_queue *q = notes_queue(vhu, index, head);

	if (!q)
		return;
	__atomic_store_n(&q->desc[head].inflight, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&q->used_idx, vhu->queues[index].vq.used_idx, __ATOMIC_RELEASE);
}
