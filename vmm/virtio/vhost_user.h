/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VHOST_USER_H
#define VMM_VIRTIO_VHOST_USER_H

/*
 * Devices whose queues a worker process serves (vhost-user; this is the front end). Registers and
 * configuration space stay in the VMM; kicks and interrupts go straight between KVM and the worker.
 */

#include "vmm/virtio/virtio_device.h"

struct error;
struct event_loop;
struct shm_window;

/** struct vhost_user_host - whom the device tells about its worker */
struct vhost_user_host {
	/*
	 * The worker is gone, silent or broke the protocol; called once, with the machine's lock
	 * held, on any thread. The device itself is already in NEEDS_RESET.
	 */
	void (*died)(void *data, const char *device, const char *why);
	void *data;
};

/**
 * vhost_user_fs_create() - virtio-fs (virtio 1.2, 5.11): a hiprio and a request queue
 * @sock: connected to the worker; owned from now on, also when this fails
 * @tag:  at most 36 bytes
 * @host: copied
 *
 * Talks to the worker, which must answer within VHOST_USER_TIMEOUT_MS.
 */
struct virtio_device *vhost_user_fs_create(const struct guest_memory *mem, struct event_loop *loop,
					   int sock, const char *tag,
					   const struct vhost_user_host *host, struct error **err);

/**
 * vhost_user_gpu_create() - virtio-gpu (virtio 1.2, 5.7) without scanouts
 * @sock:   as above
 * @window: where the worker's blobs are mapped (shared-memory region 1), borrowed; the device's
 *          shm[1] is set from it. NULL: no host-visible memory.
 */
struct virtio_device *vhost_user_gpu_create(const struct guest_memory *mem, struct event_loop *loop,
					    int sock, struct shm_window *window,
					    const struct vhost_user_host *host, struct error **err);

/**
 * vhost_user_net_create() - virtio-net (virtio 1.2, 5.1) with one queue pair
 * @sock: as above
 * @mac:  6 bytes
 *
 * MAC, MTU and link status are the front end's; what else the driver may do is the worker's matter.
 */
struct virtio_device *vhost_user_net_create(const struct guest_memory *mem, struct event_loop *loop,
					    int sock, const uint8_t *mac, uint32_t mtu,
					    const struct vhost_user_host *host, struct error **err);

/* How long a worker may take for an answer. */
#define VHOST_USER_TIMEOUT_MS 30000

#endif
