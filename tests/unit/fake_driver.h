/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FAKE_DRIVER_H
#define TESTS_UNIT_FAKE_DRIVER_H

/*
 * The driver's side of virtqueues, and a transport that only counts, for tests of devices. Linking
 * fake_driver.c replaces transport_mmio.c.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/virtio_device.h"

#define FAKE_QUEUE_SIZE 64
#define FAKE_RAM (32u << 20)

struct fake_queue {
	struct virtqueue *vq;
	uint16_t size;
	uint16_t avail_idx, used_seen;
	uint16_t next_desc; /* descriptors are used round and round */
	uint64_t desc, avail, used;
};

struct fake_driver {
	struct guest_memory mem;
	struct virtio_device *dev;
	struct fake_queue queues[VIRTIO_DEVICE_MAX_QUEUES];
	uint64_t next_gpa; /* of what is not handed out yet */
	unsigned int interrupts;
	unsigned int needs_reset;
	int kick_fd[VIRTIO_DEVICE_MAX_QUEUES], call_fd[VIRTIO_DEVICE_MAX_QUEUES];
	/* What the driver does when virtio_device_interrupt() interrupts it; NULL: nothing. */
	void (*on_interrupt)(void *data);
	void *data;
};

/* The one whose device calls virtio_device_*(). */
extern struct fake_driver *fake_driver_current;

struct fake_buffer {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

void fake_driver_init(struct fake_driver *drv);
void fake_driver_release(struct fake_driver *drv);
/** fake_driver_alloc() - some guest memory, zeroed, 4096-aligned */
uint64_t fake_driver_alloc(struct fake_driver *drv, size_t len);
void *fake_driver_ptr(struct fake_driver *drv, uint64_t gpa, size_t len);
/** fake_driver_start() - lay out all queues and say DRIVER_OK; activate's answer */
int fake_driver_start(struct fake_driver *drv, struct virtio_device *dev);
void fake_driver_reset(struct fake_driver *drv);
/** fake_driver_add() - make a chain available; its head */
uint16_t fake_driver_add(struct fake_driver *drv, unsigned int queue, const struct fake_buffer *bufs,
			 size_t count);
/** fake_driver_used() - the next used chain; false when there is none */
bool fake_driver_used(struct fake_driver *drv, unsigned int queue, uint16_t *head, uint32_t *len);
/** fake_driver_wants_kick() - would the driver kick for the chain that it added last? */
bool fake_driver_wants_kick(struct fake_driver *drv, unsigned int queue);
void fake_driver_kick(struct fake_driver *drv, unsigned int queue);

/** fake_loop_create() - an event loop of which fake_loop_run() runs some rounds without waiting */
struct event_loop *fake_loop_create(void);
void fake_loop_run(struct event_loop *loop);

#endif
