/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-vsock: connections (virtio 1.2, 5.10.6) and the host's file descriptors behind them.
 *
 * Theory of operation: the two directions of a connection end apart. The one to the guest ends
 * when read_fd is at its end (we say SHUTDOWN) or the guest says that it will not receive; the one
 * from the guest ends when it says that it will not send and the ring is empty, or when write_fd
 * breaks. When both have ended the connection is over. Every change is followed by
 * vsock_conn_settle(), which derives from the state alone what is watched and whether it is over.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "vmm/virtio/vsock_priv.h"

/* The guest hears of less room than this being freed only when it is short of room. */
#define VSOCK_CREDIT_STEP (16u << 10)

struct vsock_conn *vsock_conn_find(struct vsock *vs, uint32_t port)
{
	for (unsigned int i = 0; i < vs->num_conns; i++)
		if (vs->conns[i].state != VSOCK_CONN_FREE && vs->conns[i].offer.port == port)
			return &vs->conns[i];
	return NULL;
}

/* Bytes the guest has room for (5.10.6.3.1); a guest that contradicts itself gets nothing. */
static uint32_t vsock_conn_peer_room(const struct vsock_conn *conn)
{
	const uint32_t in_flight = conn->tx_cnt - conn->peer_fwd_cnt;

	return in_flight < conn->peer_buf_alloc ? conn->peer_buf_alloc - in_flight : 0;
}

static void vsock_conn_end_read(struct vsock_conn *conn)
{
	conn->read_done = true;
	event_loop_remove(conn->vs->loop, &conn->read_src);
	if (conn->offer.read_fd < 0)
		return;
	if (conn->same_fd)
		shutdown(conn->offer.read_fd, SHUT_RD); /* fails on a terminal: nothing to do */
	close(conn->offer.read_fd);
	conn->offer.read_fd = -1;
}

static void vsock_conn_end_write(struct vsock_conn *conn)
{
	event_loop_remove(conn->vs->loop, &conn->write_src);
	if (conn->offer.write_fd < 0)
		return;
	if (conn->same_fd)
		shutdown(conn->offer.write_fd, SHUT_WR);
	close(conn->offer.write_fd);
	conn->offer.write_fd = -1;
}

void vsock_conn_destroy(struct vsock_conn *conn)
{
	struct vsock *vs = conn->vs;

	vsock_conn_end_read(conn);
	vsock_conn_end_write(conn);
	free(conn->buf);
	*conn = (struct vsock_conn){ .vs = vs };
}

static void vsock_conn_send_reset(struct vsock_conn *conn)
{
	const struct vsock_reset rst = { .port = conn->offer.port, .peer_port = conn->peer_port,
					 .type = VIRTIO_VSOCK_TYPE_STREAM };

	vsock_send_reset(conn->vs, &rst, false);
}

/* The connection is over; the callback may use its place for another offer. */
static void vsock_conn_close(struct vsock_conn *conn, bool reset)
{
	const struct vsock_offer offer = conn->offer;

	if (reset)
		vsock_conn_send_reset(conn);
	vsock_conn_destroy(conn);
	if (offer.closed)
		offer.closed(offer.data, offer.port);
}

void vsock_conn_abort(struct vsock_conn *conn, const char *why)
{
	log_guest_warning("vsock: connection to port %u reset: %s", conn->offer.port, why);
	vsock_conn_close(conn, true);
}

void vsock_conn_settle(struct vsock_conn *conn)
{
	struct event_loop *loop = conn->vs->loop;

	if (conn->state != VSOCK_CONN_CONNECTED)
		return;
	if (conn->write_done && !conn->buf_len)
		vsock_conn_end_write(conn);
	if (conn->read_done && conn->write_done && !conn->buf_len &&
	    (conn->reset_at_end || !(conn->pending & VSOCK_PENDING_SHUTDOWN))) {
		vsock_conn_close(conn, conn->reset_at_end);
		return;
	}
	/* A source that is not watched at all hides hang-ups too: nobody could act on them. */
	if (conn->read_polled && !conn->read_done)
		event_loop_set(loop, &conn->read_src,
			       vsock_conn_peer_room(conn) && !conn->vs->rx_starving ? EPOLLIN : 0);
	/* EPOLLERR is always reported; naming it alone keeps the source watched. */
	if (conn->write_polled)
		event_loop_set(loop, &conn->write_src,
			       conn->buf_len ? EPOLLOUT | EPOLLERR : EPOLLERR);
}

/* @len bytes have left for the host: tell the guest when that makes a difference to it. */
static void vsock_conn_forwarded(struct vsock_conn *conn, uint32_t len)
{
	const uint32_t unknown = (conn->fwd_cnt += len) - conn->fwd_cnt_sent;
	const uint32_t used = unknown + conn->buf_len; /* as the guest sees it */

	if (used > VSOCK_BUF_ALLOC / 2 && (unknown >= VSOCK_CREDIT_STEP || !conn->buf_len))
		conn->pending |= VSOCK_PENDING_CREDIT;
}

/* write_fd takes no more. The guest's writes are to fail; what it has sent already is lost. */
static void vsock_conn_break_write(struct vsock_conn *conn, int error)
{
	const uint32_t lost = conn->buf_len;

	log_debug("vsock: port %u: the host's side takes no more: %s", conn->offer.port,
		  strerror(error));
	conn->write_broken = conn->write_done = true;
	conn->buf_len = 0;
	vsock_conn_forwarded(conn, lost);
	conn->pending |= VSOCK_PENDING_SHUTDOWN;
	conn->reset_at_end = true;
}

/* Write what lies in the ring. */
static void vsock_conn_drain(struct vsock_conn *conn)
{
	while (conn->buf_len) {
		const uint32_t to_end = VSOCK_BUF_ALLOC - conn->buf_pos;
		ssize_t n = write(conn->offer.write_fd, conn->buf + conn->buf_pos,
				  conn->buf_len < to_end ? conn->buf_len : to_end);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			vsock_conn_break_write(conn, errno);
			return;
		}
		conn->buf_pos = (conn->buf_pos + (uint32_t)n) % VSOCK_BUF_ALLOC;
		conn->buf_len -= (uint32_t)n;
		vsock_conn_forwarded(conn, (uint32_t)n);
	}
}

static void vsock_conn_on_read(void *data, uint32_t events)
{
	struct vsock_conn *conn = data;

	(void)events; /* hang-ups and errors show in what reading answers */
	conn->read_ready = true;
	vsock_run_rx(conn->vs);
}

static void vsock_conn_on_write(void *data, uint32_t events)
{
	struct vsock_conn *conn = data;
	struct vsock *vs = conn->vs;

	if (events & (EPOLLERR | EPOLLHUP))
		vsock_conn_break_write(conn, EPIPE);
	else
		vsock_conn_drain(conn);
	vsock_conn_settle(conn);
	vsock_run_rx(vs);
}

/* Watch an fd; *polled is false when it is of a kind that is always ready. */
static int vsock_conn_watch(struct vsock_conn *conn, struct event_source *src, int fd,
			    event_fn fn, bool *polled)
{
	int r = fd < 0 ? -EPERM : event_loop_add(conn->vs->loop, src, fd, EPOLLERR, fn, conn);

	*polled = r == 0;
	return r == -EPERM ? 0 : r;
}

int vsock_conn_accept(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr)
{
	int r;

	conn->buf = malloc(VSOCK_BUF_ALLOC);
	if (!conn->buf)
		return -ENOMEM;
	r = vsock_conn_watch(conn, &conn->write_src, conn->offer.write_fd, vsock_conn_on_write,
			     &conn->write_polled);
	if (r == 0)
		r = vsock_conn_watch(conn, &conn->read_src, conn->offer.read_fd,
				     vsock_conn_on_read, &conn->read_polled);
	if (r < 0) {
		event_loop_remove(conn->vs->loop, &conn->write_src);
		free(conn->buf);
		conn->buf = NULL;
		log_error("vsock: cannot watch the stream of port %u: %s", conn->offer.port,
			  strerror(-r));
		return r;
	}
	conn->state = VSOCK_CONN_CONNECTED;
	conn->peer_port = le32toh(hdr->src_port);
	conn->pending = VSOCK_PENDING_RESPONSE;
	vsock_conn_credit(conn, hdr);
	if (conn->offer.read_fd < 0) {
		conn->read_done = true;
		conn->pending |= VSOCK_PENDING_SHUTDOWN;
	}
	vsock_conn_settle(conn);
	return 0;
}

void vsock_conn_credit(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr)
{
	conn->peer_buf_alloc = le32toh(hdr->buf_alloc);
	conn->peer_fwd_cnt = le32toh(hdr->fwd_cnt);
}

/* Keep the next @len bytes of @chain, for which there is room, in the ring. */
static void vsock_conn_keep(struct vsock_conn *conn, struct virtq_chain *chain, uint32_t len)
{
	while (len) {
		const uint32_t at = (conn->buf_pos + conn->buf_len) % VSOCK_BUF_ALLOC;
		const uint32_t to_end = VSOCK_BUF_ALLOC - at;
		const uint32_t n = len < to_end ? len : to_end;

		chain_read(chain, conn->buf + at, n);
		conn->buf_len += n;
		len -= n;
	}
}

void vsock_conn_receive(struct vsock_conn *conn, struct virtq_chain *chain, uint32_t len)
{
	ssize_t n = 0;

	if (conn->write_broken || conn->offer.write_fd < 0) {
		vsock_conn_forwarded(conn, len);
		return;
	}
	if (conn->write_done || len > VSOCK_BUF_ALLOC - conn->buf_len) {
		vsock_conn_abort(conn, conn->write_done ? "the guest sent after its shutdown" :
							  "the guest sent more than its credit");
		return;
	}
	if (!conn->buf_len)
		n = chain_read_to_fd(chain, conn->offer.write_fd, -1, len, 0);
	if (n < 0 && n != -EAGAIN) {
		vsock_conn_break_write(conn, (int)-n);
		vsock_conn_forwarded(conn, len);
		return;
	}
	n = n < 0 ? 0 : n;
	vsock_conn_keep(conn, chain, len - (uint32_t)n);
	vsock_conn_forwarded(conn, (uint32_t)n);
}

void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	conn->peer_shutdown |= flags;
	if (flags & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		vsock_conn_end_read(conn);
		conn->pending &= ~VSOCK_PENDING_SHUTDOWN;
	}
	if (flags & VIRTIO_VSOCK_SHUTDOWN_SEND)
		conn->write_done = true;
	/* 5.10.6.6.1: who hears that its peer will neither send nor receive answers with RST. */
	if ((conn->peer_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
	    (conn->peer_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND))
		conn->reset_at_end = true;
}

void vsock_conn_peer_gone(struct vsock_conn *conn)
{
	vsock_conn_end_read(conn);
	conn->write_done = true;
	conn->reset_at_end = false;
	conn->pending = 0;
}

bool vsock_conn_has_packet(const struct vsock_conn *conn)
{
	if (conn->state != VSOCK_CONN_CONNECTED)
		return false;
	return conn->pending || (!conn->read_done && (conn->read_ready || !conn->read_polled) &&
				 vsock_conn_peer_room(conn));
}

/* Read from the host into the chain, behind the header's place: bytes, or 0. */
static uint32_t vsock_conn_fill_payload(struct vsock_conn *conn, struct virtq_chain *chain)
{
	uint32_t room = vsock_conn_peer_room(conn);
	ssize_t n;

	if (conn->read_done || !room || (conn->read_polled && !conn->read_ready))
		return 0;
	chain_skip_write(chain, sizeof(struct virtio_vsock_hdr));
	if (room > VSOCK_MAX_PAYLOAD)
		room = VSOCK_MAX_PAYLOAD;
	if (room > chain_writable(chain))
		room = (uint32_t)chain_writable(chain);
	n = chain_write_from_fd(chain, conn->offer.read_fd, -1, room, 0);
	/* Less than asked for: that was all; should there be more, epoll says so again. */
	if (n < (ssize_t)room)
		conn->read_ready = false;
	if (n > 0) {
		conn->tx_cnt += (uint32_t)n;
		return (uint32_t)n;
	}
	chain_rewind_write(chain);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		log_debug("vsock: port %u: reading: %s", conn->offer.port, strerror((int)-n));
	vsock_conn_end_read(conn);
	conn->pending |= VSOCK_PENDING_SHUTDOWN;
	return 0;
}

/* Take the most urgent of the packets without payload. */
static int vsock_conn_take_pending(struct vsock_conn *conn, struct virtio_vsock_hdr *hdr)
{
	uint32_t flags = 0;

	if (conn->pending & VSOCK_PENDING_RESPONSE) {
		conn->pending &= ~(VSOCK_PENDING_RESPONSE | VSOCK_PENDING_CREDIT);
		hdr->op = htole16(VIRTIO_VSOCK_OP_RESPONSE);
	} else if (conn->pending & VSOCK_PENDING_SHUTDOWN) {
		conn->pending &= ~(VSOCK_PENDING_SHUTDOWN | VSOCK_PENDING_CREDIT);
		hdr->op = htole16(VIRTIO_VSOCK_OP_SHUTDOWN);
		flags = (conn->read_done ? VIRTIO_VSOCK_SHUTDOWN_SEND : 0u) |
			(conn->write_broken ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0u);
		hdr->flags = htole32(flags);
	} else if (conn->pending & VSOCK_PENDING_CREDIT) {
		conn->pending &= ~VSOCK_PENDING_CREDIT;
		hdr->op = htole16(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	} else {
		return 0;
	}
	return 1;
}

int vsock_conn_fill(struct vsock_conn *conn, struct virtq_chain *chain,
		    struct virtio_vsock_hdr *hdr)
{
	uint32_t len;

	/* Nothing may come before the answer to the guest's request. */
	if (conn->pending & VSOCK_PENDING_RESPONSE)
		return vsock_conn_take_pending(conn, hdr);
	len = vsock_conn_fill_payload(conn, chain);
	if (!len)
		return vsock_conn_take_pending(conn, hdr);
	conn->pending &= ~VSOCK_PENDING_CREDIT;
	hdr->op = htole16(VIRTIO_VSOCK_OP_RW);
	hdr->len = htole32(len);
	return 1;
}

int vsock_offer_port(struct vsock *vs, const struct vsock_offer *offer)
{
	struct vsock_conn *conn;
	int write_fd = offer->write_fd, r;
	unsigned int place = 0;

	if (vsock_conn_find(vs, offer->port))
		return -EEXIST;
	while (place < vs->num_conns && vs->conns[place].state != VSOCK_CONN_FREE)
		place++;
	if (place == VSOCK_MAX_CONNS)
		return -ENOSPC;
	conn = &vs->conns[place];
	r = offer->read_fd < 0 ? 0 : fd_set_nonblock(offer->read_fd, true);
	if (r == 0 && write_fd >= 0)
		r = fd_set_nonblock(write_fd, true);
	if (r < 0)
		return r;
	/* Each direction has an fd of its own, so that each can be watched and closed apart. */
	if (write_fd >= 0 && write_fd == offer->read_fd) {
		write_fd = fcntl(write_fd, F_DUPFD_CLOEXEC, 0);
		if (write_fd < 0)
			return -errno;
		conn->same_fd = true;
	}
	conn->offer = *offer;
	conn->offer.write_fd = write_fd;
	conn->state = VSOCK_CONN_OFFERED;
	if (place == vs->num_conns)
		vs->num_conns++;
	return 0;
}

void vsock_withdraw_port(struct vsock *vs, uint32_t port)
{
	struct vsock_conn *conn = vsock_conn_find(vs, port);

	if (!conn)
		return;
	if (conn->state == VSOCK_CONN_CONNECTED) {
		vsock_conn_send_reset(conn);
		vsock_schedule(vs);
	}
	vsock_conn_destroy(conn);
}

void vsock_finish_port(struct vsock *vs, uint32_t port)
{
	struct vsock_conn *conn = vsock_conn_find(vs, port);

	if (!conn)
		return;
	if (conn->state == VSOCK_CONN_OFFERED) {
		vsock_conn_destroy(conn);
		return;
	}
	vsock_conn_end_read(conn);
	conn->write_done = true;
	conn->reset_at_end = true;
	vsock_conn_settle(conn);
	vsock_schedule(vs);
}

bool vsock_port_idle(const struct vsock *vs, uint32_t port)
{
	return !vsock_conn_find((struct vsock *)vs, port);
}
