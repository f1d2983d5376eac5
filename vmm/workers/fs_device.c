/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_device.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "vmm/workers/fs_server.h"
#include "vmm/workers/vhu.h"

/* Queue 0 is the high-priority one, for FORGET and INTERRUPT; requests come on the others. */
#define FS_NUM_QUEUES 9

struct fs_device {
	struct vhu *vhu; /* owned */
	struct fs_server *server;
	struct fs_request request;
};

static void fs_device_kick(void *data, struct vhu *vhu, unsigned int index)
{
	struct fs_device *dev = data;
	struct fs_request *r = &dev->request;
	int ret;

	while ((ret = virtqueue_pop_chain(vhu_queue(vhu, index), &r->chain)) == 1) {
		if (fs_request_begin(r) == 0)
			fs_server_handle(dev->server, r);
		vhu_push(vhu, index, r->chain.head, (uint32_t)r->reply_len);
	}
	if (ret < 0)
		vhu_queue_broken(vhu, index, "a malformed descriptor chain");
}

static const struct vhu_ops fs_device_ops = {
	.name = "krun-gpu-fs",
	.num_queues = FS_NUM_QUEUES,
	.queue_kick = fs_device_kick,
};

struct fs_device *fs_device_create(int sock, struct fs_server *server, struct error **err)
{
	struct fs_device *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		error_set(err, ENOMEM, "cannot make the virtio-fs device");
		return NULL;
	}
	dev->server = server;
	dev->vhu = vhu_create(sock, &fs_device_ops, dev, err);
	if (!dev->vhu) {
		free(dev);
		return NULL;
	}
	return dev;
}

void fs_device_free(struct fs_device *dev)
{
	if (dev)
		vhu_free(dev->vhu);
	free(dev);
}

int fs_device_run(struct fs_device *dev)
{
	return vhu_run(dev->vhu);
}
