/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_VHU_MSG_H
#define VMM_WORKERS_VHU_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/workers/vhu_proto.h"

/** struct vhu_msg - one message; fds that came with it are owned, close-on-exec */
struct vhu_msg {
	struct vhu_header hdr;
	union vhu_payload payload;
	int fds[VHU_MAX_FDS];
	size_t nfds;
};

/**
 * vhu_msg_recv() - receive one message on a blocking socket
 *
 * Return: 1, 0 when the peer closed the connection before a message began, or -errno: -EPROTO for
 * a torn or overlong one, a foreign version, or more than VHU_MAX_FDS fds.
 */
int vhu_msg_recv(int sock, struct vhu_msg *msg);

/** vhu_msg_send() - send header, payload (hdr.size bytes) and an fd (-1: none); 0 or -errno */
int vhu_msg_send(int sock, const struct vhu_msg *msg, int fd);

/** vhu_msg_release() - close the fds that were not stolen */
void vhu_msg_release(struct vhu_msg *msg);

#endif
