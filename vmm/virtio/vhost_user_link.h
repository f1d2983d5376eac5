/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VHOST_USER_LINK_H
#define VMM_VIRTIO_VHOST_USER_LINK_H

/*
 * One vhost-user connection, the front end's side: requests that are answered within a deadline,
 * and the channel on which the back end has requests of its own. While an answer is awaited the
 * back end's requests are served, since it may need one served before it can answer.
 */

#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/vhost_user_proto.h"

/** typedef vhost_user_serve_fn - SHMEM_MAP (with @fd, borrowed) or UNMAP (-1); 0 or -errno */
typedef int (*vhost_user_serve_fn)(void *data, uint32_t request, const struct vhost_user_mmap *mmap,
				   int fd);

struct vhost_user_link {
	int sock;	  /* owned */
	int backend_sock; /* owned; -1: the back end has no requests */
	int timeout_ms;
	uint64_t protocol_features; /* negotiated */
	vhost_user_serve_fn serve;
	void *data;
	/* A request of the back end's, as far as it has come. */
	struct {
		struct vhost_user_header header;
		struct vhost_user_mmap mmap;
	} in;
	size_t in_len;
	int in_fd; /* owned; -1: none */
};

/** vhost_user_link_init() - @sock is owned from now on; @serve may be NULL */
void vhost_user_link_init(struct vhost_user_link *link, int sock, int timeout_ms,
			  vhost_user_serve_fn serve, void *data);
void vhost_user_link_close(struct vhost_user_link *link);

/**
 * vhost_user_link_request() - a request without an answer of its own
 *
 * Where REPLY_ACK is negotiated the back end's acknowledgement is awaited.
 * Return: 0; -EREMOTEIO when the back end refuses; -ETIMEDOUT; -EPIPE when it is gone; -EPROTO for
 * an answer that is none; another -errno.
 */
int vhost_user_link_request(struct vhost_user_link *link, uint32_t request, const void *payload,
			    uint32_t size, const int *fds, size_t nfds);

/** vhost_user_link_query() - a request whose answer is @reply_size bytes long; as above */
int vhost_user_link_query(struct vhost_user_link *link, uint32_t request, const void *payload,
			  uint32_t size, void *reply, uint32_t reply_size);

/** vhost_user_link_u64() - a query without payload, answered by a number */
int vhost_user_link_u64(struct vhost_user_link *link, uint32_t request, uint64_t *value);

/** vhost_user_link_serve() - answer what the back end asks; never blocks; 0 or -errno as above */
int vhost_user_link_serve(struct vhost_user_link *link);

/** vhost_user_link_check() - between requests: -EPIPE when the back end is gone, -EPROTO for talk */
int vhost_user_link_check(struct vhost_user_link *link);

#endif
