/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_TRANSPORT_PRIV_H
#define VMM_VIRTIO_TRANSPORT_PRIV_H

/* Shared by transport_mmio.c and transport_irq.c. */

#include <pthread.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/transport_mmio.h"

struct transport_queue {
	struct virtio_transport *transport; /* the one it belongs to */
	unsigned int index;
	int kick_fd; /* owned */
	struct event_source kick;
	bool enabled; /* QueueReady, as the driver wrote it */
};

struct virtio_transport {
	struct virtio_device *dev; /* owned */
	struct event_loop *loop;   /* borrowed from machine */
	int irq_fd;		   /* owned */
	struct transport_line line;
	pthread_mutex_t line_lock; /* for line.pulse() */
	uint32_t status;
	uint32_t interrupt_status;
	uint32_t config_generation;
	uint32_t device_features_sel, driver_features_sel, queue_sel, shm_sel;
	uint64_t driver_features;
	bool warned_reset;
	uint8_t *page; /* borrowed: what the guest reads without an exit; NULL: it has to ask */
	int ack_fd;    /* owned: see transport_mmio_ack_fd() */
	struct transport_queue queues[VIRTIO_DEVICE_MAX_QUEUES];
};

/** transport_register() - what the register at @offset shows the driver */
uint32_t transport_register(const struct virtio_transport *t, uint64_t offset);

/** transport_publish() - bring the page up to date with the registers */
void transport_publish(struct virtio_transport *t);

/** transport_publish_config() - the configuration has changed: a new generation, in the page too */
void transport_publish_config(struct virtio_transport *t);

#endif
