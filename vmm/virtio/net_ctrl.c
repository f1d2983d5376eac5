/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net, the driver's commands (virtio 1.2, 5.1.6.5). There is one: how many queue pairs it
 * uses. The others are detached from the tap, which would go on giving packets to them.
 */
#include <endian.h>
#include <errno.h>

#include "vmm/virtio/net_priv.h"

unsigned int net_ctrl_index(const struct net *net)
{
	if (!net_has(net, VIRTIO_NET_F_CTRL_VQ))
		return 0;
	return net_has(net, VIRTIO_NET_F_MQ) ? 2 * net->num_pairs : 2;
}

static uint8_t ctrl_obey(struct net *net, struct virtq_chain *chain)
{
	struct virtio_net_ctrl_hdr hdr;
	uint16_t pairs;

	if (chain_read(chain, &hdr, sizeof(hdr)) != sizeof(hdr) ||
	    hdr.class != VIRTIO_NET_CTRL_MQ || hdr.cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !net_has(net, VIRTIO_NET_F_MQ) ||
	    chain_read(chain, &pairs, sizeof(pairs)) != sizeof(pairs))
		return VIRTIO_NET_ERR;
	pairs = le16toh(pairs);
	if (pairs < 1 || pairs > net->num_pairs)
		return VIRTIO_NET_ERR;
	return net_use_pairs(net, pairs) < 0 ? VIRTIO_NET_ERR : VIRTIO_NET_OK;
}

void net_ctrl_run(struct net *net)
{
	const unsigned int queue = net_ctrl_index(net);
	struct virtqueue *vq = &net->dev.queues[queue];
	struct virtq_chain *chain = &net->pairs[0].chain;
	int r = 1;

	/* No more than the queue holds; a driver waits for each answer. */
	for (unsigned int i = 0; i < vq->size && r > 0; i++) {
		uint8_t ack;

		r = virtqueue_pop_chain(vq, chain);
		if (r == 0 && virtqueue_enable_kicks(vq))
			r = virtqueue_pop_chain(vq, chain);
		if (r <= 0)
			break;
		ack = ctrl_obey(net, chain);
		if (chain_write(chain, &ack, sizeof(ack)) != sizeof(ack))
			r = -EPROTO;
		else
			virtqueue_push(vq, chain->head, sizeof(ack));
	}
	if (virtqueue_should_notify(vq))
		virtio_device_interrupt(&net->dev, queue);
	if (r < 0)
		net_broken(&net->pairs[0], "malformed chain in the control queue");
}
