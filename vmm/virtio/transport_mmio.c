/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the one place for a device's status, features and queue addresses. The
 * driver's steps (3.1.1) are enforced: a bit of the status can only be added, in order; features
 * change only between DRIVER and FEATURES_OK; queues only between FEATURES_OK and DRIVER_OK. So a
 * device sees addresses once, in activate, and they stay until reset.
 *
 * All register accesses and callbacks run with the machine's lock held.
 */
#include "vmm/virtio/transport_mmio.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/virtio/transport_priv.h"

#define MMIO_MAGIC 0x74726976u /* "virt" */
#define MMIO_VERSION 2u
#define MMIO_VENDOR 0x4750524bu /* "KRPG" */

static void kick_ready(void *data, uint32_t events)
{
	struct transport_queue *q = data;
	struct virtio_device *dev = q->transport->dev;
	uint64_t count;

	(void)events;
	if (read(q->kick_fd, &count, sizeof(count)) < 0)
		return;
	if (dev->active && dev->queues[q->index].ready && dev->ops->queue_notify)
		dev->ops->queue_notify(dev, q->index);
}

static int transport_init_queue(struct virtio_transport *t, unsigned int i)
{
	struct transport_queue *q = &t->queues[i];

	q->transport = t;
	q->index = i;
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0)
		return -errno;
	t->dev->queues[i].max_size = t->dev->ops->queue_max_size;
	if (t->dev->external_queues)
		return 0;
	return event_loop_add(t->loop, &q->kick, q->kick_fd, EPOLLIN, kick_ready, q);
}

struct virtio_transport *transport_mmio_create(struct virtio_device *dev, struct event_loop *loop,
					       struct error **err)
{
	struct virtio_transport *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (t) {
		t->dev = dev;
		t->loop = loop;
		pthread_mutex_init(&t->line_lock, NULL);
		t->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		t->ack_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (t->irq_fd < 0 || t->ack_fd < 0)
			r = -errno;
		for (unsigned int i = 0; i < VIRTIO_DEVICE_MAX_QUEUES; i++)
			t->queues[i].kick_fd = -1;
		for (unsigned int i = 0; !r && i < dev->ops->num_queues; i++)
			r = transport_init_queue(t, i);
	}
	if (r) {
		error_set(err, -r, "cannot plug in the %s device", dev->ops->name);
		if (t)
			transport_mmio_free(t);
		else
			dev->ops->destroy(dev);
		return NULL;
	}
	dev->transport = t;
	return t;
}

void transport_mmio_free(struct virtio_transport *t)
{
	if (!t)
		return;
	t->dev->ops->destroy(t->dev);
	for (unsigned int i = 0; i < VIRTIO_DEVICE_MAX_QUEUES; i++) {
		event_loop_remove(t->loop, &t->queues[i].kick);
		if (t->queues[i].kick_fd >= 0)
			close(t->queues[i].kick_fd);
	}
	if (t->irq_fd >= 0)
		close(t->irq_fd);
	if (t->ack_fd >= 0)
		close(t->ack_fd);
	pthread_mutex_destroy(&t->line_lock);
	free(t);
}

int transport_mmio_kick_fd(const struct virtio_transport *t, unsigned int queue)
{
	return t->queues[queue].kick_fd;
}

static void transport_reset(struct virtio_transport *t)
{
	struct virtio_device *dev = t->dev;

	dev->active = false;
	dev->ops->reset(dev);
	dev->features = 0;
	for (unsigned int i = 0; i < dev->ops->num_queues; i++) {
		struct virtqueue *vq = &dev->queues[i];

		virtqueue_stop(vq);
		vq->size = 0;
		vq->desc = vq->avail = vq->used = 0;
		t->queues[i].enabled = false;
	}
	t->status = 0;
	t->interrupt_status = 0;
	t->driver_features = 0;
	t->device_features_sel = t->driver_features_sel = t->queue_sel = t->shm_sel = 0;
	t->warned_reset = false;
}

static int start_queues(struct virtio_transport *t)
{
	struct virtio_device *dev = t->dev;

	for (unsigned int i = 0; i < dev->ops->num_queues; i++) {
		struct virtqueue *vq = &dev->queues[i];

		if (!t->queues[i].enabled)
			continue;
		vq->last_avail = vq->used_idx = 0;
		vq->event_idx = dev->features & (1ull << VIRTIO_RING_F_EVENT_IDX);
		if (virtqueue_start(vq, dev->mem))
			return -EINVAL;
	}
	return 0;
}

/* DRIVER_OK: the device begins to live. */
static void transport_activate(struct virtio_transport *t)
{
	struct virtio_device *dev = t->dev;
	const uint64_t one = 1;

	if (start_queues(t)) {
		virtio_device_needs_reset(dev, "the driver placed a queue badly");
		return;
	}
	dev->active = true;
	if (dev->ops->activate && dev->ops->activate(dev)) {
		virtio_device_needs_reset(dev, "it cannot be started");
		return;
	}
	/* What was kicked before now was dropped: look once at every queue. */
	for (unsigned int i = 0; i < dev->ops->num_queues; i++)
		if (dev->queues[i].ready &&
		    write(t->queues[i].kick_fd, &one, sizeof(one)) < 0)
			return;
}

static bool features_acceptable(const struct virtio_transport *t)
{
	const uint64_t accepted = t->driver_features;

	return !(accepted & ~t->dev->offered_features) &&
	       (accepted & (1ull << VIRTIO_F_VERSION_1));
}

/* May the driver go from the present status to @status? (2.1.1, 3.1.1) */
static bool status_follows(const struct virtio_transport *t, uint32_t status)
{
	const uint32_t known = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
			       VIRTIO_CONFIG_S_FAILED;
	const uint32_t mine = VIRTIO_CONFIG_S_NEEDS_RESET;

	if ((status & ~(known | mine)) || (t->status & ~status & known))
		return false;
	if ((status & VIRTIO_CONFIG_S_DRIVER) && !(status & VIRTIO_CONFIG_S_ACKNOWLEDGE))
		return false;
	if ((status & VIRTIO_CONFIG_S_FEATURES_OK) && !(status & VIRTIO_CONFIG_S_DRIVER))
		return false;
	return !(status & VIRTIO_CONFIG_S_DRIVER_OK) || (t->status & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void status_write(struct virtio_transport *t, uint32_t status)
{
	const uint32_t old = t->status;

	if (status == 0) {
		transport_reset(t);
		return;
	}
	if (!status_follows(t, status)) {
		log_guest_warning("%s: the driver may not change the status from 0x%x to 0x%x",
				  t->dev->ops->name, old, status);
		return;
	}
	/* NEEDS_RESET is ours to set, and a failed device does nothing more until reset. */
	t->status = (status & ~(uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET) |
		    (old & VIRTIO_CONFIG_S_NEEDS_RESET);
	if (status & ~old & VIRTIO_CONFIG_S_FEATURES_OK) {
		if (features_acceptable(t))
			t->dev->features = t->driver_features;
		else
			t->status &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if ((status & ~old & VIRTIO_CONFIG_S_DRIVER_OK) && !(old & VIRTIO_CONFIG_S_NEEDS_RESET))
		transport_activate(t);
}

static void driver_features_write(struct virtio_transport *t, uint32_t value)
{
	const uint32_t shift = t->driver_features_sel * 32;

	if (!(t->status & VIRTIO_CONFIG_S_DRIVER) || (t->status & VIRTIO_CONFIG_S_FEATURES_OK) ||
	    t->driver_features_sel > 1)
		return;
	t->driver_features &= ~(0xffffffffull << shift);
	t->driver_features |= (uint64_t)value << shift;
}

static void set_half(uint64_t *address, uint32_t value, bool high)
{
	if (high)
		*address = (*address & 0xffffffffull) | ((uint64_t)value << 32);
	else
		*address = (*address & ~0xffffffffull) | value;
}

static void queue_write(struct virtio_transport *t, uint64_t offset, uint32_t value)
{
	const uint32_t in_setup = VIRTIO_CONFIG_S_FEATURES_OK;
	struct transport_queue *q;
	struct virtqueue *vq;

	if (t->queue_sel >= t->dev->ops->num_queues)
		return;
	q = &t->queues[t->queue_sel];
	vq = &t->dev->queues[t->queue_sel];
	if ((t->status & (in_setup | VIRTIO_CONFIG_S_DRIVER_OK)) != in_setup ||
	    (q->enabled && offset != VIRTIO_MMIO_QUEUE_READY)) {
		log_guest_warning("%s: the driver may not change queue %u now", t->dev->ops->name,
				  t->queue_sel);
		return;
	}
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* What does not fit is kept as 0, which virtqueue_start() refuses. */
		vq->size = value <= vq->max_size ? (uint16_t)value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		q->enabled = value & 1;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&vq->desc, value, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&vq->avail, value, offset == VIRTIO_MMIO_QUEUE_AVAIL_HIGH);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&vq->used, value, offset == VIRTIO_MMIO_QUEUE_USED_HIGH);
		break;
	}
}

static void register_write(struct virtio_transport *t, uint64_t offset, uint32_t value)
{
	const uint64_t one = 1;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		t->device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		t->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		driver_features_write(t, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		t->queue_sel = value;
		break;
	case VIRTIO_MMIO_SHM_SEL:
		t->shm_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* Normally KVM answers for us, by the ioeventfd. */
		if (value < t->dev->ops->num_queues &&
		    write(t->queues[value].kick_fd, &one, sizeof(one)) < 0)
			break;
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		t->interrupt_status &= ~value;
		break;
	case VIRTIO_MMIO_STATUS:
		status_write(t, value);
		break;
	case VIRTIO_MMIO_QUEUE_NUM:
	case VIRTIO_MMIO_QUEUE_READY:
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		queue_write(t, offset, value);
		break;
	default: /* read-only, unknown, or VIRTIO_F_RING_RESET's, which is not offered */
		log_guest_warning("%s: write to register 0x%llx", t->dev->ops->name,
				  (unsigned long long)offset);
		break;
	}
}

static uint32_t interrupt_status_read(const struct virtio_transport *t)
{
	/*
	 * A worker signals the irqfd itself and cannot set the bit here, so it always reads as set:
	 * the driver then looks at its queues in vain at worst.
	 */
	if (t->dev->external_queues && t->dev->active)
		return t->interrupt_status | VIRTIO_MMIO_INT_VRING;
	return t->interrupt_status;
}

/* 4.2.2: an absent region has the length -1; 2.10. */
static uint64_t shm_read(const struct virtio_transport *t, bool length)
{
	const struct virtio_shm_region *shm;

	if (t->shm_sel >= VIRTIO_DEVICE_MAX_SHM || !t->dev->shm[t->shm_sel].size)
		return ~0ull;
	shm = &t->dev->shm[t->shm_sel];
	return length ? shm->size : shm->gpa;
}

uint32_t transport_register(const struct virtio_transport *t, uint64_t offset)
{
	const struct virtio_device *dev = t->dev;
	const bool queue = t->queue_sel < dev->ops->num_queues;

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->device_id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		if (t->device_features_sel > 1)
			return 0;
		return (uint32_t)(dev->offered_features >> (t->device_features_sel * 32));
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue ? dev->queues[t->queue_sel].max_size : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue && t->queues[t->queue_sel].enabled;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return interrupt_status_read(t);
	case VIRTIO_MMIO_STATUS:
		return t->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
		return (uint32_t)shm_read(t, true);
	case VIRTIO_MMIO_SHM_LEN_HIGH:
		return (uint32_t)(shm_read(t, true) >> 32);
	case VIRTIO_MMIO_SHM_BASE_LOW:
		return (uint32_t)shm_read(t, false);
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return (uint32_t)(shm_read(t, false) >> 32);
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return t->config_generation;
	default: /* write-only or unknown */
		return 0;
	}
}

static bool config_in_bounds(const struct virtio_transport *t, uint64_t offset, size_t len)
{
	const uint32_t size = t->dev->ops->config_size;

	return offset < size && len <= size - offset;
}

void transport_mmio_read(struct virtio_transport *t, uint64_t offset, void *buf, size_t len)
{
	struct virtio_device *dev = t->dev;
	uint32_t value;

	memset(buf, 0, len);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		offset -= VIRTIO_MMIO_CONFIG;
		if (dev->ops->config_read && config_in_bounds(t, offset, len))
			dev->ops->config_read(dev, (uint32_t)offset, buf, (uint32_t)len);
		return;
	}
	if (len != sizeof(value) || offset % sizeof(value))
		return; /* 4.2.2.2: registers are 32 bits wide and aligned */
	value = htole32(transport_register(t, offset));
	memcpy(buf, &value, sizeof(value));
}

void transport_mmio_write(struct virtio_transport *t, uint64_t offset, const void *buf, size_t len)
{
	struct virtio_device *dev = t->dev;
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		offset -= VIRTIO_MMIO_CONFIG;
		if (dev->ops->config_write && (t->status & VIRTIO_CONFIG_S_DRIVER) &&
		    config_in_bounds(t, offset, len)) {
			dev->ops->config_write(dev, (uint32_t)offset, buf, (uint32_t)len);
			transport_publish_config(t);
		}
		return;
	}
	if (len != sizeof(value) || offset % sizeof(value))
		return;
	memcpy(&value, buf, sizeof(value));
	register_write(t, offset, le32toh(value));
	transport_publish(t);
}
