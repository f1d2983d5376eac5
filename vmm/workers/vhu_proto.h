/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_VHU_PROTO_H
#define VMM_WORKERS_VHU_PROTO_H

/*
 * The vhost-user protocol's wire format, as far as it is spoken here: names, numbers and layouts of
 * the vhost-user specification. Integers have the host's byte order.
 */

#include <stdint.h>

#define VHU_VERSION 1u
#define VHU_FLAG_VERSION_MASK 0x3u
#define VHU_FLAG_REPLY 0x4u
#define VHU_FLAG_NEED_REPLY 0x8u

#define VHU_MAX_MEM_REGIONS 8
#define VHU_MAX_FDS 8
#define VHU_CONFIG_MAX 256u
#define VHU_MAX_SHMEM_REGIONS 256

#define VHU_F_PROTOCOL_FEATURES 30 /* bit of the virtio feature word */

/* Bits of the protocol features. */
enum vhu_protocol_feature {
	VHU_PROTOCOL_F_MQ = 0,
	VHU_PROTOCOL_F_REPLY_ACK = 3,
	VHU_PROTOCOL_F_BACKEND_REQ = 5,
	VHU_PROTOCOL_F_CONFIG = 9,
	VHU_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHU_PROTOCOL_F_SHMEM = 20,
};

enum vhu_frontend_request {
	VHU_GET_FEATURES = 1,
	VHU_SET_FEATURES = 2,
	VHU_SET_OWNER = 3,
	VHU_RESET_OWNER = 4,
	VHU_SET_MEM_TABLE = 5,
	VHU_SET_VRING_NUM = 8,
	VHU_SET_VRING_ADDR = 9,
	VHU_SET_VRING_BASE = 10,
	VHU_GET_VRING_BASE = 11,
	VHU_SET_VRING_KICK = 12,
	VHU_SET_VRING_CALL = 13,
	VHU_SET_VRING_ERR = 14,
	VHU_GET_PROTOCOL_FEATURES = 15,
	VHU_SET_PROTOCOL_FEATURES = 16,
	VHU_GET_QUEUE_NUM = 17,
	VHU_SET_VRING_ENABLE = 18,
	VHU_SET_BACKEND_REQ_FD = 21,
	VHU_GET_CONFIG = 24,
	VHU_GET_SHMEM_CONFIG = 44,
};

enum vhu_backend_request {
	VHU_BACKEND_SHMEM_MAP = 9,
	VHU_BACKEND_SHMEM_UNMAP = 10,
};

struct vhu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};

struct vhu_vring_state {
	uint32_t index;
	uint32_t num;
};

/* Ring addresses are the front end's virtual addresses: see vhu_mem_region.userspace_addr. */
struct vhu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vhu_mem_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t userspace_addr;
	uint64_t mmap_offset;
};

struct vhu_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vhu_mem_region regions[VHU_MAX_MEM_REGIONS];
};

struct vhu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHU_CONFIG_MAX];
};

struct vhu_shmem_config {
	uint32_t count;
	uint32_t padding;
	uint64_t sizes[VHU_MAX_SHMEM_REGIONS];
};

#define VHU_VRING_FD_INDEX_MASK 0xffu
#define VHU_VRING_FD_NONE 0x100u

#define VHU_MMAP_WRITABLE 1u

struct vhu_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

union vhu_payload {
	uint64_t u64;
	struct vhu_vring_state state;
	struct vhu_vring_addr addr;
	struct vhu_mem_table mem;
	struct vhu_config config;
	struct vhu_shmem_config shmem;
	struct vhu_mmap mmap;
};

#endif
