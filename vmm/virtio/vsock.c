/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-vsock: queues and packets (virtio 1.2, 5.10).
 *
 * Theory of operation: the guest's packets (tx queue) are handled as they come; their payload goes
 * from guest memory straight to the host's fd, and only what that does not take is kept, in a ring
 * no larger than the credit the guest was given. Packets for the guest (rx queue) are made on
 * demand: a connection has at most one pending packet of each kind, payload is read from the
 * host's fd straight into a buffer of the guest's, and when the guest has given us no buffer or no
 * credit, the host's fd is simply not read. So nothing ever queues up here without a bound.
 */
#include "vmm/virtio/vsock_priv.h"

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
#include "base/log.h"

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_NUM_QUEUES };

/* Packets in either direction before other sources of the event loop get their turn. */
#define VSOCK_BATCH 256

static struct vsock *vsock_of(struct virtio_device *dev)
{
	return (struct vsock *)dev;
}

void vsock_schedule(struct vsock *vs)
{
	eventfd_write(vs->again_fd, 1);
}

void vsock_send_reset(struct vsock *vs, const struct vsock_reset *rst, bool stray)
{
	if (vs->num_resets >= (stray ? VSOCK_MAX_STRAY_RESETS : VSOCK_MAX_RESETS)) {
		log_guest_warning("vsock: the guest does not take its RSTs: one is dropped");
		return;
	}
	vs->resets[vs->num_resets++] = *rst;
}

/* A header for a packet to the guest; len, op and flags are the caller's. */
static void vsock_hdr_init(struct virtio_vsock_hdr *hdr, uint32_t port, uint32_t peer_port)
{
	*hdr = (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(VSOCK_GUEST_CID),
		.src_port = htole32(port),
		.dst_port = htole32(peer_port),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.buf_alloc = htole32(VSOCK_BUF_ALLOC),
	};
}

static void vsock_broken(struct vsock *vs, const char *why)
{
	virtio_device_needs_reset(&vs->dev, why);
}

/*
 * Take an rx buffer. Once one was missing the host's fds are left alone until the guest kicks.
 */
static bool vsock_rx_pop(struct vsock *vs, struct virtq_chain *chain)
{
	struct virtqueue *vq = &vs->dev.queues[VSOCK_QUEUE_RX];
	int r = virtqueue_pop_chain(vq, chain);

	if (r == 0 && virtqueue_enable_kicks(vq))
		r = virtqueue_pop_chain(vq, chain);
	if (r == 0) {
		vs->rx_starving = true;
		return false;
	}
	if (r == 1 && chain_writable(chain) <= sizeof(struct virtio_vsock_hdr)) {
		vq->broken = true;
		r = -EPROTO;
	}
	if (r < 0)
		vsock_broken(vs, "malformed chain in the rx queue");
	return r == 1;
}

static void vsock_rx_push(struct vsock *vs, struct virtq_chain *chain,
			  const struct virtio_vsock_hdr *hdr)
{
	chain_rewind_write(chain);
	chain_write(chain, hdr, sizeof(*hdr));
	virtqueue_push(&vs->dev.queues[VSOCK_QUEUE_RX], chain->head,
		       (uint32_t)sizeof(*hdr) + le32toh(hdr->len));
}

static bool vsock_rx_one_reset(struct vsock *vs)
{
	struct virtio_vsock_hdr hdr;
	struct virtq_chain chain;
	struct vsock_reset *rst = vs->resets;

	if (!vsock_rx_pop(vs, &chain))
		return false;
	vsock_hdr_init(&hdr, rst->port, rst->peer_port);
	hdr.type = htole16(rst->type);
	hdr.op = htole16(VIRTIO_VSOCK_OP_RST);
	vsock_rx_push(vs, &chain, &hdr);
	memmove(rst, rst + 1, --vs->num_resets * sizeof(*rst));
	return true;
}

/* One packet of @conn's. False: there is no buffer for it. */
static bool vsock_rx_one_packet(struct vsock *vs, struct vsock_conn *conn)
{
	struct virtio_vsock_hdr hdr;
	struct virtq_chain chain;

	if (!vsock_rx_pop(vs, &chain))
		return false;
	vsock_hdr_init(&hdr, conn->offer.port, conn->peer_port);
	if (vsock_conn_fill(conn, &chain, &hdr)) {
		hdr.fwd_cnt = htole32(conn->fwd_cnt);
		conn->fwd_cnt_sent = conn->fwd_cnt;
		vsock_rx_push(vs, &chain, &hdr);
	} else {
		virtqueue_unpop(&vs->dev.queues[VSOCK_QUEUE_RX]);
	}
	vsock_conn_settle(conn);
	return true;
}

/*
 * Send what there is to send: RSTs, then each connection one packet, round and round, so that no
 * connection can starve another.
 */
void vsock_run_rx(struct vsock *vs)
{
	unsigned int budget = VSOCK_BATCH, idle = 0;
	struct virtqueue *vq = &vs->dev.queues[VSOCK_QUEUE_RX];
	const uint16_t used = vq->used_idx;
	const bool was_starving = vs->rx_starving;

	if (!vs->dev.active)
		return;
	vs->rx_starving = false;
	while (budget && vs->num_resets && vsock_rx_one_reset(vs))
		budget--;
	while (budget && !vs->rx_starving && idle < vs->num_conns) {
		struct vsock_conn *conn = &vs->conns[vs->next_conn];

		if (!vsock_conn_has_packet(conn)) {
			idle++;
		} else {
			if (!vsock_rx_one_packet(vs, conn))
				break;
			idle = 0;
			budget--;
		}
		vs->next_conn = (vs->next_conn + 1) % vs->num_conns;
	}
	if (vq->used_idx != used)
		virtio_device_notify_queue(&vs->dev, VSOCK_QUEUE_RX);
	/* A connection that ended in this round may have left a RST. */
	if (!budget || (vs->num_resets && !vs->rx_starving))
		vsock_schedule(vs);
	if (!vs->rx_starving)
		virtqueue_disable_kicks(vq);
	if (!vs->rx_starving && !was_starving)
		return;
	for (unsigned int i = 0; i < vs->num_conns; i++)
		vsock_conn_settle(&vs->conns[i]);
}

/* A packet of a connection that exists. */
static void vsock_handle_connected(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr,
				   struct virtq_chain *chain)
{
	vsock_conn_credit(conn, hdr);
	switch (le16toh(hdr->op)) {
	case VIRTIO_VSOCK_OP_RW:
		vsock_conn_receive(conn, chain, le32toh(hdr->len));
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		vsock_conn_shutdown(conn, le32toh(hdr->flags));
		break;
	case VIRTIO_VSOCK_OP_RST:
		vsock_conn_peer_gone(conn);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		conn->pending |= VSOCK_PENDING_CREDIT;
		break;
	default: /* REQUEST and RESPONSE belong to no established connection */
		vsock_conn_abort(conn, "the guest sent an operation out of place");
		return;
	}
	vsock_conn_settle(conn);
}

/* One packet of the guest's. The header was copied; only the payload is still in its memory. */
static void vsock_handle_packet(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
				struct virtq_chain *chain)
{
	struct vsock_reset rst = { .port = le32toh(hdr->dst_port),
				   .peer_port = le32toh(hdr->src_port),
				   .type = le16toh(hdr->type) };
	struct vsock_conn *conn = vsock_conn_find(vs, rst.port);

	/* 5.10.6.2: packets that are not from this guest to the host are none of our business. */
	if (le64toh(hdr->src_cid) != VSOCK_GUEST_CID || le64toh(hdr->dst_cid) != VSOCK_HOST_CID ||
	    le32toh(hdr->len) > chain_readable(chain)) {
		log_guest_warning("vsock: packet with a wrong CID or length dropped");
		return;
	}
	if (rst.type == VIRTIO_VSOCK_TYPE_STREAM && conn) {
		if (conn->state == VSOCK_CONN_CONNECTED && conn->peer_port == rst.peer_port) {
			vsock_handle_connected(conn, hdr, chain);
			return;
		}
		if (conn->state == VSOCK_CONN_OFFERED &&
		    le16toh(hdr->op) == VIRTIO_VSOCK_OP_REQUEST &&
		    vsock_conn_accept(conn, hdr) == 0)
			return;
	}
	if (le16toh(hdr->op) != VIRTIO_VSOCK_OP_RST)
		vsock_send_reset(vs, &rst, true);
}

static void vsock_run_tx(struct vsock *vs)
{
	struct virtqueue *vq = &vs->dev.queues[VSOCK_QUEUE_TX];
	const uint16_t used = vq->used_idx;
	unsigned int budget = VSOCK_BATCH;
	struct virtio_vsock_hdr hdr;
	struct virtq_chain chain;
	int r = 0;

	virtqueue_disable_kicks(vq);
	while (budget) {
		r = virtqueue_pop_chain(vq, &chain);
		if (r == 0 && virtqueue_enable_kicks(vq))
			continue;
		if (r != 1)
			break;
		if (chain_read(&chain, &hdr, sizeof(hdr)) != sizeof(hdr)) {
			vq->broken = true;
			r = -EPROTO;
			break;
		}
		vsock_handle_packet(vs, &hdr, &chain);
		virtqueue_push(vq, chain.head, 0);
		budget--;
	}
	if (vq->used_idx != used)
		virtio_device_notify_queue(&vs->dev, VSOCK_QUEUE_TX);
	if (r < 0)
		vsock_broken(vs, "malformed chain in the tx queue");
	if (!budget)
		vsock_schedule(vs);
}

/* The event loop's next round: continue both directions. */
static void vsock_on_again(void *data, uint32_t events)
{
	struct vsock *vs = data;
	eventfd_t value;

	(void)events;
	eventfd_read(vs->again_fd, &value);
	if (!vs->dev.active)
		return;
	vsock_run_tx(vs);
	vsock_run_rx(vs);
}

static void vsock_queue_notify(struct virtio_device *dev, unsigned int index)
{
	struct vsock *vs = vsock_of(dev);

	if (!dev->active)
		return;
	if (index == VSOCK_QUEUE_TX)
		vsock_run_tx(vs);
	/* The event queue's buffers are for transport resets (5.10.6.7): this machine never moves. */
	if (index != VSOCK_QUEUE_EVENT)
		vsock_run_rx(vs);
}

static void vsock_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	const struct virtio_vsock_config config = { .guest_cid = htole64(VSOCK_GUEST_CID) };

	(void)dev;
	memcpy(buf, (const uint8_t *)&config + offset, len);
}

static int vsock_activate(struct virtio_device *dev)
{
	for (unsigned int i = 0; i < VSOCK_QUEUE_EVENT; i++)
		if (!dev->queues[i].ready)
			return -EINVAL;
	/* Kicks of before activate may have been lost: look once. */
	vsock_schedule(vsock_of(dev));
	return 0;
}

/* The driver is gone, and with it its sockets: what it has sent is still delivered. */
static void vsock_reset(struct virtio_device *dev)
{
	struct vsock *vs = vsock_of(dev);

	for (unsigned int i = 0; i < vs->num_conns; i++) {
		if (vs->conns[i].state != VSOCK_CONN_CONNECTED)
			continue;
		vsock_conn_peer_gone(&vs->conns[i]);
		vsock_conn_settle(&vs->conns[i]);
	}
	vs->num_resets = 0;
	vs->rx_starving = false;
}

static void vsock_destroy(struct virtio_device *dev)
{
	struct vsock *vs = vsock_of(dev);

	for (unsigned int i = 0; i < vs->num_conns; i++)
		if (vs->conns[i].state != VSOCK_CONN_FREE)
			vsock_conn_destroy(&vs->conns[i]);
	event_loop_remove(vs->loop, &vs->again_src);
	close(vs->again_fd);
	free(vs);
}

static const struct virtio_device_ops vsock_ops = {
	.name = "vsock",
	.device_id = VIRTIO_ID_VSOCK,
	.num_queues = VSOCK_NUM_QUEUES,
	.queue_max_size = 256,
	.config_size = sizeof(struct virtio_vsock_config),
	.features = 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX,
	.config_read = vsock_config_read,
	.activate = vsock_activate,
	.queue_notify = vsock_queue_notify,
	.reset = vsock_reset,
	.destroy = vsock_destroy,
};

struct virtio_device *vsock_device(struct vsock *vs)
{
	return &vs->dev;
}

struct vsock *vsock_create(const struct guest_memory *mem, struct event_loop *loop,
			   struct error **err)
{
	struct vsock *vs = calloc(1, sizeof(*vs));
	int r;

	if (!vs) {
		error_set(err, ENOMEM, "virtio-vsock");
		return NULL;
	}
	virtio_device_init(&vs->dev, &vsock_ops, mem);
	vs->loop = loop;
	for (unsigned int i = 0; i < VSOCK_MAX_CONNS; i++)
		vs->conns[i].vs = vs;
	vs->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = vs->again_fd < 0 ? -errno :
			       event_loop_add(loop, &vs->again_src, vs->again_fd, EPOLLIN,
					      vsock_on_again, vs);
	if (r < 0) {
		error_set(err, -r, "virtio-vsock: cannot watch an eventfd");
		if (vs->again_fd >= 0)
			close(vs->again_fd);
		free(vs);
		return NULL;
	}
	return vs;
}
