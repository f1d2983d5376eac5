/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back end's own requests (SHMEM_MAP, SHMEM_UNMAP) on the channel that came with
 * SET_BACKEND_REQ_FD. Each asks for an answer and waits for it: the guest must not be told of a
 * mapping before it is there, nor the file be reused before it is gone. A front end that waits for
 * an answer on the main channel has to serve this one meanwhile.
 */
#include <errno.h>

#include "vmm/workers/vhu_internal.h"

static int vhu_backend_request(struct vhu *vhu, uint32_t request,
			       const struct vhost_user_mmap *map, int fd)
{
	struct vhu_msg msg = {
		.hdr = { request, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY, sizeof(*map) },
		.payload.mmap = *map,
	};
	struct vhu_msg reply;
	bool valid;
	int r;

	if (vhu->backend_sock < 0 ||
	    !(vhu->protocol_features & (1ULL << VHOST_USER_PROTOCOL_F_SHMEM)))
		return -ENOTSUP;
	r = vhu_msg_send(vhu->backend_sock, &msg, fd);
	if (r < 0)
		return r;
	r = vhu_msg_recv(vhu->backend_sock, &reply);
	if (r <= 0)
		return r < 0 ? r : -EPIPE;
	valid = reply.hdr.request == request && (reply.hdr.flags & VHOST_USER_FLAG_REPLY) &&
		reply.hdr.size == sizeof(reply.payload.u64) && reply.nfds == 0;
	vhu_msg_release(&reply);
	if (!valid)
		return -EPROTO;
	return reply.payload.u64 ? -EINVAL : 0;
}

int vhu_shmem_map(struct vhu *vhu, uint8_t shmid, int fd, uint64_t fd_offset, uint64_t offset,
		  uint64_t len, bool writable)
{
	const struct vhost_user_mmap map = {
		.shmid = shmid,
		.fd_offset = fd_offset,
		.shm_offset = offset,
		.len = len,
		.flags = writable ? VHOST_USER_MMAP_WRITABLE : 0,
	};

	return vhu_backend_request(vhu, VHOST_USER_BACKEND_SHMEM_MAP, &map, fd);
}

int vhu_shmem_unmap(struct vhu *vhu, uint8_t shmid, uint64_t offset, uint64_t len)
{
	const struct vhost_user_mmap map = { .shmid = shmid, .shm_offset = offset, .len = len };

	return vhu_backend_request(vhu, VHOST_USER_BACKEND_SHMEM_UNMAP, &map, -1);
}
