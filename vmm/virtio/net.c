/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net: the device (virtio 1.2, 5.1). The queues are in net_rx.c, net_tx.c and net_ctrl.c.
 *
 * Theory of operation: for each queue pair a thread of its own moves the packets between the queues
 * and the tap, so that neither waits for what the vCPUs do to other devices. Kicks go to it by
 * ioeventfd, and its interrupts to the guest by irqfd, past the machine's lock. All pairs send; the
 * first alone receives: on virtio-mmio all queues share one interrupt, and so one of the guest's
 * processors. A packet is never copied here: the
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

void net_broken(struct net_pair *p, const char *why)
{
	p->broken = why;
	p->live = false;
	net_watch_tap(p);
	eventfd_write(p->net->broken_fd, 1);
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

void net_watch_tap(struct net_pair *p)
{
	uint32_t events = 0;

	if (p->tap < 0)
		return;
	/* The pairs' taps are one: the first pair reads it. */
	if (p->live && !p->index && !p->rx_starving)
		events |= EPOLLIN;
	if (p->live && p->tx_blocked)
		events |= EPOLLOUT;
	event_loop_set(p->loop, &p->tap_src, events);
}

/* On a pair's thread, with its lock. */

static void net_on_tap(void *data, uint32_t events)
{
	struct net_pair *p = data;

	if (!p->live)
		return;
	/* The tap's interface was removed: nothing comes or goes any more. */
	if (events & EPOLLERR) {
		p->rx_starving = true;
		p->tx_blocked = false;
		events = 0;
	}
	if (events & EPOLLOUT) {
		p->tx_blocked = false;
		net_tx_run(p);
	}
	if (p->live && events & EPOLLIN)
		net_rx_run(p);
	net_watch_tap(p);
}

static void net_on_rx_kick(void *data, uint32_t events)
{
	struct net_pair *p = data;
	eventfd_t count;

	(void)events;
	eventfd_read(p->rx_src.fd, &count);
	if (!p->live || p->index)
		return;
	p->rx_starving = false;
	net_rx_run(p);
	net_watch_tap(p);
}

static void net_on_tx_kick(void *data, uint32_t events)
{
	struct net_pair *p = data;
	eventfd_t count;

	(void)events;
	eventfd_read(p->tx_src.fd, &count);
	if (!p->live || p->tx_blocked)
		return;
	net_tx_run(p);
	net_watch_tap(p);
}

static void net_on_ctrl_kick(void *data, uint32_t events)
{
	struct net *net = data;
	eventfd_t count;

	(void)events;
	eventfd_read(net->ctrl_src.fd, &count);
	if (net->pairs[0].live)
		net_ctrl_run(net);
}

static void *net_thread(void *data)
{
	struct net_pair *p = data;

	event_loop_run(p->loop);
	return NULL;
}

/* On the machine's loop, with its lock: only there may the device's status change. */
static void net_on_broken(void *data, uint32_t events)
{
	struct net *net = data;
	eventfd_t count;

	(void)events;
	eventfd_read(net->broken_fd, &count);
	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];
		const char *why;

		pthread_mutex_lock(&p->lock);
		why = p->broken;
		p->broken = NULL;
		pthread_mutex_unlock(&p->lock);
		if (why)
			virtio_device_needs_reset(&net->dev, why);
	}
}

/* On a vCPU's thread, with the machine's lock. */

/* A pair lives when the driver has set up both of its queues. */
static int pair_activate(struct net_pair *p)
{
	struct virtio_device *dev = &p->net->dev;
	const unsigned int rx = NET_QUEUE_RX(p->index), tx = NET_QUEUE_TX(p->index);
	int r;

	if (!dev->queues[rx].ready || !dev->queues[tx].ready)
		return p->index ? 0 : -EINVAL;
	r = event_loop_add(p->loop, &p->rx_src, virtio_device_kick_fd(dev, rx), EPOLLIN,
			   net_on_rx_kick, p);
	if (r == 0)
		r = event_loop_add(p->loop, &p->tx_src, virtio_device_kick_fd(dev, tx), EPOLLIN,
				   net_on_tx_kick, p);
	p->live = r == 0;
	p->rx_starving = p->tx_blocked = false;
	net_watch_tap(p);
	return r;
}

static int net_activate(struct virtio_device *dev)
{
	struct net *net = net_of(dev);
	const unsigned int ctrl = net_ctrl_index(net);
	const unsigned int pairs = net_has(net, VIRTIO_NET_F_MQ) ? net->num_pairs : 1;
	int r = 0;

	for (unsigned int i = 0; i < pairs && r == 0; i++) {
		struct net_pair *p = &net->pairs[i];

		pthread_mutex_lock(&p->lock);
		if (!i && p->tap >= 0)
			r = net_tap_set_offload(p->tap, dev->features);
		if (r == 0)
			r = pair_activate(p);
		if (r == 0 && !i && ctrl && dev->queues[ctrl].ready)
			r = event_loop_add(p->loop, &net->ctrl_src,
					   virtio_device_kick_fd(dev, ctrl), EPOLLIN,
					   net_on_ctrl_kick, net);
		pthread_mutex_unlock(&p->lock);
	}
	return r;
}

static void net_reset(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];

		/* The thread is between two callbacks when the lock is had. */
		pthread_mutex_lock(&p->lock);
		p->live = false;
		p->broken = NULL;
		event_loop_remove(p->loop, &p->rx_src);
		event_loop_remove(p->loop, &p->tx_src);
		if (!i)
			event_loop_remove(p->loop, &net->ctrl_src);
		net_watch_tap(p);
		net_rx_reset(p);
		pthread_mutex_unlock(&p->lock);
	}
}

static void net_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, (const uint8_t *)&net_of(dev)->config + offset, len);
}

static void pair_release(struct net_pair *p)
{
	if (p->started) {
		event_loop_stop(p->loop);
		pthread_join(p->thread, NULL);
	}
	event_loop_free(p->loop);
	pthread_mutex_destroy(&p->lock);
	if (p->tap >= 0)
		close(p->tap);
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++)
		pair_release(&net->pairs[i]);
	event_loop_remove(net->machine_loop, &net->broken_src);
	if (net->broken_fd >= 0)
		close(net->broken_fd);
	free(net);
}

/* The queues are a matter of the number of pairs: a table for each. */
#define NET_OPS(queues)                                                                       \
	{                                                                                     \
		.name = "net", .device_id = VIRTIO_ID_NET, .num_queues = (queues),            \
		.queue_max_size = 256,                                                        \
		/* Up to and with mtu: what follows belongs to features not offered. */       \
		.config_size = offsetof(struct virtio_net_config, speed),                     \
		.features = NET_FEATURES, .config_read = net_config_read,                     \
		.activate = net_activate, .reset = net_reset, .destroy = net_destroy,         \
	}

static const struct virtio_device_ops net_ops[NET_PAIRS_MAX] = {
	NET_OPS(2), NET_OPS(5), NET_OPS(7), NET_OPS(9),
};

static int pair_init(struct net *net, unsigned int index)
{
	struct net_pair *p = &net->pairs[index];

	p->net = net;
	p->index = index;
	p->tap = -1;
	pthread_mutex_init(&p->lock, NULL);
	p->loop = event_loop_create(&p->lock, NULL);
	return p->loop ? 0 : -ENOMEM;
}

/* Every pair writes to the tap. With the pair's lock, or before there is a thread. */
static int pair_plug(struct net_pair *p, int tap)
{
	const int fd = p->index ? dup(tap) : tap;
	int r = fd < 0 ? -errno : event_loop_add(p->loop, &p->tap_src, fd, 0, net_on_tap, p);

	if (r < 0) {
		if (fd >= 0 && p->index)
			close(fd);
		return r;
	}
	p->tap = fd;
	p->rx_starving = p->tx_blocked = false;
	net_watch_tap(p);
	return 0;
}

static void pair_unplug(struct net_pair *p)
{
	event_loop_remove(p->loop, &p->tap_src);
	if (p->tap >= 0)
		close(p->tap);
	p->tap = -1;
	/* What the driver still sends is used up; see tx_one(). */
	if (p->live && p->tx_blocked)
		net_again(p->net, NET_QUEUE_TX(p->index));
	p->tx_blocked = false;
}

static int net_set_up(struct net *net, unsigned int pairs, int tap)
{
	int r = 0;

	while (net->num_pairs < pairs && r == 0)
		r = pair_init(net, net->num_pairs++);
	net->broken_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0)
		r = net->broken_fd < 0 ? -errno :
					 event_loop_add(net->machine_loop, &net->broken_src,
							net->broken_fd, EPOLLIN, net_on_broken,
							net);
	if (r < 0 || tap < 0)
		return r;
	if (net_tap_set_offload(tap, NET_FEATURES | NET_FEATURES_USO) == 0)
		net->dev.offered_features |= NET_FEATURES_USO;
	r = net_tap_set_offload(tap, 0);
	for (unsigned int i = pairs; i-- > 0 && r == 0;)
		r = pair_plug(&net->pairs[i], tap); /* the first one last: it takes the tap itself */
	return r;
}

struct virtio_device *net_create(const struct guest_memory *mem, struct event_loop *loop, int tap,
				 const uint8_t *mac, uint32_t mtu, unsigned int pairs,
				 struct error **err)
{
	struct net *net = calloc(1, sizeof(*net));
	int r = -ENOMEM;

	if (net) {
		virtio_device_init(&net->dev, &net_ops[pairs - 1], mem);
		net->dev.external_queues = true;
		if (pairs > 1)
			net->dev.offered_features |= 1ull << VIRTIO_NET_F_MQ |
						     1ull << VIRTIO_NET_F_CTRL_VQ;
		net->machine_loop = loop;
		memcpy(net->config.mac, mac, sizeof(net->config.mac));
		net->config.status = htole16(tap < 0 ? 0 : VIRTIO_NET_S_LINK_UP);
		net->config.max_virtqueue_pairs = htole16((uint16_t)pairs);
		net->config.mtu = htole16((uint16_t)mtu);
		r = net_set_up(net, pairs, tap);
	}
	if (r == 0)
		return &net->dev;
	error_set(err, -r, "cannot make a network device of a tap");
	if (tap >= 0 && (!net || net->pairs[0].tap != tap))
		close(tap);
	if (net)
		net_destroy(&net->dev);
	return NULL;
}

int net_start(struct virtio_device *dev, struct error **err)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];
		const int r = pthread_create(&p->thread, NULL, net_thread, p);

		if (r)
			return error_set(err, r, "cannot start the network device's threads");
		p->started = true;
	}
	return 0;
}

static void net_set_link(struct net *net, bool up)
{
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
	virtio_device_notify_config(&net->dev);
}

/* With the machine's lock, as net_activate(): the device does not come to life meanwhile. */
int net_plug(struct virtio_device *dev, int tap)
{
	struct net *net = net_of(dev);
	int r = net->pairs[0].tap < 0 ? 0 : -EBUSY;

	if (r == 0)
		r = net_tap_set_offload(tap, dev->active ? dev->features : 0);
	for (unsigned int i = net->num_pairs; i-- > 0 && r == 0;) {
		struct net_pair *p = &net->pairs[i];

		pthread_mutex_lock(&p->lock);
		r = pair_plug(p, tap);
		pthread_mutex_unlock(&p->lock);
	}
	if (r == 0) {
		net_set_link(net, true);
		return 0;
	}
	close(tap);
	if (r != -EBUSY)
		net_unplug(dev);
	return r;
}

void net_unplug(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];

		pthread_mutex_lock(&p->lock);
		pair_unplug(p);
		pthread_mutex_unlock(&p->lock);
	}
	net_set_link(net, false);
}
