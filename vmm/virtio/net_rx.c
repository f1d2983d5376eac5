/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, packets for the guest (virtio 1.2, 5.1.6.3 and .4).
 *
 * Theory of operation: how long the tap's next packet is shows only when it has been read. What it is
 * read into are chains of the driver's and, behind them, memory of our own, the spill; with mergeable
 * buffers what lies there is copied into more chains, for which it waits if it has to. While packets
 * are short there are few chains, as a long vector costs the host's kernel an allocation for each
 * packet; after one that spilled there are as many as the longest needs, and nothing is copied. What
 * a packet did not need stays for the next. The chains of one packet become visible to the driver
 * together.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "vmm/virtio/net_priv.h"

void net_rx_reset(struct net_pair *p)
{
	p->rx.num_buffers = p->rx.num_iov = p->rx.bytes = 0;
	p->rx.large = 0;
	net_rx_drop(p);
}

void net_rx_drop(struct net_pair *p)
{
	p->rx.packet = 0;
}

/* The longest packet that the tap can come with. */
static size_t rx_longest(const struct net *net)
{
	const bool segments = net_has(net, VIRTIO_NET_F_GUEST_TSO4) ||
			      net_has(net, VIRTIO_NET_F_GUEST_TSO6) ||
			      net_has(net, VIRTIO_NET_F_GUEST_USO4) ||
			      net_has(net, VIRTIO_NET_F_GUEST_USO6);
	const size_t mtu = le16toh(net->config.mtu);

	return NET_HDR_LEN + (segments ? NET_FRAME_MAX : mtu + NET_ETH_LEN + 4);
}

/* Take a chain from the queue into the store. 1, 0: none there; -EPROTO. */
static int rx_take_chain(struct net_pair *p)
{
	struct virtqueue *vq = &p->net->dev.queues[NET_QUEUE_RX(p->index)];
	struct virtq_chain *chain = &p->chain;
	struct net_rx *rx = &p->rx;
	int n, r = virtqueue_pop_chain(vq, chain);

	if (r <= 0)
		return r;
	n = chain_write_iov(chain, rx->iov + rx->num_iov, NET_RX_IOV - rx->num_iov);
	/* Room for the header in the first place: the length of a packet is at least this. */
	if (chain->num_readable || n <= 0 || chain_writable(chain) < NET_HDR_LEN ||
	    rx->num_buffers == NET_RX_BUFFERS)
		return -EPROTO;
	rx->buffers[rx->num_buffers++] = (struct net_buffer){
		.head = chain->head, .num_iov = (uint16_t)n, .len = (uint32_t)chain_writable(chain),
	};
	rx->num_iov += (size_t)n;
	rx->bytes += chain_writable(chain);
	return 1;
}

/* Chains for the next packet, or for all of one that has spilled. 1, 0: there are none; -EPROTO. */
static int rx_gather(struct net_pair *p)
{
	const bool merge = net_has(p->net, VIRTIO_NET_F_MRG_RXBUF);
	struct net_rx *rx = &p->rx;
	const size_t bytes = rx->packet ? rx->packet : rx_longest(p->net);
	size_t iovs = merge ? NET_RX_FAST_IOV : 1;
	int r = 1;

	if (rx->packet)
		iovs = SIZE_MAX;
	else if (merge && rx->large)
		iovs = NET_RX_BUFFERS;
	while (r > 0 && rx->bytes < bytes && rx->num_iov < iovs)
		r = rx_take_chain(p);
	if (r < 0)
		return r;
	return rx->packet ? rx->bytes >= bytes : rx->num_buffers > 0;
}

/* Likewise; 0: the driver has to give more, and was asked to say so. */
static int rx_prepare(struct net_pair *p)
{
	struct virtqueue *vq = &p->net->dev.queues[NET_QUEUE_RX(p->index)];
	int r = rx_gather(p);

	while (r == 0 && virtqueue_enable_kicks(vq)) {
		virtqueue_disable_kicks(vq);
		r = rx_gather(p);
	}
	p->rx_starving = r == 0;
	return r;
}

/* Forget the first @count buffers, which the driver has back. */
static void rx_drop_buffers(struct net_rx *rx, size_t count)
{
	size_t iovs = 0;

	for (size_t i = 0; i < count; i++) {
		iovs += rx->buffers[i].num_iov;
		rx->bytes -= rx->buffers[i].len;
	}
	rx->num_buffers -= count;
	rx->num_iov -= iovs;
	memmove(rx->buffers, rx->buffers + count, rx->num_buffers * sizeof(*rx->buffers));
	memmove(rx->iov, rx->iov + iovs, rx->num_iov * sizeof(*rx->iov));
}

/* Write num_buffers into the header, wherever the driver has put it. */
static void rx_set_num_buffers(struct net_rx *rx, uint16_t count)
{
	const uint16_t value = htole16(count);
	const uint8_t *from = (const uint8_t *)&value;
	size_t skip = offsetof(struct virtio_net_hdr_v1, num_buffers), left = sizeof(value);

	for (const struct iovec *v = rx->iov; left; v++) {
		size_t n;

		if (skip >= v->iov_len) {
			skip -= v->iov_len;
			continue;
		}
		n = v->iov_len - skip < left ? v->iov_len - skip : left;
		memcpy((uint8_t *)v->iov_base + skip, from, n);
		from += n;
		left -= n;
		skip = 0;
	}
}

/* A packet of @len bytes lies in the first buffers. */
static void rx_deliver(struct net_pair *p, size_t len)
{
	struct virtqueue *vq = &p->net->dev.queues[NET_QUEUE_RX(p->index)];
	struct net_rx *rx = &p->rx;
	size_t count = 0, iovs = 0, left = len;

	while (left) {
		const struct net_buffer *b = &rx->buffers[count++];
		const uint32_t used = left < b->len ? (uint32_t)left : b->len;

		virtqueue_put(vq, b->head, used);
		left -= used;
		iovs += b->num_iov;
	}
	rx_set_num_buffers(rx, (uint16_t)count);
	virtqueue_publish(vq);
	rx_drop_buffers(rx, count);
	if (iovs > NET_RX_FAST_IOV)
		rx->large = NET_RX_LARGE;
	else if (rx->large)
		rx->large--;
}

/* There are chains for a packet that has spilled. Its length. */
static ssize_t rx_land(struct net_pair *p)
{
	struct net_rx *rx = &p->rx;
	const size_t len = rx->packet;
	const uint8_t *from = rx->spill;
	size_t left = len - rx->landed;

	for (const struct iovec *v = rx->iov + rx->landed_iov; left; v++) {
		const size_t n = v->iov_len < left ? v->iov_len : left;

		memcpy(v->iov_base, from, n);
		from += n;
		left -= n;
	}
	rx->packet = 0;
	rx_deliver(p, len);
	return (ssize_t)len;
}

/* The buffers to read into: how many entries of the vector, and bytes. */
static size_t rx_offer(const struct net_pair *p, size_t *room)
{
	const bool merge = net_has(p->net, VIRTIO_NET_F_MRG_RXBUF);
	const struct net_rx *rx = &p->rx;
	const size_t most = rx->large ? NET_RX_IOV : NET_RX_FAST_IOV;
	size_t iovs = rx->buffers[0].num_iov;

	*room = rx->buffers[0].len;
	for (size_t i = 1; merge && i < rx->num_buffers; i++) {
		if (iovs + rx->buffers[i].num_iov > most)
			break;
		iovs += rx->buffers[i].num_iov;
		*room += rx->buffers[i].len;
	}
	return iovs;
}

/*
 * Read one packet. Its length; 0: the tap has none; -errno. One that does not fit (a feature that the
 * driver did not agree to would be needed, or its buffer is too small) is lost, as on any wire.
 */
static ssize_t rx_read(struct net_pair *p)
{
	const bool merge = net_has(p->net, VIRTIO_NET_F_MRG_RXBUF);
	const size_t longest = rx_longest(p->net);
	struct net_rx *rx = &p->rx;
	size_t room;
	const size_t iovs = rx_offer(p, &room), limit = merge && room < longest ? longest : room;
	const struct iovec saved = rx->iov[iovs];
	ssize_t n;

	rx->iov[iovs] = (struct iovec){ rx->spill, limit - room + 1 };
	do
		n = readv(p->tap, rx->iov, (int)iovs + 1);
	while (n < 0 && errno == EINTR);
	rx->iov[iovs] = saved;
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if ((size_t)n <= NET_HDR_LEN || (size_t)n > limit)
		return n;
	if ((size_t)n <= room) {
		rx_deliver(p, (size_t)n);
	} else {
		rx->packet = (size_t)n;
		rx->landed = room;
		rx->landed_iov = iovs;
	}
	return n;
}

bool net_rx_run(struct net_pair *p)
{
	size_t bytes = 0;
	ssize_t n = 1;

	if (p->tap < 0 || !p->attached || p->rx_starving)
		return false;
	for (unsigned int i = 0; i < NET_BATCH && bytes < NET_BATCH_BYTES && n > 0; i++) {
		n = rx_prepare(p);
		if (n > 0)
			n = p->rx.packet ? rx_land(p) : rx_read(p);
		if (n > 0)
			bytes += (size_t)n;
	}
	/* EBADFD, EIO: the tap's interface has gone or is down, and no more packets come. */
	if (n == -EPROTO)
		net_broken(p, "malformed chain in the receive queue");
	else if (n < 0)
		p->rx_starving = true;
	return bytes > 0;
}
