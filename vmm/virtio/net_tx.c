/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, packets from the guest (virtio 1.2, 5.1.6.2).
 *
 * The header is copied and checked in the copy, which is what the tap gets; the frame goes from
 * guest memory to the tap as it is. A packet whose header makes no sense is dropped: a program in
 * the guest can make one (by a packet socket), and the rest of the guest need not suffer. A chain
 * that is malformed breaks the device.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "vmm/virtio/net_priv.h"

static bool segmentation_agreed(uint8_t type, uint64_t features)
{
	const uint64_t ecn = type & VIRTIO_NET_HDR_GSO_ECN ? 1ull << VIRTIO_NET_F_HOST_ECN : 0;
	uint64_t needed;

	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		needed = 1ull << VIRTIO_NET_F_HOST_TSO4 | ecn;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		needed = 1ull << VIRTIO_NET_F_HOST_TSO6 | ecn;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		if (ecn)
			return false;
		needed = 1ull << VIRTIO_NET_F_HOST_USO;
		break;
	default:
		return false;
	}
	return (features & needed) == needed;
}

bool net_tx_check(struct virtio_net_hdr_v1 *hdr, size_t frame, uint64_t features)
{
	const bool partial = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (frame < NET_ETH_LEN || frame > NET_FRAME_MAX)
		return false;
	hdr->flags = partial ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
	hdr->num_buffers = 0;
	if (!partial) {
		hdr->csum_start = hdr->csum_offset = 0;
	} else if (!(features & (1ull << VIRTIO_NET_F_CSUM)) ||
		   (size_t)le16toh(hdr->csum_start) + le16toh(hdr->csum_offset) + 2 > frame) {
		return false;
	}
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		hdr->gso_size = hdr->hdr_len = 0;
		return true;
	}
	return partial && hdr->gso_size && le16toh(hdr->hdr_len) <= frame &&
	       segmentation_agreed(hdr->gso_type, features);
}

/* Hand one packet to the tap. 0: done with it, sent or not; -EAGAIN; -EPROTO. */
static int tx_one(const struct net_pair *p, struct virtq_chain *chain)
{
	struct virtio_net_hdr_v1 hdr;
	struct iovec iov[VIRTQUEUE_MAX_SIZE];
	ssize_t sent;
	int n;

	if (chain->num_writable || chain_read(chain, &hdr, sizeof(hdr)) != sizeof(hdr))
		return -EPROTO;
	n = chain_read_iov(chain, iov + 1, VIRTQUEUE_MAX_SIZE - 1);
	if (n < 0)
		return -EPROTO;
	if (!net_tx_check(&hdr, chain_readable(chain), p->net->dev.features)) {
		log_guest_warning("net: a packet with a wrong header or length is dropped");
		return 0;
	}
	if (p->tap < 0)
		return 0; /* no link: lost */
	iov[0] = (struct iovec){ &hdr, sizeof(hdr) };
	do
		sent = writev(p->tap, iov, n + 1);
	while (sent < 0 && errno == EINTR);
	/* Whatever else fails has lost this packet alone: no memory, no buffers, a link that is down. */
	return sent < 0 && errno == EAGAIN ? -EAGAIN : 0;
}

bool net_tx_run(struct net_pair *p)
{
	struct virtqueue *vq = &p->net->dev.queues[NET_QUEUE_TX(p->index)];
	unsigned int done = 0;
	size_t bytes = 0;
	int r = 1;

	while (!p->tx_blocked && done < NET_BATCH && bytes < NET_BATCH_BYTES) {
		r = virtqueue_pop_chain(vq, &p->chain);
		if (r <= 0)
			break;
		bytes += p->chain.readable_len;
		r = tx_one(p, &p->chain);
		if (r < 0)
			break;
		virtqueue_push(vq, p->chain.head, 0);
		done++;
	}
	if (r == -EAGAIN) {
		virtqueue_unpop(vq);
		p->tx_blocked = true;
	}
	if (r == -EPROTO)
		net_broken(p, "malformed chain in the transmit queue");
	return done > 0;
}
