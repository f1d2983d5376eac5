/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net: the device (virtio 1.2, 5.1). The queues are in net_rx.c, net_tx.c and net_ctrl.c.
 *
 * Theory of operation: for each queue pair a thread of its own (net_pair.c) moves the packets between
 * the queues and a queue of the tap, so that neither waits for what the vCPUs do to other devices.
 * Kicks go to it by ioeventfd, and it interrupts the guest itself, past the machine's lock. On
 * virtio-mmio all queues share one interrupt, and so one of the guest's processors; what several
 * pairs bring is that the packets are copied in parallel. It is the tap that does it, which reads and
 * writes guest memory, and computes or leaves out checksums and segmentation as its virtio header says;
 * we do with what spills (net_rx.c).
 *
 * When the driver gives no buffers, the tap is not read, and drops what its queue does not hold, as
 * a network card does. The other way nothing holds the guest back: a tap whose send buffer nobody has
 * bounded, as ours, takes every packet at once, and what is too much is dropped by whoever comes next.
 * From one that says EAGAIN the tx queue waits.
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

#include "base/cleanup.h"
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

static void net_on_ctrl_kick(void *data, uint32_t events)
{
	struct net *net = data;
	eventfd_t count;

	(void)events;
	eventfd_read(net->ctrl_src.fd, &count);
	if (net->pairs[0].live)
		net_ctrl_run(net);
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

int net_use_pairs(struct net *net, unsigned int pairs)
{
	int r = 0;

	for (unsigned int i = 1; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];
		int e;

		pthread_mutex_lock(&p->lock);
		e = net_pair_attach(p, i < pairs);
		pthread_mutex_unlock(&p->lock);
		if (e < 0)
			r = e;
	}
	return r;
}

/* On a vCPU's thread, with the machine's lock. */

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
			r = net_pair_activate(p);
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
		if (!i)
			event_loop_remove(p->loop, &net->ctrl_src);
		net_pair_reset(p);
		pthread_mutex_unlock(&p->lock);
	}
}

static void net_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	memcpy(buf, (const uint8_t *)&net_of(dev)->config + offset, len);
}

static void net_destroy(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++)
		net_pair_release(&net->pairs[i]);
	event_loop_remove(net->machine_loop, &net->broken_src);
	if (net->broken_fd >= 0)
		close(net->broken_fd);
	free(net);
}

/*
 * The queues are a matter of the number of pairs: a table for each. Linux's buffers are of 1.5 to 4
 * KiB, so that a quarter of these entries would hold six of the longest packets, or sixteen.
 */
#define NET_OPS(queues)                                                                       \
	{                                                                                     \
		.name = "net", .device_id = VIRTIO_ID_NET, .num_queues = (queues),            \
		.queue_max_size = 1024,                                                       \
		/* Up to and with mtu: what follows belongs to features not offered. */       \
		.config_size = offsetof(struct virtio_net_config, speed),                     \
		.features = NET_FEATURES, .config_read = net_config_read,                     \
		.activate = net_activate, .reset = net_reset, .destroy = net_destroy,         \
	}

static const struct virtio_device_ops net_ops[NET_PAIRS_MAX] = {
	NET_OPS(2), NET_OPS(5), NET_OPS(7), NET_OPS(9),
};

/* Each pair takes its queue of the tap; those that are left over after a failure are closed. */
static int plug_pairs(struct net *net, const int *taps)
{
	int r = 0;

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];

		pthread_mutex_lock(&p->lock);
		if (r == 0)
			r = net_pair_plug(p, taps[i]);
		else
			close(taps[i]);
		pthread_mutex_unlock(&p->lock);
	}
	return r;
}

/* With vhost-net the rings are the kernel's. */
static int take_vhosts(struct net *net, int *vhosts)
{
	int r = 0;

	for (unsigned int i = 0; vhosts[0] >= 0 && i < net->num_pairs; i++)
		net->pairs[i].vhost = steal_fd(&vhosts[i]);
	if (net->pairs[0].vhost >= 0)
		r = net_vhost_offer(&net->pairs[0], &net->dev.offered_features);
	return r;
}

static int net_set_up(struct net *net, unsigned int pairs, int *taps, int *vhosts)
{
	int r = 0;

	while (net->num_pairs < pairs && r == 0)
		r = net_pair_init(net, net->num_pairs++);
	if (r == 0)
		r = take_vhosts(net, vhosts);
	net->broken_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0)
		r = net->broken_fd < 0 ? -errno :
					 event_loop_add(net->machine_loop, &net->broken_src,
							net->broken_fd, EPOLLIN, net_on_broken,
							net);
	if (r < 0 || taps[0] < 0)
		return r;
	if (net_tap_set_offload(taps[0], NET_FEATURES | NET_FEATURES_USO) == 0)
		net->dev.offered_features |= NET_FEATURES_USO;
	r = net_tap_set_offload(taps[0], 0);
	if (r == 0) {
		r = plug_pairs(net, taps);
		for (unsigned int i = 0; i < pairs; i++)
			taps[i] = -1;
	}
	return r;
}

struct virtio_device *net_create(const struct guest_memory *mem, struct event_loop *loop, int *taps,
				 int *vhosts, const uint8_t *mac, uint32_t mtu,
				 unsigned int pairs, struct error **err)
{
	struct net *net = calloc(1, sizeof(*net));
	int r = -ENOMEM;

	if (net) {
		virtio_device_init(&net->dev, &net_ops[pairs - 1], mem);
		net->dev.external_queues = true;
		net->dev.irqfd = vhosts[0] >= 0;
		if (pairs > 1)
			net->dev.offered_features |= 1ull << VIRTIO_NET_F_MQ |
						     1ull << VIRTIO_NET_F_CTRL_VQ;
		net->machine_loop = loop;
		memcpy(net->config.mac, mac, sizeof(net->config.mac));
		net->config.status = htole16(taps[0] < 0 ? 0 : VIRTIO_NET_S_LINK_UP);
		net->config.max_virtqueue_pairs = htole16((uint16_t)pairs);
		net->config.mtu = htole16((uint16_t)mtu);
		r = net_set_up(net, pairs, taps, vhosts);
	}
	if (r == 0)
		return &net->dev;
	error_set(err, -r, "cannot make a network device of a tap");
	if (net)
		net_destroy(&net->dev);
	return NULL;
}

int net_start(struct virtio_device *dev, struct error **err)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		const int r = net_pair_start(&net->pairs[i]);

		if (r < 0)
			return error_set(err, -r, net->pairs[i].vhost < 0 ?
					 "cannot start the network device's threads" :
					 "cannot give the network device to vhost-net");
	}
	return 0;
}

static void net_set_link(struct net *net, bool up)
{
	net->config.status = htole16(up ? VIRTIO_NET_S_LINK_UP : 0);
	virtio_device_notify_config(&net->dev);
}

/* With the machine's lock, as net_activate(): the device does not come to life meanwhile. */
int net_plug(struct virtio_device *dev, const int *taps)
{
	struct net *net = net_of(dev);
	int r = net->pairs[0].tap < 0 ? 0 : -EBUSY;

	if (r == 0)
		r = net_tap_set_offload(taps[0], dev->active ? dev->features : 0);
	if (r < 0) {
		for (unsigned int i = 0; i < net->num_pairs; i++)
			close(taps[i]);
		return r;
	}
	r = plug_pairs(net, taps);
	if (r == 0)
		net_set_link(net, true);
	else
		net_unplug(dev);
	return r;
}

void net_unplug(struct virtio_device *dev)
{
	struct net *net = net_of(dev);

	for (unsigned int i = 0; i < net->num_pairs; i++) {
		struct net_pair *p = &net->pairs[i];

		pthread_mutex_lock(&p->lock);
		net_pair_unplug(p);
		pthread_mutex_unlock(&p->lock);
	}
	net_set_link(net, false);
}
