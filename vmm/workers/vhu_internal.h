/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_VHU_INTERNAL_H
#define VMM_WORKERS_VHU_INTERNAL_H

/* What the files of the vhost-user back end share. Workers include vhu.h alone. */

#include "vmm/workers/vhu.h"
#include "vmm/workers/vhu_msg.h"

struct vhu_queue {
	struct virtqueue vq;
	int kick_fd, call_fd, err_fd; /* owned; -1: none */
	bool enabled;
	bool addr_set;
};

struct vhu_watch {
	struct vhu_watch *next;
	uint64_t id; /* never used again: an event of a removed watch finds nothing */
	int fd;	     /* borrowed */
	void (*fn)(void *data);
	void *data;
};

struct vhu {
	const struct vhu_ops *ops;
	void *data;	  /* the worker's */
	int sock;	  /* owned */
	int backend_sock; /* owned; -1 until SET_BACKEND_REQ_FD */
	int epoll_fd, wake_fd; /* owned */
	uint64_t features; /* acknowledged, VHOST_USER_F_PROTOCOL_FEATURES included */
	uint64_t protocol_features;
	struct guest_memory mem;
	uint64_t user_addr[VHOST_USER_MAX_REGIONS]; /* of mem.regions, as the front end sees them */
	struct vhu_queue queues[VHU_MAX_QUEUES];
	struct vhu_watch *watches; /* owned */
	uint64_t next_watch_id;
	/* SET_INFLIGHT_FD: the front end's memory, in which it sees our chains; NULL: none */
	uint8_t *notes;
	uint64_t notes_size;
	uint16_t notes_queue_size, notes_queues;
};

/* Event numbers of the sources that are always there; watches are numbered from VHU_EVENT_WATCH. */
enum {
	VHU_EVENT_SOCK,
	VHU_EVENT_WAKE,
	VHU_EVENT_KICK, /* + queue index */
	VHU_EVENT_WATCH = VHU_EVENT_KICK + VHU_MAX_QUEUES,
};

/* vhu.c */
int vhu_epoll_add(struct vhu *vhu, int fd, uint64_t event);
void vhu_queue_try_start(struct vhu *vhu, unsigned int index);
void vhu_queue_stop(struct vhu *vhu, unsigned int index);
void vhu_queue_set_kick(struct vhu *vhu, unsigned int index, int fd);
uint64_t vhu_offered_features(const struct vhu *vhu);

/* vhu_inflight.c */

/** vhu_inflight_set() - map what SET_INFLIGHT_FD brought and start to answer the pulse */
int vhu_inflight_set(struct vhu *vhu, const struct vhost_user_inflight *inflight, int fd);
void vhu_inflight_taken(struct vhu *vhu, unsigned int index, uint16_t head);
/** vhu_inflight_returning() - before, and vhu_inflight_returned() after it is in the used ring */
void vhu_inflight_returning(struct vhu *vhu, unsigned int index, uint16_t head);
void vhu_inflight_returned(struct vhu *vhu, unsigned int index, uint16_t head);

/* vhu_frontend.c */

/**
 * vhu_handle() - act on one message of the front end, and answer it
 *
 * Return: 0, or -errno when the connection cannot go on.
 */
int vhu_handle(struct vhu *vhu, struct vhu_msg *msg);

#endif
