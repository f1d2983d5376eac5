/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_TRANSPORT_MMIO_H
#define VMM_VIRTIO_TRANSPORT_MMIO_H

/*
 * virtio over MMIO (virtio 1.2, 4.2), registers of version 2. Knows nothing of KVM: the machine
 * attaches the eventfds to a memory address and a gsi.
 */

#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/virtio_device.h"

#define TRANSPORT_MMIO_SIZE 0x1000u
#define TRANSPORT_MMIO_QUEUE_NOTIFY 0x50u /* offset of the register that kicks are written to */
#define TRANSPORT_MMIO_ACK 0x64u	  /* of the one that interrupts are acknowledged in */

struct error;
struct event_loop;

/**
 * transport_mmio_create() - plug a device in
 * @dev: owned from now on, also when this fails
 *
 * Kicks of devices without external queues are watched on @loop.
 */
struct virtio_transport *transport_mmio_create(struct virtio_device *dev, struct event_loop *loop,
					       struct error **err);

/** transport_mmio_free() - unplug and destroy the device */
void transport_mmio_free(struct virtio_transport *t);

/** struct transport_line - how this process itself interrupts the driver */
struct transport_line {
	void (*pulse)(void *data); /* raise the line and lower it; on any thread, but one at a time */
	void *data;
};

/** transport_mmio_set_line() - for devices without irqfd, in the place of transport_mmio_irq_fd() */
void transport_mmio_set_line(struct virtio_transport *t, const struct transport_line *line);

/** transport_mmio_irq_fd() - eventfd that interrupts the driver, borrowed; for an irqfd */
int transport_mmio_irq_fd(const struct virtio_transport *t);

/** transport_mmio_kick_fd() - eventfd that kicks of a queue go to, borrowed; for an ioeventfd */
int transport_mmio_kick_fd(const struct virtio_transport *t, unsigned int queue);

/**
 * transport_mmio_ack_fd() - eventfd for the driver's writes of 1 to TRANSPORT_MMIO_ACK, borrowed
 *
 * They have no effect on a device with external queues, whose used-buffer bit is always set: nobody
 * reads this eventfd. -1 for other devices.
 */
int transport_mmio_ack_fd(const struct virtio_transport *t);

/**
 * transport_mmio_set_page() - keep what can be read up to date in a page that the guest can read
 * @page: TRANSPORT_MMIO_SIZE bytes, zeroed, borrowed
 *
 * Writes go to transport_mmio_write() as before. For devices that say so when their configuration
 * changes, by virtio_device_notify_config().
 */
void transport_mmio_set_page(struct virtio_transport *t, void *page);

/**
 * transport_mmio_read() - the driver reads @len bytes at @offset of the device's page
 *
 * Wrong widths and registers that cannot be read give zeros.
 */
void transport_mmio_read(struct virtio_transport *t, uint64_t offset, void *buf, size_t len);

/** transport_mmio_write() - the driver writes; what the specification forbids is ignored */
void transport_mmio_write(struct virtio_transport *t, uint64_t offset, const void *buf, size_t len);

#endif
