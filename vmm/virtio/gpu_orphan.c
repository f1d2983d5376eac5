/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A guest's process that waits for an answer of its GPU cannot even be killed. So each command is
 * answered: with an error, which the guest's driver passes on or logs; but what gives something up
 * is granted, for it is gone already. Fences pass with their answers. Memory of the window stays
 * mapped until the device is reset: taken from the guest, its next access would end the machine.
 */
#include "vmm/virtio/gpu_orphan.h"

#include <endian.h>
#include <linux/virtio_gpu.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"

#define GPU_CONTROL 0

static uint32_t orphan_answer(uint32_t type)
{
	switch (type) {
	case VIRTIO_GPU_CMD_RESOURCE_UNREF:
	case VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB:
	case VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE:
	case VIRTIO_GPU_CMD_CTX_DESTROY:
		return VIRTIO_GPU_RESP_OK_NODATA;
	default:
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
}

static void orphan_return(struct gpu_orphan *orphan, unsigned int index)
{
	const uint32_t echoed = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	struct virtq_chain *chain = &orphan->chain;
	struct virtio_gpu_ctrl_hdr req = { 0 }, resp = { 0 };
	uint32_t len = 0;

	if (index == GPU_CONTROL) {
		chain_read(chain, &req, sizeof(req));
		resp.type = htole32(orphan_answer(le32toh(req.type)));
		if (le32toh(req.flags) & VIRTIO_GPU_FLAG_FENCE) {
			resp.flags = req.flags & htole32(echoed);
			resp.fence_id = req.fence_id;
			resp.ctx_id = req.ctx_id;
			resp.ring_idx = req.ring_idx;
		}
		len = (uint32_t)chain_write(chain, &resp, sizeof(resp));
	}
	virtqueue_push(&orphan->dev->queues[index], chain->head, len);
}

static void orphan_interrupt(struct gpu_orphan *orphan, unsigned int index)
{
	if (virtqueue_should_notify(&orphan->dev->queues[index]))
		eventfd_write(virtio_device_call_fd(orphan->dev, index), 1);
}

static void orphan_serve(struct gpu_orphan *orphan, unsigned int index)
{
	struct virtqueue *vq = &orphan->dev->queues[index];
	int r;

	do {
		while ((r = virtqueue_pop_chain(vq, &orphan->chain)) > 0)
			orphan_return(orphan, index);
	} while (!r && virtqueue_enable_kicks(vq));
	if (r < 0)
		virtio_device_needs_reset(orphan->dev, "malformed descriptor chain");
	orphan_interrupt(orphan, index);
}

static void orphan_on_kick(struct gpu_orphan *orphan, unsigned int index)
{
	eventfd_t count;

	if (eventfd_read(virtio_device_kick_fd(orphan->dev, index), &count) == 0)
		orphan_serve(orphan, index);
}

static void orphan_on_control(void *data, uint32_t events)
{
	(void)events;
	orphan_on_kick(data, 0);
}

static void orphan_on_cursor(void *data, uint32_t events)
{
	(void)events;
	orphan_on_kick(data, 1);
}

void gpu_orphan_start(struct gpu_orphan *orphan, struct virtio_device *dev,
		      struct event_loop *loop, uint16_t *const heads[2],
		      const unsigned int counts[2])
{
	static const event_fn on_kick[2] = { orphan_on_control, orphan_on_cursor };

	orphan->dev = dev;
	orphan->loop = loop;
	for (unsigned int i = 0; i < 2; i++) {
		struct virtqueue *vq = &dev->queues[i];

		if (!vq->ready)
			continue;
		for (unsigned int n = 0; n < counts[i]; n++)
			if (virtqueue_chain_at(vq, heads[i][n], &orphan->chain) == 0)
				orphan_return(orphan, i);
		if (event_loop_add(loop, &orphan->kick_src[i], virtio_device_kick_fd(dev, i),
				   EPOLLIN, on_kick[i], orphan) < 0)
			log_error("the GPU's queue %u cannot be watched", i);
		orphan_serve(orphan, i);
		/* Whether the driver was told of what the worker returned last is not known. */
		eventfd_write(virtio_device_call_fd(dev, i), 1);
	}
}

void gpu_orphan_stop(struct gpu_orphan *orphan)
{
	if (!orphan->loop)
		return;
	for (unsigned int i = 0; i < 2; i++)
		event_loop_remove(orphan->loop, &orphan->kick_src[i]);
}
