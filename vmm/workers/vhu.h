/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_VHU_H
#define VMM_WORKERS_VHU_H

/*
 * A vhost-user back end: what krun-gpu-fs and krun-gpu-gpu have in common. It speaks the protocol
 * on an inherited, connected socket, maps the front end's memory, runs the virtqueues, and hands
 * kicks to the worker. One thread (the one in vhu_run()) runs everything; other threads may only
 * call vhu_wake(), and vhu_push() where the worker sees to it that no two are in it at once, nor any
 * when queue_stop() has returned.
 *
 * The front end (our VMM, or QEMU) is trusted to the extent that it owns the guest's memory; its
 * messages are still checked, and the ring contents are the guest's and hostile.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/virtqueue.h"

#define VHU_MAX_QUEUES 16

struct error;
struct vhu;

struct vhu_ops {
	const char *name;
	uint16_t num_queues;	    /* at most VHU_MAX_QUEUES */
	uint64_t features;	    /* of the virtio device; VERSION_1, EVENT_IDX, INDIRECT_DESC,
				     * and VHOST_USER_F_PROTOCOL_FEATURES are added */
	bool backend_channel;	    /* offers BACKEND_REQ, BACKEND_SEND_FD and SHMEM */
	bool inflight;		    /* offers INFLIGHT_SHMFD: chains are popped by vhu_pop() */
	/* Configuration space for GET_CONFIG; NULL: not offered (our VMM answers itself). */
	size_t (*get_config)(void *data, void *buf, size_t size);
	/* The queue was kicked, or enabled with chains waiting: pop until none is left. A worker
	 * that leaves some there, for want of room, calls vhu_kick() when it can go on. */
	void (*queue_kick)(void *data, struct vhu *vhu, unsigned int index);
	/* The queue stops (GET_VRING_BASE, disabled, new memory, disconnect): finish or forget its
	 * chains. When it returns, none of them may be pushed any more. May be NULL. */
	void (*queue_stop)(void *data, struct vhu *vhu, unsigned int index);
	/* vhu_wake() was called. May be NULL. */
	void (*woken)(void *data, struct vhu *vhu);
};

/** vhu_create() - @sock: connected stream socket, owned from now on */
struct vhu *vhu_create(int sock, const struct vhu_ops *ops, void *data, struct error **err);
void vhu_free(struct vhu *vhu);

/** vhu_run() - serve until the front end goes away (0) or breaks the protocol (-errno) */
int vhu_run(struct vhu *vhu);

/** vhu_wake() - from any thread or signal handler: ops->woken() is called on vhu_run()'s thread */
void vhu_wake(struct vhu *vhu);

/** vhu_kick() - on vhu_run()'s thread: as if the driver had kicked; for chains left in the ring */
void vhu_kick(struct vhu *vhu, unsigned int index);

/** vhu_watch_fd() - also call @fn(data) on vhu_run()'s thread when @fd is readable; 0 or -errno */
int vhu_watch_fd(struct vhu *vhu, int fd, void (*fn)(void *data), void *data);
void vhu_unwatch_fd(struct vhu *vhu, int fd);

/** vhu_queue() - the virtqueue, for virtqueue_pop_chain(); ready only between kick and stop */
struct virtqueue *vhu_queue(struct vhu *vhu, unsigned int index);

/** vhu_pop() - virtqueue_pop_chain(), noted for the front end */
int vhu_pop(struct vhu *vhu, unsigned int index, struct virtq_chain *chain);

/** vhu_push() - virtqueue_push() and, when the driver wants it, the call eventfd */
void vhu_push(struct vhu *vhu, unsigned int index, uint16_t head, uint32_t len);

/** vhu_queue_broken() - a malformed chain: give the queue up, tell the front end (err), warn */
void vhu_queue_broken(struct vhu *vhu, unsigned int index, const char *why);

/** vhu_features() - the virtio features the driver accepted */
uint64_t vhu_features(const struct vhu *vhu);

/**
 * vhu_shmem_map() - SHMEM_MAP: have the front end map a file into a shared-memory region
 * @shmid:  region
 * @fd:     borrowed
 * @offset: in the region, bytes, page aligned; @fd_offset likewise in the file
 * @writable: else read-only
 *
 * Waits for the front end's answer. Return: 0 or -errno (the front end's refusal is -EINVAL).
 */
int vhu_shmem_map(struct vhu *vhu, uint8_t shmid, int fd, uint64_t fd_offset, uint64_t offset,
		  uint64_t len, bool writable);
/** vhu_shmem_unmap() - SHMEM_UNMAP; same rules */
int vhu_shmem_unmap(struct vhu *vhu, uint8_t shmid, uint64_t offset, uint64_t len);

#endif
