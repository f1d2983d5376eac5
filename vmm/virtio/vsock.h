/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VSOCK_H
#define VMM_VIRTIO_VSOCK_H

/*
 * virtio-vsock (virtio 1.2, 5.10), stream sockets. The host's side of a connection is a pair of
 * file descriptors of this process (one for each direction, possibly the same): sockets, pipes,
 * or a terminal. There is no listening socket on the host; the guest can only connect to ports
 * that the VMM has offered.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/virtio/virtio_device.h"

#define VSOCK_GUEST_CID 3

struct event_loop;
struct error;
struct vsock;

/**
 * struct vsock_offer - what a guest gets that connects to @port
 * @read_fd:  bytes from here go to the guest; -1: the guest sees end of file at once
 * @write_fd: bytes from the guest go here; -1: they are dropped
 * @closed:   both directions have ended, all bytes are delivered, the fds are closed (called once,
 *            also when the guest resets). May be NULL; may make offers and withdraw them.
 *
 * An offer serves one connection. Once it is accepted by vsock_offer_port(), the fds are owned by
 * the device, which makes them non-blocking. They may be of any kind, regular files too. When
 * write_fd can take no more (its reader hung up), the guest's writes fail as with EPIPE; when
 * nothing is left to read either, the connection is reset.
 */
struct vsock_offer {
	uint32_t port;
	int read_fd, write_fd;
	void (*closed)(void *data, uint32_t port);
	void *data;
};

/** vsock_create() - make the device; plug it in with the transport */
struct vsock *vsock_create(const struct guest_memory *mem, struct event_loop *loop,
			   struct error **err);
struct virtio_device *vsock_device(struct vsock *vs);

/** vsock_offer_port() - let the guest connect once to offer->port; 0, -EEXIST, -ENOSPC, -ENOMEM */
int vsock_offer_port(struct vsock *vs, const struct vsock_offer *offer);

/** vsock_withdraw_port() - end the offer or the connection on this port; fds closed, not called back */
void vsock_withdraw_port(struct vsock *vs, uint32_t port);

/**
 * vsock_finish_port() - nothing more is wanted on this port
 *
 * An offer that nobody took is withdrawn. On a connection nothing more is read for the guest, and
 * what the guest has sent so far is delivered; then it is closed and called back,
 * perhaps before this returns.
 */
void vsock_finish_port(struct vsock *vs, uint32_t port);

/** vsock_port_idle() - true when neither an offer nor a connection is left on @port */
bool vsock_port_idle(const struct vsock *vs, uint32_t port);

#endif
