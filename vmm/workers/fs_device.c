/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_device.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "vmm/workers/fs_pool.h"
#include "vmm/workers/fs_server.h"
#include "vmm/workers/vhu.h"

/*
 * Theory of operation
 *
 * The thread in vhu_run() takes requests out of the queues. What does not wait for a disk, as a
 * rule, it handles at once: handing such a request to another thread would take longer than the
 * request. Reads are tried without waiting. What is left goes to the pool, whose results come back
 * by vhu_wake(). So the replies may overtake each other; FUSE has no order among requests that are
 * under way at the same time.
 *
 * When all requests are in use, those in the rings wait until one comes back.
 */

/* Queue 0 is the high-priority one, for FORGET and INTERRUPT; requests come on the others. */
#define FS_NUM_QUEUES 9

#define FS_POOL_THREADS 4
#define FS_MAX_REQUESTS 64 /* in the pool's hands, and one of ours */

struct fs_device {
	struct vhu *vhu; /* owned */
	struct fs_server *server;
	struct fs_pool *pool;	 /* owned */
	struct fs_request *free; /* owned, linked by next */
	unsigned int num_requests;
	bool waiting[FS_NUM_QUEUES]; /* there were chains, but no request to take them */
};

static struct fs_request *fs_device_request(struct fs_device *dev)
{
	struct fs_request *r = dev->free;

	if (r) {
		dev->free = r->next;
		return r;
	}
	if (dev->num_requests == FS_MAX_REQUESTS)
		return NULL;
	r = malloc(sizeof(*r));
	if (r)
		dev->num_requests++;
	return r;
}

static void fs_device_finish(struct fs_device *dev, struct fs_request *r)
{
	vhu_push(dev->vhu, r->queue, r->chain.head, (uint32_t)r->reply_len);
	r->next = dev->free;
	dev->free = r;
}

static void fs_device_finish_done(struct fs_device *dev)
{
	struct fs_request *r = fs_pool_fetch(dev->pool), *next;

	for (; r; r = next) {
		next = r->next;
		fs_device_finish(dev, r);
	}
}

static void fs_device_handle(struct fs_device *dev, struct fs_request *r)
{
	enum fs_kind kind;

	if (fs_request_begin(r) < 0) {
		fs_device_finish(dev, r);
		return;
	}
	kind = fs_server_kind(r);
	if (kind == FS_SESSION)
		fs_pool_drain(dev->pool);
	r->nowait = kind == FS_READ;
	if (kind == FS_SLOW || fs_server_handle(dev->server, r) < 0)
		fs_pool_submit(dev->pool, r);
	else
		fs_device_finish(dev, r);
}

static void fs_device_kick(void *data, struct vhu *vhu, unsigned int index)
{
	struct virtqueue *vq = vhu_queue(vhu, index);
	struct fs_device *dev = data;
	int ret = 1;

	while (ret == 1) {
		struct fs_request *r = fs_device_request(dev);

		dev->waiting[index] = !r;
		if (!r)
			return;
		r->queue = index;
		ret = virtqueue_pop_chain(vq, &r->chain);
		if (ret == 1) {
			fs_device_handle(dev, r);
		} else {
			r->next = dev->free;
			dev->free = r;
		}
	}
	if (ret < 0)
		vhu_queue_broken(vhu, index, "a malformed descriptor chain");
}

static void fs_device_woken(void *data, struct vhu *vhu)
{
	struct fs_device *dev = data;

	fs_device_finish_done(dev);
	for (unsigned int i = 0; i < FS_NUM_QUEUES; i++)
		if (dev->waiting[i])
			vhu_kick(vhu, i);
}

/* Requests are finished, not forgotten: the memory they point to may only be moving. */
static void fs_device_queue_stop(void *data, struct vhu *vhu, unsigned int index)
{
	struct fs_device *dev = data;

	(void)vhu;
	fs_pool_drain(dev->pool);
	fs_device_finish_done(dev);
	dev->waiting[index] = false;
}

static const struct vhu_ops fs_device_ops = {
	.name = "krun-gpu-fs",
	.num_queues = FS_NUM_QUEUES,
	.queue_kick = fs_device_kick,
	.queue_stop = fs_device_queue_stop,
	.woken = fs_device_woken,
};

/* On a pool thread. */
static void fs_device_pool_done(void *data)
{
	struct fs_device *dev = data;

	vhu_wake(dev->vhu);
}

struct fs_device *fs_device_create(int sock, struct fs_server *server, struct error **err)
{
	struct fs_device *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		error_set(err, ENOMEM, "cannot make the virtio-fs device");
		return NULL;
	}
	dev->server = server;
	dev->vhu = vhu_create(sock, &fs_device_ops, dev, err);
	if (dev->vhu)
		dev->pool = fs_pool_create(server, FS_POOL_THREADS, fs_device_pool_done, dev, err);
	if (!dev->pool) {
		fs_device_free(dev);
		return NULL;
	}
	return dev;
}

void fs_device_free(struct fs_device *dev)
{
	if (!dev)
		return;
	vhu_free(dev->vhu);
	fs_pool_free(dev->pool);
	while (dev->free) {
		struct fs_request *r = dev->free;

		dev->free = r->next;
		free(r);
	}
	free(dev);
}

int fs_device_run(struct fs_device *dev)
{
	return vhu_run(dev->vhu);
}
