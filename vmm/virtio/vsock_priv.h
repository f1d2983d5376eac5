/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VSOCK_PRIV_H
#define VMM_VIRTIO_VSOCK_PRIV_H

/* What vsock.c (queues and packets) and vsock_conn.c (connections and fds) share. */

#include <linux/virtio_vsock.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/vsock.h"

#define VSOCK_HOST_CID 2
/* All ports of base/agent_proto.h at one time. */
#define VSOCK_MAX_CONNS 640
/* What we promise to hold of a connection's bytes that the host's side has not taken. */
#define VSOCK_BUF_ALLOC (256u << 10)
#define VSOCK_MAX_PAYLOAD (64u << 10)
/* RSTs waiting for the guest: for packets of no connection, and in all. */
#define VSOCK_MAX_STRAY_RESETS 64
#define VSOCK_MAX_RESETS (VSOCK_MAX_STRAY_RESETS + VSOCK_MAX_CONNS)

enum vsock_conn_state {
	VSOCK_CONN_FREE,
	VSOCK_CONN_OFFERED,
	VSOCK_CONN_CONNECTED,
};

/* Packets without payload that a connection has to send; each is sent once however often asked. */
#define VSOCK_PENDING_RESPONSE (1u << 0)
#define VSOCK_PENDING_CREDIT (1u << 1)
#define VSOCK_PENDING_SHUTDOWN (1u << 2)

/**
 * struct vsock_conn - an offer, and the connection that it became
 *
 * "read" is the direction from the host's read_fd to the guest, "write" the one from the guest to
 * the host's write_fd. A direction is done when no byte will be moved in it any more.
 */
struct vsock_conn {
	struct vsock *vs;
	enum vsock_conn_state state;
	struct vsock_offer offer;
	uint32_t peer_port;
	bool same_fd;	  /* the offer had one fd for both directions: ending one is shutdown() */
	bool read_polled; /* epoll knows read_fd; else (files, /dev/null) it is always ready */
	bool write_polled;
	bool read_ready;
	bool read_done, write_done;
	bool write_broken; /* write_fd takes no more: what still comes from the guest is dropped */
	bool reset_at_end; /* the guest waits for a RST once all is delivered (5.10.6.6.1) */
	uint32_t peer_shutdown; /* VIRTIO_VSOCK_SHUTDOWN_* that the guest has said */
	uint32_t pending;  /* VSOCK_PENDING_* */
	struct event_source read_src, write_src;
	/* Ring of bytes that the guest sent and write_fd has not taken. */
	uint8_t *buf; /* owned, VSOCK_BUF_ALLOC bytes; NULL before CONNECTED */
	uint32_t buf_pos, buf_len;
	/* Credit (5.10.6.3); free-running counts. */
	uint32_t fwd_cnt;	/* bytes from the guest that have left for the host */
	uint32_t fwd_cnt_sent;	/* fwd_cnt as the guest last heard it */
	uint32_t tx_cnt;	/* bytes sent to the guest */
	uint32_t peer_fwd_cnt, peer_buf_alloc;
};

struct vsock_reset {
	uint32_t port, peer_port;
	uint16_t type;
};

struct vsock {
	struct virtio_device dev;
	struct event_loop *loop; /* borrowed */
	struct vsock_conn conns[VSOCK_MAX_CONNS];
	unsigned int num_conns; /* places that were ever in use */
	unsigned int next_conn; /* whose turn it is to send to the guest */
	struct vsock_reset resets[VSOCK_MAX_RESETS];
	unsigned int num_resets;
	struct event_source again_src;
	int again_fd;	   /* owned eventfd: look at the queues in the loop's next round */
	bool rx_starving;  /* the guest has no rx buffer for us: host fds are not read */
};

/* vsock.c */

/** vsock_run_rx() - send to the guest what there is to send */
void vsock_run_rx(struct vsock *vs);
/** vsock_schedule() - do so in the loop's next round: for callers that may be inside vsock_run_rx() */
void vsock_schedule(struct vsock *vs);
/**
 * vsock_send_reset() - queue a RST for the next vsock_run_rx()
 * @stray: for a packet that belongs to no connection
 */
void vsock_send_reset(struct vsock *vs, const struct vsock_reset *rst, bool stray);

/* vsock_conn.c */

struct vsock_conn *vsock_conn_find(struct vsock *vs, uint32_t port);
/** vsock_conn_accept() - the guest's REQUEST; 0 or -errno */
int vsock_conn_accept(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr);
/** vsock_conn_credit() - every packet carries the guest's buf_alloc and fwd_cnt */
void vsock_conn_credit(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr);
/** vsock_conn_receive() - RW: the payload is the chain's next @len bytes */
void vsock_conn_receive(struct vsock_conn *conn, struct virtq_chain *chain, uint32_t len);
/** vsock_conn_shutdown() - SHUTDOWN with VIRTIO_VSOCK_SHUTDOWN_* flags */
void vsock_conn_shutdown(struct vsock_conn *conn, uint32_t flags);
/** vsock_conn_peer_gone() - RST: deliver what came, then close */
void vsock_conn_peer_gone(struct vsock_conn *conn);
/** vsock_conn_abort() - reset by us: drop everything, tell the guest */
void vsock_conn_abort(struct vsock_conn *conn, const char *why);
/** vsock_conn_has_packet() - is there something to send to the guest? */
bool vsock_conn_has_packet(const struct vsock_conn *conn);
/**
 * vsock_conn_fill() - make the connection's next packet in @chain, behind room for the header
 *
 * Return: 1 with op, flags and len of @hdr set; 0: nothing to send after all, chain untouched.
 */
int vsock_conn_fill(struct vsock_conn *conn, struct virtq_chain *chain,
		    struct virtio_vsock_hdr *hdr);
/** vsock_conn_settle() - after any change: watch what matters now, or close what is finished */
void vsock_conn_settle(struct vsock_conn *conn);
/** vsock_conn_destroy() - close the fds and forget; no callback, no RST */
void vsock_conn_destroy(struct vsock_conn *conn);

#endif
