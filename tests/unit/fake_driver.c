/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/fake_driver.h"

#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/unit.h"

struct fake_driver *fake_driver_current;

void virtio_device_notify_queue(struct virtio_device *dev, unsigned int index)
{
	if (dev->active && virtqueue_should_notify(&dev->queues[index]))
		fake_driver_current->interrupts++;
}

void virtio_device_notify_config(struct virtio_device *dev)
{
	(void)dev;
}

void virtio_device_needs_reset(struct virtio_device *dev, const char *why)
{
	(void)dev;
	(void)why;
	fake_driver_current->needs_reset++;
}

int virtio_device_kick_fd(struct virtio_device *dev, unsigned int index)
{
	(void)dev;
	return fake_driver_current->kick_fd[index];
}

void virtio_device_interrupt(struct virtio_device *dev, unsigned int index)
{
	(void)dev;
	eventfd_write(fake_driver_current->call_fd[index], 1);
	if (fake_driver_current->on_interrupt)
		fake_driver_current->on_interrupt(fake_driver_current->data);
}

int virtio_device_call_fd(struct virtio_device *dev, unsigned int index)
{
	(void)dev;
	return fake_driver_current->call_fd[index];
}

void fake_driver_init(struct fake_driver *drv)
{
	memset(drv, 0, sizeof(*drv));
	assert_int_equal(guest_memory_create(&drv->mem, FAKE_RAM, 1ull << 31, NULL), 0);
	drv->next_gpa = 4096;
	for (unsigned int i = 0; i < VIRTIO_DEVICE_MAX_QUEUES; i++) {
		drv->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		drv->call_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	fake_driver_current = drv;
}

void fake_driver_release(struct fake_driver *drv)
{
	if (drv->dev)
		drv->dev->ops->destroy(drv->dev);
	for (unsigned int i = 0; i < VIRTIO_DEVICE_MAX_QUEUES; i++) {
		close(drv->kick_fd[i]);
		close(drv->call_fd[i]);
	}
	guest_memory_release(&drv->mem);
}

uint64_t fake_driver_alloc(struct fake_driver *drv, size_t len)
{
	uint64_t gpa = drv->next_gpa;

	drv->next_gpa += (len + 4095) & ~4095ull;
	assert_true(drv->next_gpa <= FAKE_RAM);
	return gpa;
}

void *fake_driver_ptr(struct fake_driver *drv, uint64_t gpa, size_t len)
{
	void *p = guest_memory_ptr(&drv->mem, gpa, len);

	assert_non_null(p);
	return p;
}

int fake_driver_start(struct fake_driver *drv, struct virtio_device *dev)
{
	drv->dev = dev;
	dev->features = dev->offered_features & ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	for (unsigned int i = 0; i < dev->ops->num_queues; i++) {
		struct fake_queue *q = &drv->queues[i];
		struct virtqueue *vq = &dev->queues[i];

		*q = (struct fake_queue){ .vq = vq, .size = FAKE_QUEUE_SIZE };
		q->desc = fake_driver_alloc(drv, 16 * FAKE_QUEUE_SIZE);
		q->avail = fake_driver_alloc(drv, 6 + 2 * FAKE_QUEUE_SIZE);
		q->used = fake_driver_alloc(drv, 6 + 8 * FAKE_QUEUE_SIZE);
		vq->size = FAKE_QUEUE_SIZE;
		vq->max_size = dev->ops->queue_max_size;
		vq->desc = q->desc;
		vq->avail = q->avail;
		vq->used = q->used;
		vq->event_idx = false;
		assert_int_equal(virtqueue_start(vq, &drv->mem), 0);
	}
	dev->active = true;
	return dev->ops->activate ? dev->ops->activate(dev) : 0;
}

void fake_driver_reset(struct fake_driver *drv)
{
	drv->dev->active = false;
	drv->dev->ops->reset(drv->dev);
	for (unsigned int i = 0; i < drv->dev->ops->num_queues; i++)
		virtqueue_stop(&drv->dev->queues[i]);
}

uint16_t fake_driver_add(struct fake_driver *drv, unsigned int queue, const struct fake_buffer *bufs,
			 size_t count)
{
	struct fake_queue *q = &drv->queues[queue];
	struct vring_desc *desc = fake_driver_ptr(drv, q->desc, 16ull * q->size);
	struct vring_avail *avail = fake_driver_ptr(drv, q->avail, 6 + 2ull * q->size);
	const uint16_t head = q->next_desc;

	for (size_t i = 0; i < count; i++) {
		struct vring_desc *d = &desc[q->next_desc];

		q->next_desc = (uint16_t)((q->next_desc + 1) % q->size);
		d->addr = bufs[i].gpa;
		d->len = bufs[i].len;
		d->flags = (bufs[i].writable ? VRING_DESC_F_WRITE : 0) |
			   (i + 1 < count ? VRING_DESC_F_NEXT : 0);
		d->next = q->next_desc;
	}
	avail->ring[q->avail_idx % q->size] = head;
	__atomic_store_n(&avail->idx, ++q->avail_idx, __ATOMIC_RELEASE);
	return head;
}

bool fake_driver_used(struct fake_driver *drv, unsigned int queue, uint16_t *head, uint32_t *len)
{
	struct fake_queue *q = &drv->queues[queue];
	struct vring_used *used = fake_driver_ptr(drv, q->used, 6 + 8ull * q->size);
	struct vring_used_elem *e = &used->ring[q->used_seen % q->size];

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	q->used_seen++;
	/* used_event, behind the avail ring's last entry: the driver wants to hear of the next. */
	if (q->vq->event_idx) {
		struct vring_avail *avail = fake_driver_ptr(drv, q->avail, 6 + 2ull * q->size);

		avail->ring[q->size] = q->used_seen;
	}
	*head = (uint16_t)e->id;
	*len = e->len;
	return true;
}

bool fake_driver_wants_kick(struct fake_driver *drv, unsigned int queue)
{
	struct fake_queue *q = &drv->queues[queue];
	const struct vring_used *used = fake_driver_ptr(drv, q->used, 6 + 8ull * q->size);
	const __virtio16 *event = (const __virtio16 *)&used->ring[q->size];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->vq->event_idx)
		return !(used->flags & VRING_USED_F_NO_NOTIFY);
	return vring_need_event(*event, q->avail_idx, (uint16_t)(q->avail_idx - 1));
}

void fake_driver_kick(struct fake_driver *drv, unsigned int queue)
{
	drv->dev->ops->queue_notify(drv->dev, queue);
}

static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

struct event_loop *fake_loop_create(void)
{
	struct event_loop *loop = event_loop_create(&fake_lock, NULL);

	assert_non_null(loop);
	/* From now on each event_loop_run() is one round. */
	event_loop_stop(loop);
	return loop;
}

void fake_loop_run(struct event_loop *loop)
{
	for (int i = 0; i < 16; i++)
		assert_int_equal(event_loop_run(loop), 0);
}
