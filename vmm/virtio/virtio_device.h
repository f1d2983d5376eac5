/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VIRTIO_DEVICE_H
#define VMM_VIRTIO_VIRTIO_DEVICE_H

/*
 * What a device of the VMM is: a struct that embeds struct virtio_device, and a const table of
 * operations. Status, feature negotiation, configuration bounds and queue addresses are the
 * transport's (transport_mmio.c), once for all devices.
 *
 * Threads: every operation runs with the machine's lock held, on a vCPU thread (register accesses:
 * config_*, activate, reset) or on the event loop's thread (queue_notify, and the device's own fd
 * callbacks). A queue's kick arrives by ioeventfd on the event loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/virtqueue.h"

#define VIRTIO_DEVICE_MAX_QUEUES 9

struct virtio_device;
struct virtio_transport;

struct virtio_device_ops {
	const char *name;	 /* for messages */
	uint32_t device_id;	 /* VIRTIO_ID_* */
	uint16_t num_queues;	 /* at most VIRTIO_DEVICE_MAX_QUEUES */
	uint16_t queue_max_size; /* of every queue */
	uint32_t config_size;	 /* bytes of configuration space */
	uint64_t features;	 /* offered; VIRTIO_F_VERSION_1 is always added */

	/* Bounds are checked already: offset + len <= config_size. NULL: reads as zero. */
	void (*config_read)(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len);
	/* NULL: writes are ignored. */
	void (*config_write)(struct virtio_device *dev, uint32_t offset, const void *buf,
			     uint32_t len);
	/* DRIVER_OK: queues that the driver made ready are started. 0 or -errno: then NEEDS_RESET. */
	int (*activate)(struct virtio_device *dev);
	/* The driver kicked queue @index, which is ready. NULL where kicks go elsewhere. */
	void (*queue_notify)(struct virtio_device *dev, unsigned int index);
	/* The driver reset the device: forget everything; no chain of before may be pushed. */
	void (*reset)(struct virtio_device *dev);
	/* Free what the device owns; the struct itself too. */
	void (*destroy)(struct virtio_device *dev);
};

/** struct virtio_shm_region - a shared-memory region (virtio 1.2, 2.10); length 0: absent */
struct virtio_shm_region {
	uint64_t gpa;
	uint64_t size;
};

#define VIRTIO_DEVICE_MAX_SHM 2

struct virtio_device {
	const struct virtio_device_ops *ops;
	const struct guest_memory *mem;	    /* borrowed from machine */
	struct virtio_transport *transport; /* borrowed; set when plugged in */
	uint64_t offered_features;	    /* ops->features, or fewer: set before it is plugged in */
	uint64_t features;		    /* negotiated, valid from activate on */
	struct virtqueue queues[VIRTIO_DEVICE_MAX_QUEUES];
	struct virtio_shm_region shm[VIRTIO_DEVICE_MAX_SHM]; /* by id; set before it is plugged in */
	bool active; /* between activate and reset */
	/*
	 * Kicks and interrupts of this device's queues belong to another process (vhost-user): the
	 * transport makes eventfds for each queue and does not watch the kicks itself.
	 */
	bool external_queues;
	/* Somebody else's eventfd interrupts the driver (a worker, the kernel): nothing else may. */
	bool irqfd;
};

/** virtio_device_init() - fill the embedded part; called by every device's constructor */
void virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
			const struct guest_memory *mem);

/* What a device asks of its transport. */

/** virtio_device_notify_queue() - interrupt the driver if it wants to hear of this queue's pushes */
void virtio_device_notify_queue(struct virtio_device *dev, unsigned int index);

/** virtio_device_notify_config() - the configuration space changed */
void virtio_device_notify_config(struct virtio_device *dev);

/** virtio_device_needs_reset() - set DEVICE_NEEDS_RESET, tell the driver, warn once */
void virtio_device_needs_reset(struct virtio_device *dev, const char *why);

/** virtio_device_kick_fd() - external_queues only: eventfd that the driver's kicks go to, borrowed */
int virtio_device_kick_fd(struct virtio_device *dev, unsigned int index);

/**
 * virtio_device_interrupt() - external_queues only: interrupt the driver about a queue
 *
 * On any thread. Whether the driver wants it is asked before, by virtqueue_should_notify().
 */
void virtio_device_interrupt(struct virtio_device *dev, unsigned int index);

/** virtio_device_call_fd() - irqfd only: eventfd that interrupts the driver, borrowed */
int virtio_device_call_fd(struct virtio_device *dev, unsigned int index);

#endif
