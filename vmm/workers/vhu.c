/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/vhu.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/workers/vhu_internal.h"

/*
 * Theory of operation
 *
 * One epoll loop waits for the front end's messages, the queues' kick eventfds, the worker's own
 * fds, and vhu_wake(). A ring runs when it has addresses and a kick fd and is enabled, whatever
 * order these came in; from then on the rings are mapped and the worker may pop chains. A ring
 * stops on GET_VRING_BASE, when it is disabled, when the memory table changes, and at the end. The
 * worker's queue_stop() is the barrier: after it no pointer into guest memory may be in use, which
 * is what makes it safe to unmap.
 *
 * Ring indices belong to us while a ring runs; when it stops for something other than
 * GET_VRING_BASE it must go on where it was, so they are kept over virtqueue_stop().
 */

#define VHU_BASE_FEATURES                                                              \
	(1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX |               \
	 1ULL << VIRTIO_RING_F_INDIRECT_DESC | 1ULL << VHOST_USER_F_PROTOCOL_FEATURES)

uint64_t vhu_offered_features(const struct vhu *vhu)
{
	return vhu->ops->features | VHU_BASE_FEATURES;
}

int vhu_epoll_add(struct vhu *vhu, int fd, uint64_t event)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = event };

	return epoll_ctl(vhu->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

struct vhu *vhu_create(int sock, const struct vhu_ops *ops, void *data, struct error **err)
{
	struct vhu *vhu = calloc(1, sizeof(*vhu));

	if (!vhu) {
		close(sock);
		error_set(err, ENOMEM, "cannot make a vhost-user back end");
		return NULL;
	}
	vhu->ops = ops;
	vhu->data = data;
	vhu->sock = sock;
	vhu->backend_sock = -1;
	vhu->mem.memfd = -1;
	vhu->next_watch_id = VHU_EVENT_WATCH;
	for (size_t i = 0; i < VHU_MAX_QUEUES; i++) {
		struct vhu_queue *q = &vhu->queues[i];

		q->kick_fd = q->call_fd = q->err_fd = -1;
		q->vq.max_size = VIRTQUEUE_MAX_SIZE;
	}
	vhu->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	vhu->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vhu->epoll_fd < 0 || vhu->wake_fd < 0 || fd_set_nonblock(sock, false) < 0 ||
	    vhu_epoll_add(vhu, sock, VHU_EVENT_SOCK) < 0 ||
	    vhu_epoll_add(vhu, vhu->wake_fd, VHU_EVENT_WAKE) < 0) {
		error_set(err, errno, "cannot watch the vhost-user socket");
		vhu_free(vhu);
		return NULL;
	}
	return vhu;
}

static void vhu_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void vhu_free(struct vhu *vhu)
{
	if (!vhu)
		return;
	for (unsigned int i = 0; i < VHU_MAX_QUEUES; i++) {
		vhu_queue_stop(vhu, i);
		vhu_close(&vhu->queues[i].kick_fd);
		vhu_close(&vhu->queues[i].call_fd);
		vhu_close(&vhu->queues[i].err_fd);
	}
	while (vhu->watches)
		vhu_unwatch_fd(vhu, vhu->watches->fd);
	guest_memory_release(&vhu->mem);
	vhu_close(&vhu->backend_sock);
	vhu_close(&vhu->wake_fd);
	vhu_close(&vhu->epoll_fd);
	vhu_close(&vhu->sock);
	free(vhu);
}

/* Have the worker take what is in the ring. Kicks are off while it does. */
static void vhu_queue_run(struct vhu *vhu, unsigned int index)
{
	struct virtqueue *vq = &vhu->queues[index].vq;
	uint16_t before;

	do {
		before = vq->last_avail;
		virtqueue_disable_kicks(vq);
		vhu->ops->queue_kick(vhu->data, vhu, index);
		if (!vq->ready || vq->broken)
			return;
		/* A worker that left chains behind for later must not be asked again at once. */
	} while (virtqueue_enable_kicks(vq) && vq->last_avail != before);
}

void vhu_queue_try_start(struct vhu *vhu, unsigned int index)
{
	struct vhu_queue *q = &vhu->queues[index];
	struct virtqueue *vq = &q->vq;
	const struct vring_used *used;

	if (vq->ready || !q->enabled || !q->addr_set || q->kick_fd < 0)
		return;
	/* What was used last is in the ring itself: it survives a worker that was restarted. */
	used = guest_memory_ptr(&vhu->mem, vq->used, sizeof(*used));
	if (!used) {
		vhu_queue_broken(vhu, index, "the used ring lies outside memory");
		return;
	}
	vq->used_idx = __atomic_load_n(&used->idx, __ATOMIC_RELAXED);
	vq->event_idx = vhu->features & (1ULL << VIRTIO_RING_F_EVENT_IDX);
	if (virtqueue_start(vq, &vhu->mem) < 0) {
		vhu_queue_broken(vhu, index, "its size or its addresses are invalid");
		return;
	}
	log_debug("%s: queue %u starts: size %u, next %u", vhu->ops->name, index, vq->size,
		  vq->last_avail);
	vhu_queue_run(vhu, index);
}

void vhu_queue_stop(struct vhu *vhu, unsigned int index)
{
	struct virtqueue *vq = &vhu->queues[index].vq;
	uint16_t next = vq->last_avail;

	if (!vq->ready)
		return;
	if (vhu->ops->queue_stop)
		vhu->ops->queue_stop(vhu->data, vhu, index);
	next = vq->last_avail;
	virtqueue_stop(vq);
	vq->last_avail = next;
	log_debug("%s: queue %u stops: next %u", vhu->ops->name, index, next);
}

void vhu_queue_set_kick(struct vhu *vhu, unsigned int index, int fd)
{
	struct vhu_queue *q = &vhu->queues[index];

	/* The front end may hold the same eventfd: closing ours does not take it out of epoll. */
	if (q->kick_fd >= 0)
		epoll_ctl(vhu->epoll_fd, EPOLL_CTL_DEL, q->kick_fd, NULL);
	vhu_close(&q->kick_fd);
	q->kick_fd = fd;
}

void vhu_kick(struct vhu *vhu, unsigned int index)
{
	const struct virtqueue *vq = &vhu->queues[index].vq;

	if (vq->ready && !vq->broken)
		vhu_queue_run(vhu, index);
}

static void vhu_on_kick(struct vhu *vhu, unsigned int index)
{
	struct vhu_queue *q = &vhu->queues[index];
	uint64_t count;

	if (q->kick_fd < 0 || read(q->kick_fd, &count, sizeof(count)) < 0)
		return;
	vhu_kick(vhu, index);
}

static void vhu_on_wake(struct vhu *vhu)
{
	uint64_t count;

	if (read(vhu->wake_fd, &count, sizeof(count)) == sizeof(count) && vhu->ops->woken)
		vhu->ops->woken(vhu->data, vhu);
}

static void vhu_on_watch(struct vhu *vhu, uint64_t id)
{
	for (struct vhu_watch *w = vhu->watches; w; w = w->next) {
		if (w->id == id) {
			w->fn(w->data);
			return;
		}
	}
}

/* One message of the front end: 1, 0 at the end of the connection, or -errno. */
static int vhu_on_message(struct vhu *vhu)
{
	struct vhu_msg msg;
	int r = vhu_msg_recv(vhu->sock, &msg);

	if (r == -ECONNRESET)
		return 0;
	if (r <= 0)
		return r;
	r = vhu_handle(vhu, &msg);
	vhu_msg_release(&msg);
	return r < 0 ? r : 1;
}

static int vhu_dispatch(struct vhu *vhu, uint64_t event)
{
	if (event == VHU_EVENT_SOCK)
		return vhu_on_message(vhu);
	if (event == VHU_EVENT_WAKE)
		vhu_on_wake(vhu);
	else if (event < VHU_EVENT_WATCH)
		vhu_on_kick(vhu, (unsigned int)(event - VHU_EVENT_KICK));
	else
		vhu_on_watch(vhu, event);
	return 1;
}

int vhu_run(struct vhu *vhu)
{
	int r = 1;

	while (r > 0) {
		struct epoll_event events[16];
		int n = epoll_wait(vhu->epoll_fd, events, 16, -1);

		if (n < 0 && errno != EINTR)
			r = -errno;
		for (int i = 0; i < n && r > 0; i++)
			r = vhu_dispatch(vhu, events[i].data.u64);
	}
	for (unsigned int i = 0; i < vhu->ops->num_queues; i++)
		vhu_queue_stop(vhu, i);
	return r;
}

void vhu_wake(struct vhu *vhu)
{
	const uint64_t one = 1;

	/* EAGAIN means that so many wakes are pending that one more makes no difference. */
	if (write(vhu->wake_fd, &one, sizeof(one)) < 0)
		return;
}

int vhu_watch_fd(struct vhu *vhu, int fd, void (*fn)(void *data), void *data)
{
	struct vhu_watch *w = malloc(sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct vhu_watch){ vhu->watches, vhu->next_watch_id++, fd, fn, data };
	r = vhu_epoll_add(vhu, fd, w->id);
	if (r < 0)
		free(w);
	else
		vhu->watches = w;
	return r;
}

void vhu_unwatch_fd(struct vhu *vhu, int fd)
{
	for (struct vhu_watch **p = &vhu->watches; *p; p = &(*p)->next) {
		struct vhu_watch *w = *p;

		if (w->fd != fd)
			continue;
		epoll_ctl(vhu->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		*p = w->next;
		free(w);
		return;
	}
}

struct virtqueue *vhu_queue(struct vhu *vhu, unsigned int index)
{
	return &vhu->queues[index].vq;
}

static void vhu_signal(int fd)
{
	const uint64_t one = 1;

	/* A full counter is a pending notification already. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

int vhu_pop(struct vhu *vhu, unsigned int index, struct virtq_chain *chain)
{
	int r = virtqueue_pop_chain(&vhu->queues[index].vq, chain);

	if (r > 0)
		vhu_inflight_taken(vhu, index, chain->head);
	return r;
}

void vhu_push(struct vhu *vhu, unsigned int index, uint16_t head, uint32_t len)
{
	struct vhu_queue *q = &vhu->queues[index];

	vhu_inflight_returning(vhu, index, head);
	virtqueue_push(&q->vq, head, len);
	vhu_inflight_returned(vhu, index, head);
	if (virtqueue_should_notify(&q->vq))
		vhu_signal(q->call_fd);
}

void vhu_queue_broken(struct vhu *vhu, unsigned int index, const char *why)
{
	struct vhu_queue *q = &vhu->queues[index];

	q->vq.broken = true;
	log_guest_warning("%s: queue %u is given up: %s", vhu->ops->name, index, why);
	vhu_signal(q->err_fd);
}

uint64_t vhu_features(const struct vhu *vhu)
{
	return vhu->features & ~(1ULL << VHOST_USER_F_PROTOCOL_FEATURES);
}
