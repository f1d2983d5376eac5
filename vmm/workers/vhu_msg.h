/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_VHU_MSG_H
#define VMM_WORKERS_VHU_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/vhost_user_proto.h"

#define VHU_MAX_FDS VHOST_USER_MAX_REGIONS

/* What GET_SHMEM_CONFIG is answered with. */
#define VHU_MAX_SHMEM_REGIONS 256

struct vhu_shmem_config {
	uint32_t count;
	uint32_t padding;
	uint64_t sizes[VHU_MAX_SHMEM_REGIONS];
};

union vhu_payload {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_memory mem;
	struct vhost_user_config config;
	struct vhu_shmem_config shmem;
	struct vhost_user_mmap mmap;
	struct vhost_user_inflight inflight;
};

/** struct vhu_msg - one message; fds that came with it are owned, close-on-exec */
struct vhu_msg {
	struct vhost_user_header hdr;
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
