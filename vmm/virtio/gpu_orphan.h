/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_GPU_ORPHAN_H
#define VMM_VIRTIO_GPU_ORPHAN_H

/* A virtio-gpu device whose worker is gone: it answers everything, and gives nothing. */

#include <stdint.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/virtio_device.h"

struct gpu_orphan {
	struct virtio_device *dev; /* borrowed */
	struct event_loop *loop;   /* borrowed */
	struct event_source kick_src[2];
	struct virtq_chain chain;
};

/**
 * gpu_orphan_start() - take the queues over
 * @heads: for each queue the chains that the worker had, and @counts of them
 */
void gpu_orphan_start(struct gpu_orphan *orphan, struct virtio_device *dev,
		      struct event_loop *loop, uint16_t *const heads[2],
		      const unsigned int counts[2]);
/** gpu_orphan_stop() - before a reset ends, and before @dev goes; harmless when not started */
void gpu_orphan_stop(struct gpu_orphan *orphan);

#endif
