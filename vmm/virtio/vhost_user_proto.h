/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VHOST_USER_PROTO_H
#define VMM_VIRTIO_VHOST_USER_PROTO_H

/*
 * The vhost-user protocol's names, numbers and payloads (QEMU, docs/interop/vhost-user.rst), as
 * far as either of our ends speaks it. Integers are in the host's byte order.
 */

#include <stdint.h>

#define VHOST_USER_VERSION 1u
#define VHOST_USER_FLAG_VERSION_MASK 3u
#define VHOST_USER_FLAG_REPLY (1u << 2)
#define VHOST_USER_FLAG_NEED_REPLY (1u << 3)

/* The bit among the virtio features that says protocol features exist. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30

enum vhost_user_protocol_feature {
	VHOST_USER_PROTOCOL_F_MQ = 0,
	VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
	VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
	VHOST_USER_PROTOCOL_F_CONFIG = 9,
	VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
	VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VHOST_USER_PROTOCOL_F_STATUS = 16,
	VHOST_USER_PROTOCOL_F_SHMEM = 20,
};

/* Front end to back end. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,	       /* reply: u64 */
	VHOST_USER_SET_FEATURES = 2,	       /* u64 */
	VHOST_USER_SET_OWNER = 3,	       /* empty */
	VHOST_USER_RESET_OWNER = 4,	       /* empty */
	VHOST_USER_SET_MEM_TABLE = 5,	       /* struct vhost_user_memory, an fd a region */
	VHOST_USER_SET_VRING_NUM = 8,	       /* struct vhost_user_vring_state */
	VHOST_USER_SET_VRING_ADDR = 9,	       /* struct vhost_user_vring_addr */
	VHOST_USER_SET_VRING_BASE = 10,	       /* struct vhost_user_vring_state */
	VHOST_USER_GET_VRING_BASE = 11,	       /* struct vhost_user_vring_state, both ways */
	VHOST_USER_SET_VRING_KICK = 12,	       /* u64 queue and flag, an fd */
	VHOST_USER_SET_VRING_CALL = 13,	       /* likewise */
	VHOST_USER_SET_VRING_ERR = 14,	       /* likewise */
	VHOST_USER_GET_PROTOCOL_FEATURES = 15, /* reply: u64 */
	VHOST_USER_SET_PROTOCOL_FEATURES = 16, /* u64 */
	VHOST_USER_GET_QUEUE_NUM = 17,	       /* reply: u64 */
	VHOST_USER_SET_VRING_ENABLE = 18,      /* struct vhost_user_vring_state */
	VHOST_USER_SET_BACKEND_REQ_FD = 21,    /* empty, an fd */
	VHOST_USER_GET_CONFIG = 24,	       /* struct vhost_user_config, both ways */
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_SET_INFLIGHT_FD = 32,      /* struct vhost_user_inflight, an fd */
	VHOST_USER_RESET_DEVICE = 34,	      /* empty */
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,    /* reply: u64 */
	VHOST_USER_ADD_MEM_REG = 37,	      /* u64 padding, struct vhost_user_region, an fd */
	VHOST_USER_REM_MEM_REG = 38,	      /* likewise */
	VHOST_USER_SET_STATUS = 39,	      /* u64 */
	VHOST_USER_GET_STATUS = 40,	      /* reply: u64 */
	VHOST_USER_GET_SHMEM_CONFIG = 44,     /* reply: sizes of the shared-memory regions */
};

/* Back end to front end, on the socket that SET_BACKEND_REQ_FD brought. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_SHMEM_MAP = 9,    /* struct vhost_user_mmap, an fd */
	VHOST_USER_BACKEND_SHMEM_UNMAP = 10, /* struct vhost_user_mmap */
};

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload that follows */
};

/* SET_VRING_KICK, CALL, ERR: the queue's number, and whether no fd comes along. */
#define VHOST_USER_VRING_INDEX_MASK 0xffu
#define VHOST_USER_VRING_NOFD (1u << 8)

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc, used, avail; /* user addresses of the front end's */
	uint64_t log;
};

struct vhost_user_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t user_addr; /* of the front end's */
	uint64_t mmap_offset;
};

#define VHOST_USER_MAX_REGIONS 8

struct vhost_user_memory {
	uint32_t count;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
};

#define VHOST_USER_MAX_CONFIG 256

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_USER_MAX_CONFIG];
} __attribute__((packed));

/* Which chains the back end has, in memory that both share: one region a queue, each at a multiple
 * of 64 bytes (split rings, version 1). */
struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint32_t padding;
};

struct vhost_user_inflight_desc {
	uint8_t inflight; /* 1: the chain that begins here is with the back end */
	uint8_t padding[5];
	uint16_t next;
	uint64_t counter;
};

struct vhost_user_inflight_queue {
	uint64_t features;
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head; /* the chain that is returned, or was returned last */
	uint16_t used_idx;	  /* of the used ring, when that had been noted */
	struct vhost_user_inflight_desc desc[];
};

/* Not the protocol's: the last 8 bytes of the shared memory, by which our front end sees whether
 * our back end runs. The back end answers by storing what was asked. */
struct vhost_user_pulse {
	uint32_t asked; /* a futex */
	uint32_t answered;
};

#define VHOST_USER_MMAP_WRITABLE 1ull

struct vhost_user_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

#endif
