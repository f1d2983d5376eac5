/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/virtio_device.h"

#include <linux/virtio_config.h>

void virtio_device_init(struct virtio_device *dev, const struct virtio_device_ops *ops,
			const struct guest_memory *mem)
{
	dev->ops = ops;
	dev->mem = mem;
	dev->offered_features = ops->features | (1ull << VIRTIO_F_VERSION_1);
}
