/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device tells its driver: interrupts, and the page in which the registers can be read.
 *
 * Theory of operation: each interrupt makes the driver read InterruptStatus and write InterruptACK.
 * With a page that the guest can read, in which the registers stand, and an eventfd for what it
 * writes, neither leaves KVM. The interrupt itself is a pulse of a line. By eventfd KVM leaves the
 * pulse to another thread of the kernel's, so that only those use one who have nothing else.
 */
#include <endian.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/virtio/transport_priv.h"

static void page_put(struct virtio_transport *t, uint64_t offset)
{
	/* The guest may be reading: each register changes as a whole. */
	__atomic_store_n((uint32_t *)(t->page + offset), htole32(transport_register(t, offset)),
			 __ATOMIC_RELEASE);
}

/* Bring the page up to date with the registers. */
void transport_publish(struct virtio_transport *t)
{
	static const uint16_t offsets[] = {
		VIRTIO_MMIO_MAGIC_VALUE, VIRTIO_MMIO_VERSION, VIRTIO_MMIO_DEVICE_ID,
		VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES, VIRTIO_MMIO_QUEUE_NUM_MAX,
		VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_STATUS,
		VIRTIO_MMIO_SHM_LEN_LOW, VIRTIO_MMIO_SHM_LEN_HIGH, VIRTIO_MMIO_SHM_BASE_LOW,
		VIRTIO_MMIO_SHM_BASE_HIGH, VIRTIO_MMIO_CONFIG_GENERATION,
	};

	for (size_t i = 0; t->page && i < sizeof(offsets) / sizeof(*offsets); i++)
		page_put(t, offsets[i]);
}

/*
 * The configuration has changed. A driver reads its generation before and after (2.5.3), so that has
 * to differ before the first byte does, and again after the last one.
 */
void transport_publish_config(struct virtio_transport *t)
{
	const struct virtio_device_ops *ops = t->dev->ops;

	t->config_generation++;
	if (!t->page)
		return;
	page_put(t, VIRTIO_MMIO_CONFIG_GENERATION);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ops->config_read)
		ops->config_read(t->dev, 0, t->page + VIRTIO_MMIO_CONFIG, ops->config_size);
	t->config_generation++;
	page_put(t, VIRTIO_MMIO_CONFIG_GENERATION);
}

/*
 * Two edges are to be two: while one thread has the line up, no other may, or its own would go
 * unseen.
 */
static void line_pulse(struct virtio_transport *t)
{
	const uint64_t one = 1;

	if (!t->dev->irqfd && t->line.pulse) {
		pthread_mutex_lock(&t->line_lock);
		t->line.pulse(t->line.data);
		pthread_mutex_unlock(&t->line_lock);
		return;
	}
	/* Cannot fail but by a full counter, and then the interrupt is pending anyway. */
	if (write(t->irq_fd, &one, sizeof(one)) < 0)
		return;
}

static void interrupt_raise(struct virtio_transport *t, uint32_t cause)
{
	t->interrupt_status |= cause;
	transport_publish(t);
	line_pulse(t);
}

void virtio_device_notify_queue(struct virtio_device *dev, unsigned int index)
{
	if (dev->active && virtqueue_should_notify(&dev->queues[index]))
		interrupt_raise(dev->transport, VIRTIO_MMIO_INT_VRING);
}

void virtio_device_notify_config(struct virtio_device *dev)
{
	struct virtio_transport *t = dev->transport;

	transport_publish_config(t);
	if (t->status & VIRTIO_CONFIG_S_DRIVER_OK)
		interrupt_raise(t, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_device_interrupt(struct virtio_device *dev, unsigned int index)
{
	(void)index; /* one interrupt a device: the handler looks at every queue */
	line_pulse(dev->transport);
}

void virtio_device_needs_reset(struct virtio_device *dev, const char *why)
{
	struct virtio_transport *t = dev->transport;

	if (!t->warned_reset)
		log_guest_warning("%s: the device needs a reset: %s", dev->ops->name, why);
	t->warned_reset = true;
	t->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	transport_publish(t);
	/* 2.1.2: tell the driver, if there is one that has come this far. */
	virtio_device_notify_config(dev);
}

int virtio_device_kick_fd(struct virtio_device *dev, unsigned int index)
{
	return dev->transport->queues[index].kick_fd;
}

int virtio_device_call_fd(struct virtio_device *dev, unsigned int index)
{
	(void)index;
	return dev->transport->irq_fd;
}

void transport_mmio_set_line(struct virtio_transport *t, const struct transport_line *line)
{
	t->line = *line;
}

int transport_mmio_irq_fd(const struct virtio_transport *t)
{
	return t->irq_fd;
}

int transport_mmio_ack_fd(const struct virtio_transport *t)
{
	return t->dev->external_queues ? t->ack_fd : -1;
}

void transport_mmio_set_page(struct virtio_transport *t, void *page)
{
	t->page = page;
	transport_publish(t);
	transport_publish_config(t);
}
