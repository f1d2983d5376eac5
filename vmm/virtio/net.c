/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net: the device (virtio 1.2, 5.1). The queues are in net_rx.c and net_tx.c.
 *
 * Theory of operation: a thread of its own moves the packets between the queues and the tap, so
 * that neither waits for what the vCPUs do to other devices. Kicks go to it by ioeventfd, and its
 * interrupts to the guest by irqfd, past the machine's lock. A packet is never copied here: the
 * tap reads and writes guest memory, and computes or leaves out checksums and segmentation as its
 * virtio header says.
 *
 * When the driver gives no buffers, the tap is not read, and drops what its queue does not hold, as
 * a network card does; when the tap takes no packets, the tx queue is left alone.
 */
#include "vmm/virtio/net_priv.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"

#define NET_FEATURES                                                                          \
	(1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX |              \
	 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_STATUS |  \
	 1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_CSUM |                         \
	 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |                    \
	 1ull << VIRTIO_NET_F_HOST_ECN | 1ull << VIRTIO_NET_F_GUEST_CSUM |                    \
	 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |                  \
	 1ull << VIRTIO_NET_F_GUEST_ECN)
/* Only where the host's kernel has them, 6.2 and later. */
#define NET_FEATURES_USO                                                      \
	(1ull << VIRTIO_NET_F_HOST_USO | 1ull << VIRTIO_NET_F_GUEST_USO4 |    \
	 1ull << VIRTIO_NET_F_GUEST_USO6)

static struct net *net_of(struct virtio_device *dev)
{
	return (struct net *)dev;
}

void net_broken(struct net *net, const char *why)
{
	net->broken = why;
	net->live = false;
	net_watch_tap(net);
	eventfd_write(net->broken_fd, 1);
}

void net_notify(struct net *net, unsigned int queue)
{
	if (virtqueue_should_notify(&net->dev.queues[queue]))
		eventfd_write(virtio_device_call_fd(&net->dev, queue), 1);
}

void net_again(struct net *net, unsigned int queue)
{
	eventfd_write(virtio_device_kick_fd(&net->dev, queue), 1);
}

void net_watch_tap(struct net *net)
{
	uint32_t events = 0;

	if (net->tap < 0)
		return;
	if (net->live && !net->rx_starving)
		events |= EPOLLIN;
	if (net->live && net->tx_blocked)
		events |= EPOLLOUT;
	event_loop_set(net->loop, &net->tap_src, events);
}

/* On the device's thread, with its lock. */

static void net_on_tap(void *data, uint32_t events)
{
	struct net *net = data;

	if (!net->live)
		return;
	/* The tap's interface was removed: nothing comes or goes any more. */
	if (events & EPOLLERR) {
		net->rx_starving = true;
		net->tx_blocked = false;
		events = 0;
	}
	if (events & EPOLLOUT) {
		net->tx_blocked = false;
		net_tx_run(net);
	}
	if (net->live && events & EPOLLIN)
		net_rx_run(net);
	net_watch_tap(net);
}

static void net_on_rx_kick(void *data, uint32_t events)
{
	struct net *net = data;
	eventfd_t count;

	(void)events;
	eventfd_read(net->kick_src[NET_QUEUE_RX].fd, &count);
	if (!net->live)
		return;
	net->rx_starving = false;
	net_rx_run(net);
	net_watch_tap(net);
}

static void net_on_tx_kick(void *data, uint32_t events)
{
	struct net *net = data;
	eventfd_t count;

	(void)events;
	eventfd_read(net->kick_src[NET_QUEUE_TX].fd, &count);
	if (!net->live || net->tx_blocked)
		return;
	net_tx_run(net);
	net_watch_tap(net);
}

static void *net_thread(void *data)
{
	struct net *net = data;

	event_loop_run(net->loop);
	return NULL;
}

/* On the machine's loop, with its lock: only there may the device's status change. */
static void net_on_broken(void *data, uint32_t events)
{
	struct net *net = data;
	const char *why;
	eventfd_t count;

	(void)events;
	eventfd_read(net->broken_fd, &count);
	pthread_mutex_lock(&net->lock);
	why = net->broken;
	pthread_mutex_unlock(&net->lock);
	if (why)
		virtio_device_needs_reset(&net->dev, why);
}

/* On a vCPU's thread, with the machine's lock. */

static int net_activate(struct virtio_device *dev)
{
	static const event_fn kicked[] = { net_on_rx_kick, net_on_tx_kick };
	struct net *net = net_of(dev);
	int r = 0;

	for (unsigned int i = 0; i < NET_NUM_QUEUES; i++)
		if (!dev->queues[i].ready)
			return -EINVAL;
	pthread_mutex_lock(&net->lock);
	if (net->tap >= 0)
		r = net_tap_set_offload(net->tap, dev->features);
	for (unsigned int i = 0; i < NET_NUM_QUEUES && r == 0; i++)
		r = event_loop_add(net->loop, &net->kick_src[i], virtio_device_kick_fd(dev, i),
				   EPOLLIN, kicked[i], net);
	net->live = r == 0;
	net->rx_starving = net->tx_blocked = false;
	net_watch_tap(net);
	pthread_mutex_unlock(&net->lock);
	return r;
}

static void net_reset(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	/* The thread is between two callbacks when the lock is had. */
	pthread_mutex_lock(&net->lock);
	net->live = false;
	net->broken = NULL;
	for (unsigned int i = 0; i < NET_NUM_QUEUES; i++)
		event_loop_remove(net->loop, &net->kick_src[i]);
	net_watch_tap(net);
	net_rx_reset(net);
	pthread_mutex_unlock(&net->lock);
}

static void net_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, (const uint8_t *)&net_of(dev)->config + offset, len);
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	if (net->started) {
		event_loop_stop(net->loop);
		pthread_join(net->thread, NULL);
	}
	event_loop_remove(net->machine_loop, &net->broken_src);
	if (net->broken_fd >= 0)
		close(net->broken_fd);
	event_loop_free(net->loop);
	pthread_mutex_destroy(&net->lock);
	if (net->tap >= 0)
		close(net->tap);
	free(net);
}

static const struct virtio_device_ops net_ops = {
	.name = "net",
	.device_id = VIRTIO_ID_NET,
	.num_queues = NET_NUM_QUEUES,
	.queue_max_size = 256,
	/* Up to and with mtu: what follows belongs to features that are not offered. */
	.config_size = offsetof(struct virtio_net_config, speed),
	.features = NET_FEATURES,
	.config_read = net_config_read,
	.activate = net_activate,
	.reset = net_reset,
	.destroy = net_destroy,
};

struct virtio_device *net_create(const struct guest_memory *mem, struct event_loop *loop, int tap,
				 const uint8_t *mac, uint32_t mtu, struct error **err)
{
	struct net *net = calloc(1, sizeof(*net));
	int r;

	if (!net) {
		if (tap >= 0)
			close(tap);
		error_set(err, ENOMEM, "virtio-net");
		return NULL;
	}
	virtio_device_init(&net->dev, &net_ops, mem);
	net->dev.external_queues = true;
	net->machine_loop = loop;
	net->tap = tap;
	memcpy(net->config.mac, mac, sizeof(net->config.mac));
	net->config.status = htole16(tap < 0 ? 0 : VIRTIO_NET_S_LINK_UP);
	net->config.mtu = htole16((uint16_t)mtu);
	pthread_mutex_init(&net->lock, NULL);
	net->broken_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	net->loop = event_loop_create(&net->lock, NULL);
	r = net->broken_fd < 0 || !net->loop ? -ENOMEM : 0;
	if (r == 0 && tap >= 0 && net_tap_set_offload(tap, NET_FEATURES | NET_FEATURES_USO) == 0)
		net->dev.offered_features |= NET_FEATURES_USO;
	if (r == 0 && tap >= 0)
		r = net_tap_set_offload(tap, 0);
	if (r == 0)
		r = event_loop_add(loop, &net->broken_src, net->broken_fd, EPOLLIN, net_on_broken,
				   net);
	if (r == 0 && tap >= 0)
		r = event_loop_add(net->loop, &net->tap_src, tap, 0, net_on_tap, net);
	if (r < 0) {
		error_set(err, -r, "cannot make a network device of a tap");
		net_destroy(&net->dev);
		return NULL;
	}
	return &net->dev;
}

int net_start(struct virtio_device *dev, struct error **err)
{
	struct net *net = net_of(dev);
	const int r = pthread_create(&net->thread, NULL, net_thread, net);

	if (r)
		return error_set(err, r, "cannot start the network device's thread");
	net->started = true;
	return 0;
}

static void net_set_link(struct net *net, bool up)
{
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
	virtio_device_notify_config(&net->dev);
}

int net_plug(struct virtio_device *dev, int tap)
{
	struct net *net = net_of(dev);
	int r = -EBUSY;

	pthread_mutex_lock(&net->lock);
	if (net->tap < 0)
		r = net_tap_set_offload(tap, net->live ? dev->features : 0);
	if (r == 0)
		r = event_loop_add(net->loop, &net->tap_src, tap, 0, net_on_tap, net);
	if (r == 0) {
		net->tap = tap;
		net->rx_starving = net->tx_blocked = false;
		net_watch_tap(net);
	}
	pthread_mutex_unlock(&net->lock);
	if (r == 0)
		net_set_link(net, true);
	else
		close(tap);
	return r;
}

void net_unplug(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	pthread_mutex_lock(&net->lock);
	event_loop_remove(net->loop, &net->tap_src);
	if (net->tap >= 0)
		close(net->tap);
	net->tap = -1;
	/* What the driver still sends is used up; see tx_one(). */
	if (net->live && net->tx_blocked)
		net_again(net, NET_QUEUE_TX);
	net->tx_blocked = false;
	pthread_mutex_unlock(&net->lock);
	net_set_link(net, false);
}
