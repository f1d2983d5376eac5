/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest kernel's console (hvc0). It is for whoever looks into why a guest did not boot, never
 * for a container's streams: so it may lose bytes, but must not block the event loop or fill a
 * disk. The receive queue's buffers are kept and never used.
 */
#include "vmm/virtio/console.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/last_words.h"

#define CONSOLE_CHUNK 1024u /* not above PIPE_BUF */

enum { CONSOLE_QUEUE_RX, CONSOLE_QUEUE_TX, CONSOLE_NUM_QUEUES };

struct console {
	struct virtio_device dev;
	int out_fd;	/* borrowed; -1: dropped */
	size_t written; /* of CONSOLE_MAX_BYTES */
	struct last_words *last_words; /* borrowed */
};

/* A pipe that polls writable takes PIPE_BUF bytes at once, even when it is in blocking mode. */
static bool console_can_write(const struct console *con)
{
	struct pollfd p = { .fd = con->out_fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void console_write(struct console *con, const char *text, size_t len)
{
	ssize_t n;

	if (con->out_fd < 0 || !console_can_write(con))
		return;
	n = write(con->out_fd, text, len);
	con->written += n > 0 ? (size_t)n : 0;
	if (con->written >= CONSOLE_MAX_BYTES) {
		log_warning("console: the guest has written %u MiB: the rest is dropped",
			    CONSOLE_MAX_BYTES >> 20);
		con->out_fd = -1;
	}
}

static void console_output(struct console *con, struct virtq_chain *chain)
{
	while (chain_readable(chain)) {
		char text[CONSOLE_CHUNK];
		const size_t n = chain_read(chain, text, sizeof(text));

		last_words_scan(con->last_words, text, n);
		console_write(con, text, n);
	}
}

static void console_queue_notify(struct virtio_device *dev, unsigned int index)
{
	struct console *con = (struct console *)dev;
	struct virtqueue *vq = &dev->queues[index];
	struct virtq_chain chain;
	int r = 0;

	if (index != CONSOLE_QUEUE_TX)
		return;
	/* No more than the queue holds: the driver refills it only after our interrupt. */
	for (unsigned int i = 0; i < vq->size; i++) {
		r = virtqueue_pop_chain(vq, &chain);
		if (r == 0 && virtqueue_enable_kicks(vq))
			continue;
		if (r != 1)
			break;
		console_output(con, &chain);
		virtqueue_push(vq, chain.head, 0);
	}
	virtio_device_notify_queue(dev, index);
	if (r < 0)
		virtio_device_needs_reset(dev, "malformed chain in the transmit queue");
}

static void console_config_read(struct virtio_device *dev, uint32_t offset, void *buf,
				uint32_t len)
{
	/* The fields are valid with features only that are not offered; one port is what there is. */
	const struct virtio_console_config config = { .max_nr_ports = htole32(1) };

	(void)dev;
	memcpy(buf, (const uint8_t *)&config + offset, len);
}

static int console_activate(struct virtio_device *dev)
{
	return dev->queues[CONSOLE_QUEUE_TX].ready ? 0 : -EINVAL;
}

static void console_reset(struct virtio_device *dev)
{
	(void)dev; /* no chain outlives console_queue_notify() */
}

static void console_destroy(struct virtio_device *dev)
{
	free(dev);
}

static const struct virtio_device_ops console_ops = {
	.name = "console",
	.device_id = VIRTIO_ID_CONSOLE,
	.num_queues = CONSOLE_NUM_QUEUES,
	.queue_max_size = 64,
	.config_size = sizeof(struct virtio_console_config),
	.features = 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX,
	.config_read = console_config_read,
	.activate = console_activate,
	.queue_notify = console_queue_notify,
	.reset = console_reset,
	.destroy = console_destroy,
};

struct virtio_device *console_create(const struct guest_memory *mem, int out_fd,
				     struct last_words *last_words, struct error **err)
{
	struct console *con = calloc(1, sizeof(*con));

	if (!con) {
		error_set(err, ENOMEM, "virtio-console");
		return NULL;
	}
	virtio_device_init(&con->dev, &console_ops, mem);
	con->out_fd = out_fd;
	con->last_words = last_words;
	return &con->dev;
}
