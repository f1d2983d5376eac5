/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

/* Bytes for one request. Up to 256, getrandom() is neither interrupted nor short. */
#define RNG_MAX_BYTES 256u

static void rng_queue_notify(struct virtio_device *dev, unsigned int index)
{
	struct virtqueue *vq = &dev->queues[index];
	uint8_t bytes[RNG_MAX_BYTES];
	struct virtq_chain chain;
	int r = 0;

	/* No more than the queue holds: the driver refills it only after our interrupt. */
	for (unsigned int i = 0; i < vq->size; i++) {
		size_t len;

		r = virtqueue_pop_chain(vq, &chain);
		if (r == 0 && virtqueue_enable_kicks(vq))
			continue;
		if (r != 1)
			break;
		len = chain_writable(&chain) < sizeof(bytes) ? chain_writable(&chain) : sizeof(bytes);
		if (getrandom(bytes, len, 0) != (ssize_t)len)
			len = 0;
		virtqueue_push(vq, chain.head, (uint32_t)chain_write(&chain, bytes, len));
	}
	explicit_bzero(bytes, sizeof(bytes));
	virtio_device_notify_queue(dev, index);
	if (r < 0)
		virtio_device_needs_reset(dev, "malformed chain in the request queue");
}

static int rng_activate(struct virtio_device *dev)
{
	return dev->queues[0].ready ? 0 : -EINVAL;
}

static void rng_reset(struct virtio_device *dev)
{
	(void)dev; /* no chain outlives rng_queue_notify() */
}

static void rng_destroy(struct virtio_device *dev)
{
	free(dev);
}

static const struct virtio_device_ops rng_ops = {
	.name = "rng",
	.device_id = VIRTIO_ID_RNG,
	.num_queues = 1,
	.queue_max_size = 64,
	.features = 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX,
	.activate = rng_activate,
	.queue_notify = rng_queue_notify,
	.reset = rng_reset,
	.destroy = rng_destroy,
};

struct virtio_device *rng_create(const struct guest_memory *mem, struct error **err)
{
	struct virtio_device *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		error_set(err, ENOMEM, "virtio-rng");
		return NULL;
	}
	virtio_device_init(dev, &rng_ops, mem);
	return dev;
}
