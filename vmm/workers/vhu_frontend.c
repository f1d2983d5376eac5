/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front end's messages. Each handler checks the payload's size and its indices, and answers 0
 * or -errno; a message that has a reply of its own sends it itself. What a handler refuses is
 * answered with an error where the front end asked for an answer (REPLY_ACK), and ends the
 * connection where it did not: it would go on in the belief that we had obeyed.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/workers/vhu_internal.h"

#define VHU_BIT(feature) (1ULL << (feature))

/* Send @msg's payload back as the answer to it. */
static int vhu_reply(struct vhu *vhu, struct vhu_msg *msg, uint32_t size)
{
	msg->hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	msg->hdr.size = size;
	return vhu_msg_send(vhu->sock, msg, -1);
}

static int vhu_reply_u64(struct vhu *vhu, struct vhu_msg *msg, uint64_t value)
{
	msg->payload.u64 = value;
	return vhu_reply(vhu, msg, sizeof(value));
}

static int vhu_get_features(struct vhu *vhu, struct vhu_msg *msg)
{
	return vhu_reply_u64(vhu, msg, vhu_offered_features(vhu));
}

static int vhu_set_features(struct vhu *vhu, struct vhu_msg *msg)
{
	const uint64_t features = msg->payload.u64;

	if (features & ~vhu_offered_features(vhu))
		return -EINVAL;
	for (unsigned int i = 0; i < vhu->ops->num_queues; i++) {
		if (vhu->queues[i].vq.ready)
			return -EBUSY;
		/* Without the bit there is no SET_VRING_ENABLE: rings begin enabled. */
		if (!(features & VHU_BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
			vhu->queues[i].enabled = true;
	}
	vhu->features = features;
	return 0;
}

static uint64_t vhu_offered_protocol_features(const struct vhu *vhu)
{
	uint64_t f = VHU_BIT(VHOST_USER_PROTOCOL_F_MQ) | VHU_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK);

	if (vhu->ops->backend_channel)
		f |= VHU_BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
		     VHU_BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) |
		     VHU_BIT(VHOST_USER_PROTOCOL_F_SHMEM);
	if (vhu->ops->inflight)
		f |= VHU_BIT(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
	if (vhu->ops->get_config)
		f |= VHU_BIT(VHOST_USER_PROTOCOL_F_CONFIG);
	return f;
}

static int vhu_get_protocol_features(struct vhu *vhu, struct vhu_msg *msg)
{
	return vhu_reply_u64(vhu, msg, vhu_offered_protocol_features(vhu));
}

static int vhu_set_protocol_features(struct vhu *vhu, struct vhu_msg *msg)
{
	if (msg->payload.u64 & ~vhu_offered_protocol_features(vhu))
		return -EINVAL;
	vhu->protocol_features = msg->payload.u64;
	return 0;
}

static int vhu_get_queue_num(struct vhu *vhu, struct vhu_msg *msg)
{
	return vhu_reply_u64(vhu, msg, vhu->ops->num_queues);
}

static int vhu_set_owner(struct vhu *vhu, struct vhu_msg *msg)
{
	(void)vhu;
	(void)msg;
	return 0; /* one connection is one session: there is nobody to take it from */
}

static int vhu_reset_owner(struct vhu *vhu, struct vhu_msg *msg)
{
	(void)msg;
	for (unsigned int i = 0; i < vhu->ops->num_queues; i++) {
		vhu_queue_stop(vhu, i);
		vhu->queues[i].enabled = false;
	}
	return 0;
}

static int vhu_map_memory(struct vhu *vhu, const struct vhost_user_memory *table, const int *fds)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct vhost_user_region *r = &table->regions[i];
		int ret;

		if (r->user_addr + r->size < r->user_addr)
			return -EINVAL;
		ret = guest_memory_add(&vhu->mem, r->gpa, r->size, fds[i], r->mmap_offset);
		if (ret < 0)
			return ret;
		vhu->user_addr[i] = r->user_addr;
	}
	return 0;
}

static int vhu_set_mem_table(struct vhu *vhu, struct vhu_msg *msg)
{
	const struct vhost_user_memory *table = &msg->payload.mem;
	const size_t head = offsetof(struct vhost_user_memory, regions);
	int r;

	if (msg->hdr.size < head || table->count > VHOST_USER_MAX_REGIONS ||
	    msg->hdr.size != head + table->count * sizeof(table->regions[0]) ||
	    msg->nfds != table->count)
		return -EPROTO;
	for (unsigned int i = 0; i < vhu->ops->num_queues; i++)
		vhu_queue_stop(vhu, i);
	guest_memory_release(&vhu->mem);
	memset(&vhu->mem, 0, sizeof(vhu->mem));
	vhu->mem.memfd = -1;
	r = vhu_map_memory(vhu, table, msg->fds);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < vhu->ops->num_queues; i++)
		vhu_queue_try_start(vhu, i);
	return 0;
}

/* The queue that a message speaks of, NULL when there is none of that number. */
static struct vhu_queue *vhu_queue_get(struct vhu *vhu, uint64_t index)
{
	return index < vhu->ops->num_queues ? &vhu->queues[index] : NULL;
}

static int vhu_set_vring_num(struct vhu *vhu, struct vhu_msg *msg)
{
	struct vhu_queue *q = vhu_queue_get(vhu, msg->payload.state.index);

	if (!q || msg->payload.state.num > VIRTQUEUE_MAX_SIZE)
		return -EINVAL;
	if (q->vq.ready)
		return -EBUSY;
	q->vq.size = (uint16_t)msg->payload.state.num;
	return 0;
}

static int vhu_user_to_gpa(const struct vhu *vhu, uint64_t addr, uint64_t *gpa)
{
	for (size_t i = 0; i < vhu->mem.count; i++) {
		if (addr >= vhu->user_addr[i] &&
		    addr - vhu->user_addr[i] < vhu->mem.regions[i].size) {
			*gpa = vhu->mem.regions[i].gpa + (addr - vhu->user_addr[i]);
			return 0;
		}
	}
	return -EFAULT;
}

static int vhu_set_vring_addr(struct vhu *vhu, struct vhu_msg *msg)
{
	const struct vhost_user_vring_addr *a = &msg->payload.addr;
	struct vhu_queue *q = vhu_queue_get(vhu, a->index);

	if (!q || a->flags)
		return -EINVAL;
	if (q->vq.ready)
		return -EBUSY;
	if (vhu_user_to_gpa(vhu, a->desc, &q->vq.desc) < 0 ||
	    vhu_user_to_gpa(vhu, a->avail, &q->vq.avail) < 0 ||
	    vhu_user_to_gpa(vhu, a->used, &q->vq.used) < 0)
		return -EFAULT;
	q->addr_set = true;
	vhu_queue_try_start(vhu, a->index);
	return 0;
}

static int vhu_set_vring_base(struct vhu *vhu, struct vhu_msg *msg)
{
	struct vhu_queue *q = vhu_queue_get(vhu, msg->payload.state.index);

	if (!q || msg->payload.state.num > UINT16_MAX)
		return -EINVAL;
	if (q->vq.ready)
		return -EBUSY;
	q->vq.last_avail = (uint16_t)msg->payload.state.num;
	return 0;
}

static int vhu_get_vring_base(struct vhu *vhu, struct vhu_msg *msg)
{
	const uint32_t index = msg->payload.state.index;
	struct vhu_queue *q = vhu_queue_get(vhu, index);

	if (!q)
		return -EINVAL;
	vhu_queue_stop(vhu, index);
	/* It starts anew with a new kick fd; the addresses have to be given again, too. */
	vhu_queue_set_kick(vhu, index, -1);
	q->addr_set = false;
	q->vq.broken = false;
	msg->payload.state.num = q->vq.last_avail;
	return vhu_reply(vhu, msg, sizeof(msg->payload.state));
}

/* The fd of SET_VRING_{KICK,CALL,ERR}: *fd is -1 when none is meant. */
static int vhu_vring_fd(struct vhu_msg *msg, unsigned int *index, int *fd)
{
	const uint64_t v = msg->payload.u64;

	if (v & ~(uint64_t)(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NOFD))
		return -EINVAL;
	if (msg->nfds != (v & VHOST_USER_VRING_NOFD ? 0 : 1))
		return -EPROTO;
	*index = (unsigned int)(v & VHOST_USER_VRING_INDEX_MASK);
	*fd = msg->nfds ? steal_fd(&msg->fds[0]) : -1;
	return 0;
}

static int vhu_set_vring_kick(struct vhu *vhu, struct vhu_msg *msg)
{
	cleanup_close int fd = -1;
	unsigned int index;
	int r = vhu_vring_fd(msg, &index, &fd);

	if (r < 0)
		return r;
	/* Without a kick fd the back end would have to poll the ring. */
	if (fd < 0 || !vhu_queue_get(vhu, index))
		return -EINVAL;
	r = fd_set_nonblock(fd, true);
	if (!r)
		r = vhu_epoll_add(vhu, fd, VHU_EVENT_KICK + index);
	if (r < 0)
		return r;
	vhu_queue_set_kick(vhu, index, steal_fd(&fd));
	vhu_queue_try_start(vhu, index);
	return 0;
}

static int vhu_set_vring_event(struct vhu *vhu, struct vhu_msg *msg, bool call)
{
	cleanup_close int fd = -1;
	unsigned int index;
	struct vhu_queue *q;
	int r = vhu_vring_fd(msg, &index, &fd);
	int *slot;

	if (r < 0)
		return r;
	q = vhu_queue_get(vhu, index);
	if (!q)
		return -EINVAL;
	slot = call ? &q->call_fd : &q->err_fd;
	if (*slot >= 0)
		close(*slot);
	*slot = steal_fd(&fd);
	return 0;
}

static int vhu_set_vring_call(struct vhu *vhu, struct vhu_msg *msg)
{
	return vhu_set_vring_event(vhu, msg, true);
}

static int vhu_set_vring_err(struct vhu *vhu, struct vhu_msg *msg)
{
	return vhu_set_vring_event(vhu, msg, false);
}

static int vhu_set_vring_enable(struct vhu *vhu, struct vhu_msg *msg)
{
	const uint32_t index = msg->payload.state.index;
	struct vhu_queue *q = vhu_queue_get(vhu, index);

	if (!q || msg->payload.state.num > 1)
		return -EINVAL;
	q->enabled = msg->payload.state.num;
	if (q->enabled)
		vhu_queue_try_start(vhu, index);
	else
		vhu_queue_stop(vhu, index);
	return 0;
}

static int vhu_set_backend_req_fd(struct vhu *vhu, struct vhu_msg *msg)
{
	int r;

	if (!vhu->ops->backend_channel)
		return -ENOTSUP;
	if (msg->nfds != 1)
		return -EPROTO;
	r = fd_set_nonblock(msg->fds[0], false);
	if (r < 0)
		return r;
	if (vhu->backend_sock >= 0)
		close(vhu->backend_sock);
	vhu->backend_sock = steal_fd(&msg->fds[0]);
	return 0;
}

static int vhu_set_inflight_fd(struct vhu *vhu, struct vhu_msg *msg)
{
	if (!vhu->ops->inflight)
		return -ENOTSUP;
	if (msg->nfds != 1)
		return -EPROTO;
	return vhu_inflight_set(vhu, &msg->payload.inflight, msg->fds[0]);
}

static int vhu_get_config(struct vhu *vhu, struct vhu_msg *msg)
{
	struct vhost_user_config *c = &msg->payload.config;
	const size_t head = offsetof(struct vhost_user_config, region);
	uint8_t space[VHOST_USER_MAX_CONFIG] = { 0 };
	size_t len;

	if (msg->hdr.size < head || c->size > VHOST_USER_MAX_CONFIG ||
	    msg->hdr.size != head + c->size)
		return -EPROTO;
	len = vhu->ops->get_config ? vhu->ops->get_config(vhu->data, space, sizeof(space)) : 0;
	if (c->offset > len || c->size > len - c->offset)
		return vhu_reply(vhu, msg, 0); /* the specification's way to say no */
	memcpy(c->region, space + c->offset, c->size);
	return vhu_reply(vhu, msg, msg->hdr.size);
}

/* Windows are as large as the front end makes them: the back end asks for none of its own. */
static int vhu_get_shmem_config(struct vhu *vhu, struct vhu_msg *msg)
{
	memset(&msg->payload.shmem, 0, sizeof(msg->payload.shmem));
	return vhu_reply(vhu, msg, sizeof(msg->payload.shmem));
}

#define VHU_SIZE_ANY UINT32_MAX

struct vhu_handler {
	int (*fn)(struct vhu *vhu, struct vhu_msg *msg);
	uint32_t size; /* the payload's, or VHU_SIZE_ANY: checked by the handler */
	bool takes_fds;
	bool replies; /* sends an answer of its own */
};

static const struct vhu_handler vhu_handlers[] = {
	[VHOST_USER_GET_FEATURES] = { vhu_get_features, 0, false, true },
	[VHOST_USER_SET_FEATURES] = { vhu_set_features, 8, false, false },
	[VHOST_USER_SET_OWNER] = { vhu_set_owner, 0, false, false },
	[VHOST_USER_RESET_OWNER] = { vhu_reset_owner, 0, false, false },
	[VHOST_USER_SET_MEM_TABLE] = { vhu_set_mem_table, VHU_SIZE_ANY, true, false },
	[VHOST_USER_SET_VRING_NUM] = { vhu_set_vring_num, 8, false, false },
	[VHOST_USER_SET_VRING_ADDR] = { vhu_set_vring_addr, 40, false, false },
	[VHOST_USER_SET_VRING_BASE] = { vhu_set_vring_base, 8, false, false },
	[VHOST_USER_GET_VRING_BASE] = { vhu_get_vring_base, 8, false, true },
	[VHOST_USER_SET_VRING_KICK] = { vhu_set_vring_kick, 8, true, false },
	[VHOST_USER_SET_VRING_CALL] = { vhu_set_vring_call, 8, true, false },
	[VHOST_USER_SET_VRING_ERR] = { vhu_set_vring_err, 8, true, false },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { vhu_get_protocol_features, 0, false, true },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { vhu_set_protocol_features, 8, false, false },
	[VHOST_USER_GET_QUEUE_NUM] = { vhu_get_queue_num, 0, false, true },
	[VHOST_USER_SET_VRING_ENABLE] = { vhu_set_vring_enable, 8, false, false },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { vhu_set_backend_req_fd, 0, true, false },
	[VHOST_USER_SET_INFLIGHT_FD] = { vhu_set_inflight_fd, 24, true, false },
	[VHOST_USER_GET_CONFIG] = { vhu_get_config, VHU_SIZE_ANY, false, true },
	[VHOST_USER_GET_SHMEM_CONFIG] = { vhu_get_shmem_config, 0, false, true },
};

static const struct vhu_handler *vhu_handler(uint32_t request)
{
	if (request >= sizeof(vhu_handlers) / sizeof(vhu_handlers[0]))
		return NULL;
	return vhu_handlers[request].fn ? &vhu_handlers[request] : NULL;
}

int vhu_handle(struct vhu *vhu, struct vhu_msg *msg)
{
	const uint32_t request = msg->hdr.request;
	const struct vhu_handler *h = vhu_handler(request);
	const bool ack = (vhu->protocol_features & VHU_BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)) &&
			 (msg->hdr.flags & VHOST_USER_FLAG_NEED_REPLY);
	int r = -ENOTSUP;

	if (h && ((h->size != VHU_SIZE_ANY && h->size != msg->hdr.size) ||
		  (msg->nfds && !h->takes_fds)))
		r = -EPROTO;
	else if (h)
		r = h->fn(vhu, msg);
	if (r < 0)
		log_warning("%s: vhost-user message %u refused: %s", vhu->ops->name, request,
			    strerror(-r));
	if (!ack || (h && h->replies))
		return r;
	return vhu_reply_u64(vhu, msg, r < 0);
}
