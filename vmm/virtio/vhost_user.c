/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user, the front end: virtio-fs, virtio-gpu and virtio-net, whose queues worker processes
 * serve.
 *
 * Theory of operation: features are agreed with the worker when the device is made, so that the
 * driver is offered what the worker can do. DRIVER_OK sends guest memory, ring addresses and
 * eventfds; from then on the VMM is out of the way, but for the worker's requests to map files into
 * the shared-memory window, each of which is checked there. A reset takes the rings back
 * (GET_VRING_BASE), after which the worker has promised not to touch them.
 *
 * A worker is our own program, but it is the first to fall to a hostile guest: nothing it says is
 * trusted, and one that breaks the protocol, falls silent or dies is reported once and not spoken to
 * again. Without its files or its network a guest is lost; a GPU it can do without: its queues are
 * served from here then (gpu_orphan.c), with the chains that the worker had (worker_guard.c).
 */
#include "vmm/virtio/vhost_user.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/event_loop.h"
#include "vmm/shm_window.h"
#include "vmm/virtio/gpu_orphan.h"
#include "vmm/virtio/vhost_user_link.h"
#include "vmm/virtio/worker_guard.h"

#define VHOST_USER_NUM_QUEUES 2
#define VHOST_USER_GPU_QUEUE_SIZE 256

/* What is passed on between driver and worker whatever the device; the rest is not understood. */
#define VHOST_USER_RING_FEATURES                                                  \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |       \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

/* The driver's and ours alone: they are in the configuration space. */
#define VHOST_USER_NET_OWN                                                        \
	(1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_STATUS)

struct vhost_user_device {
	struct virtio_device dev;
	struct event_loop *loop; /* borrowed */
	struct vhost_user_host host;
	struct vhost_user_link link;
	struct event_source sock_src, backend_src;
	struct shm_window *window;		/* borrowed; NULL: none */
	uint32_t started;			/* bit n: the worker has ring n */
	int err_fd[VHOST_USER_NUM_QUEUES];	/* owned eventfds: the worker found a ring broken */
	struct event_source err_src[VHOST_USER_NUM_QUEUES];
	bool dead;				/* the worker is not spoken to any more */
	union {
		struct virtio_fs_config fs;
		struct virtio_gpu_config gpu;
		struct virtio_net_config net;
	} config;
	uint64_t own_features; /* not the worker's business */
	struct worker_guard *guard; /* owned; the GPU's only, when its worker keeps notes */
	struct gpu_orphan orphan;   /* in use when the guard is there and the worker dead */
};

static struct vhost_user_device *vhost_user_of(struct virtio_device *dev)
{
	return (struct vhost_user_device *)dev;
}

static void vhost_user_close(struct vhost_user_device *vu)
{
	event_loop_remove(vu->loop, &vu->sock_src);
	event_loop_remove(vu->loop, &vu->backend_src);
	if (vu->guard)
		worker_guard_stop(vu->guard);
	vhost_user_link_close(&vu->link);
	vu->dead = true;
	vu->started = 0;
}

/* From now on the device is served here; @first: the worker may have had chains. */
static void vhost_user_orphan(struct vhost_user_device *vu, bool first)
{
	uint16_t taken[VHOST_USER_NUM_QUEUES][VHOST_USER_GPU_QUEUE_SIZE];
	uint16_t *const heads[VHOST_USER_NUM_QUEUES] = { taken[0], taken[1] };
	unsigned int counts[VHOST_USER_NUM_QUEUES] = { 0 };

	for (unsigned int i = 0; first && i < VHOST_USER_NUM_QUEUES; i++)
		if (vu->dev.queues[i].ready)
			counts[i] = worker_guard_inherit(vu->guard, i, &vu->dev.queues[i], taken[i]);
	gpu_orphan_start(&vu->orphan, &vu->dev, vu->loop, heads, counts);
}

static const char *vhost_user_reason(int error)
{
	switch (error) {
	case -EPIPE:
		return "its process has ended";
	case -ETIMEDOUT:
		return "it does not answer";
	case -EPROTO:
		return "it broke the vhost-user protocol";
	case -EREMOTEIO:
		return "it refused a request";
	default:
		return strerror(-error);
	}
}

/* The end of the worker, for us. */
static void vhost_user_died(struct vhost_user_device *vu, int error)
{
	if (vu->dead)
		return;
	vhost_user_close(vu);
	if (vu->guard && vu->dev.active) {
		log_warning("the GPU is lost to this container: its worker: %s",
			    vhost_user_reason(error));
		vhost_user_orphan(vu, true);
		return;
	}
	if (vu->window)
		shm_window_clear(vu->window);
	virtio_device_needs_reset(&vu->dev, "its worker is gone");
	vu->host.died(vu->host.data, vu->dev.ops->name, vhost_user_reason(error));
}

/* SHMEM_MAP and UNMAP; the window checks the ranges against itself and the file. */
static int vhost_user_serve(void *data, uint32_t request, const struct vhost_user_mmap *mmap,
			    int fd)
{
	struct vhost_user_device *vu = data;
	int r;

	if (!vu->window || mmap->shmid != VIRTIO_GPU_SHM_ID_HOST_VISIBLE ||
	    (mmap->flags & ~VHOST_USER_MMAP_WRITABLE))
		r = -EINVAL;
	else if (request == VHOST_USER_BACKEND_SHMEM_MAP)
		r = shm_window_map(vu->window, mmap->shm_offset, mmap->len, fd, mmap->fd_offset,
				   mmap->flags & VHOST_USER_MMAP_WRITABLE);
	else
		r = shm_window_unmap(vu->window, mmap->shm_offset, mmap->len);
	if (r < 0)
		log_guest_warning("%s: the worker's request to %s 0x%llx+0x%llx is refused: %s",
				  vu->dev.ops->name, fd >= 0 ? "map" : "unmap",
				  (unsigned long long)mmap->shm_offset,
				  (unsigned long long)mmap->len, strerror(-r));
	return r;
}

/* Outside of a request the worker has nothing to say here: it has ended. */
static void vhost_user_on_sock(void *data, uint32_t events)
{
	struct vhost_user_device *vu = data;
	int r = vhost_user_link_check(&vu->link);

	(void)events;
	if (r < 0)
		vhost_user_died(vu, r);
}

static void vhost_user_on_backend(void *data, uint32_t events)
{
	struct vhost_user_device *vu = data;
	int r = vhost_user_link_serve(&vu->link);

	(void)events;
	if (r < 0)
		vhost_user_died(vu, r);
}

static void vhost_user_on_err(void *data, uint32_t events)
{
	struct vhost_user_device *vu = data;
	eventfd_t value;

	(void)events;
	for (unsigned int i = 0; i < VHOST_USER_NUM_QUEUES; i++)
		if (eventfd_read(vu->err_fd[i], &value) == 0)
			virtio_device_needs_reset(&vu->dev, "its worker found a queue malformed");
}

static int vhost_user_set_mem_table(struct vhost_user_device *vu)
{
	const struct guest_memory *mem = vu->dev.mem;
	struct vhost_user_memory table = { .count = (uint32_t)mem->count };
	int fds[VHOST_USER_MAX_REGIONS];

	if (mem->count > VHOST_USER_MAX_REGIONS)
		return -E2BIG;
	for (size_t i = 0; i < mem->count; i++) {
		const struct guest_region *region = &mem->regions[i];

		table.regions[i] = (struct vhost_user_region){
			.gpa = region->gpa,
			.size = region->size,
			.user_addr = (uintptr_t)region->hva,
			.mmap_offset = region->fd_offset,
		};
		fds[i] = mem->memfd;
	}
	return vhost_user_link_request(&vu->link, VHOST_USER_SET_MEM_TABLE, &table,
				       (uint32_t)(offsetof(struct vhost_user_memory, regions) +
						  mem->count * sizeof(table.regions[0])),
				       fds, mem->count);
}

static int vhost_user_set_state(struct vhost_user_device *vu, uint32_t request, unsigned int index,
				uint32_t num)
{
	const struct vhost_user_vring_state state = { .index = index, .num = num };

	return vhost_user_link_request(&vu->link, request, &state, sizeof(state), NULL, 0);
}

static int vhost_user_set_fd(struct vhost_user_device *vu, uint32_t request, unsigned int index,
			     int fd)
{
	const uint64_t which = index;

	return vhost_user_link_request(&vu->link, request, &which, sizeof(which), &fd, 1);
}

/* The protocol speaks of rings by their addresses in the front end's address space. */
static int vhost_user_set_addr(struct vhost_user_device *vu, unsigned int index)
{
	const struct virtqueue *vq = &vu->dev.queues[index];
	const struct vhost_user_vring_addr addr = {
		.index = index,
		.desc = (uintptr_t)guest_memory_ptr(vu->dev.mem, vq->desc, 16ull * vq->size),
		.avail = (uintptr_t)guest_memory_ptr(vu->dev.mem, vq->avail, 6 + 2ull * vq->size),
		.used = (uintptr_t)guest_memory_ptr(vu->dev.mem, vq->used, 6 + 8ull * vq->size),
	};

	if (!addr.desc || !addr.avail || !addr.used)
		return -EINVAL;
	return vhost_user_link_request(&vu->link, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr),
				       NULL, 0);
}

static int vhost_user_start_queue(struct vhost_user_device *vu, unsigned int i)
{
	int r = vhost_user_set_state(vu, VHOST_USER_SET_VRING_NUM, i, vu->dev.queues[i].size);

	if (r == 0)
		r = vhost_user_set_state(vu, VHOST_USER_SET_VRING_BASE, i, 0);
	if (r == 0)
		r = vhost_user_set_addr(vu, i);
	if (r == 0)
		r = vhost_user_set_fd(vu, VHOST_USER_SET_VRING_CALL, i,
				      virtio_device_call_fd(&vu->dev, i));
	if (r == 0)
		r = vhost_user_set_fd(vu, VHOST_USER_SET_VRING_ERR, i, vu->err_fd[i]);
	if (r == 0)
		r = vhost_user_set_fd(vu, VHOST_USER_SET_VRING_KICK, i,
				      virtio_device_kick_fd(&vu->dev, i));
	if (r == 0)
		r = vhost_user_set_state(vu, VHOST_USER_SET_VRING_ENABLE, i, 1);
	if (r == 0)
		vu->started |= 1u << i;
	return r;
}

/* Before the rings start: the notes begin empty. */
static void vhost_user_guard(struct vhost_user_device *vu)
{
	int kicks[VHOST_USER_NUM_QUEUES];
	uint32_t ready = 0;

	for (unsigned int i = 0; i < VHOST_USER_NUM_QUEUES; i++) {
		kicks[i] = virtio_device_kick_fd(&vu->dev, i);
		ready |= vu->dev.queues[i].ready ? 1u << i : 0;
	}
	worker_guard_start(vu->guard, kicks, ready);
}

static int vhost_user_activate(struct virtio_device *dev)
{
	struct vhost_user_device *vu = vhost_user_of(dev);
	const uint64_t features = (dev->features & ~vu->own_features) |
				  1ull << VHOST_USER_F_PROTOCOL_FEATURES;
	int r;

	if (vu->dead && vu->guard) {
		vhost_user_orphan(vu, false);
		return 0;
	}
	if (vu->dead)
		return -EPIPE;
	r = vhost_user_link_request(&vu->link, VHOST_USER_SET_FEATURES, &features,
				    sizeof(features), NULL, 0);
	if (r == 0)
		r = vhost_user_set_mem_table(vu);
	if (r == 0 && vu->guard)
		vhost_user_guard(vu);
	for (unsigned int i = 0; r == 0 && i < dev->ops->num_queues; i++)
		if (dev->queues[i].ready)
			r = vhost_user_start_queue(vu, i);
	if (r < 0)
		vhost_user_died(vu, r);
	return r;
}

static void vhost_user_reset(struct virtio_device *dev)
{
	struct vhost_user_device *vu = vhost_user_of(dev);
	int r = 0;

	gpu_orphan_stop(&vu->orphan);
	if (vu->guard)
		worker_guard_stop(vu->guard);
	for (unsigned int i = 0; r == 0 && i < dev->ops->num_queues; i++) {
		struct vhost_user_vring_state state = { .index = i };

		if (!(vu->started & 1u << i))
			continue;
		r = vhost_user_set_state(vu, VHOST_USER_SET_VRING_ENABLE, i, 0);
		if (r == 0)
			r = vhost_user_link_query(&vu->link, VHOST_USER_GET_VRING_BASE, &state,
						  sizeof(state), &state, sizeof(state));
	}
	vu->started = 0;
	if (r < 0 && vu->guard)
		vhost_user_close(vu); /* the driver that comes next is served without it */
	else if (r < 0)
		vhost_user_died(vu, r);
	if (vu->window)
		shm_window_clear(vu->window);
}

static void vhost_user_config_read(struct virtio_device *dev, uint32_t offset, void *buf,
				   uint32_t len)
{
	memcpy(buf, (const uint8_t *)&vhost_user_of(dev)->config + offset, len);
}

static void vhost_user_destroy(struct virtio_device *dev)
{
	struct vhost_user_device *vu = vhost_user_of(dev);

	vhost_user_close(vu);
	gpu_orphan_stop(&vu->orphan);
	worker_guard_free(vu->guard);
	if (vu->window)
		shm_window_clear(vu->window);
	for (unsigned int i = 0; i < VHOST_USER_NUM_QUEUES; i++) {
		event_loop_remove(vu->loop, &vu->err_src[i]);
		if (vu->err_fd[i] >= 0)
			close(vu->err_fd[i]);
	}
	free(vu);
}

static void vhost_user_silent(void *data)
{
	vhost_user_died(data, -ETIMEDOUT);
}

/* A worker that keeps notes gets the memory for them. */
static int vhost_user_set_inflight(struct vhost_user_device *vu)
{
	struct vhost_user_inflight inflight;

	if (!(vu->link.protocol_features & 1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	vu->guard = worker_guard_create(vu->loop, VHOST_USER_GPU_QUEUE_SIZE, vhost_user_silent, vu);
	if (!vu->guard)
		return -ENOMEM;
	inflight = worker_guard_describe(vu->guard);
	return vhost_user_link_request(&vu->link, VHOST_USER_SET_INFLIGHT_FD, &inflight,
				       sizeof(inflight), &vu->guard->memfd, 1);
}

/* Agree on the protocol's features; with a window, get the channel for the worker's requests. */
static int vhost_user_set_up_protocol(struct vhost_user_device *vu)
{
	const uint64_t backend = 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
				 1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |
				 1ull << VHOST_USER_PROTOCOL_F_SHMEM;
	uint64_t wanted = 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |
			  1ull << VHOST_USER_PROTOCOL_F_MQ;
	uint64_t offered;
	int pair[2];
	int r = vhost_user_link_u64(&vu->link, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (r < 0)
		return r;
	if (vu->window) {
		if (~offered & backend)
			return -EOPNOTSUPP;
		wanted |= backend | 1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	}
	wanted &= offered;
	r = vhost_user_link_request(&vu->link, VHOST_USER_SET_PROTOCOL_FEATURES, &wanted,
				    sizeof(wanted), NULL, 0);
	if (r < 0)
		return r;
	vu->link.protocol_features = wanted;
	if (!vu->window)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	vu->link.backend_sock = pair[0];
	r = vhost_user_link_request(&vu->link, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
	close(pair[1]);
	return r == 0 ? vhost_user_set_inflight(vu) : r;
}

/* First talk with the worker: what can it do? */
static int vhost_user_greet(struct vhost_user_device *vu, uint64_t *features)
{
	/* For a network device the answer is the number of pairs, as everybody has it. */
	const uint64_t needed = vu->dev.ops->device_id == VIRTIO_ID_NET ? 1 : VHOST_USER_NUM_QUEUES;
	uint64_t queues = needed;
	int r = vhost_user_link_u64(&vu->link, VHOST_USER_GET_FEATURES, features);

	if (r == 0 && !(*features & 1ull << VHOST_USER_F_PROTOCOL_FEATURES))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = vhost_user_set_up_protocol(vu);
	if (r == 0)
		r = vhost_user_link_request(&vu->link, VHOST_USER_SET_OWNER, NULL, 0, NULL, 0);
	if (r == 0 && vu->link.protocol_features & 1ull << VHOST_USER_PROTOCOL_F_MQ)
		r = vhost_user_link_u64(&vu->link, VHOST_USER_GET_QUEUE_NUM, &queues);
	if (r == 0 && (queues < needed || !(*features & 1ull << VIRTIO_F_VERSION_1)))
		r = -EOPNOTSUPP;
	return r;
}

static int vhost_user_watch(struct vhost_user_device *vu)
{
	int r = event_loop_add(vu->loop, &vu->sock_src, vu->link.sock, EPOLLIN | EPOLLRDHUP,
			       vhost_user_on_sock, vu);

	if (r == 0 && vu->link.backend_sock >= 0)
		r = event_loop_add(vu->loop, &vu->backend_src, vu->link.backend_sock, EPOLLIN,
				   vhost_user_on_backend, vu);
	for (unsigned int i = 0; r == 0 && i < VHOST_USER_NUM_QUEUES; i++) {
		vu->err_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = vu->err_fd[i] < 0 ? -errno :
					event_loop_add(vu->loop, &vu->err_src[i], vu->err_fd[i],
						       EPOLLIN, vhost_user_on_err, vu);
	}
	return r;
}

/* What all of them have in common; @sock is taken over. */
static struct vhost_user_device *vhost_user_create(const struct virtio_device_ops *ops,
						   const struct guest_memory *mem,
						   struct event_loop *loop, int sock,
						   struct shm_window *window,
						   const struct vhost_user_host *host,
						   struct error **err)
{
	struct vhost_user_device *vu = calloc(1, sizeof(*vu));
	uint64_t features = 0;
	int r;

	if (!vu) {
		close(sock);
		error_set(err, ENOMEM, "virtio-%s", ops->name);
		return NULL;
	}
	virtio_device_init(&vu->dev, ops, mem);
	vu->dev.external_queues = vu->dev.irqfd = true;
	vu->loop = loop;
	vu->host = *host;
	vu->window = window;
	for (unsigned int i = 0; i < VHOST_USER_NUM_QUEUES; i++)
		vu->err_fd[i] = -1;
	vhost_user_link_init(&vu->link, sock, VHOST_USER_TIMEOUT_MS, vhost_user_serve, vu);
	r = vhost_user_greet(vu, &features);
	if (r == 0)
		r = vhost_user_watch(vu);
	if (r < 0) {
		error_set(err, 0, "cannot use the %s worker: %s", ops->name,
			  r == -EOPNOTSUPP ? "it lacks a needed vhost-user feature" :
					     vhost_user_reason(r));
		vhost_user_destroy(&vu->dev);
		return NULL;
	}
	vu->dev.offered_features = features & (ops->features | VHOST_USER_RING_FEATURES);
	return vu;
}

static const struct virtio_device_ops vhost_user_fs_ops = {
	.name = "fs",
	.device_id = VIRTIO_ID_FS,
	.num_queues = VHOST_USER_NUM_QUEUES, /* hiprio, request */
	/* Linux makes its requests no longer than a queue: 256 pages and their headers fit. */
	.queue_max_size = 512,
	.config_size = sizeof(struct virtio_fs_config),
	.config_read = vhost_user_config_read,
	.activate = vhost_user_activate,
	.reset = vhost_user_reset,
	.destroy = vhost_user_destroy,
};

struct virtio_device *vhost_user_fs_create(const struct guest_memory *mem, struct event_loop *loop,
					   int sock, const char *tag,
					   const struct vhost_user_host *host, struct error **err)
{
	struct vhost_user_device *vu = vhost_user_create(&vhost_user_fs_ops, mem, loop, sock, NULL,
							 host, err);

	if (!vu)
		return NULL;
	/* 5.11.4: padded with NULs, but not terminated when it fills the field. */
	memcpy(vu->config.fs.tag, tag, strnlen(tag, sizeof(vu->config.fs.tag)));
	vu->config.fs.num_request_queues = htole32(1);
	return &vu->dev;
}

static const struct virtio_device_ops vhost_user_gpu_ops = {
	.name = "gpu",
	.device_id = VIRTIO_ID_GPU,
	.num_queues = VHOST_USER_NUM_QUEUES, /* control, cursor */
	.queue_max_size = VHOST_USER_GPU_QUEUE_SIZE,
	.config_size = sizeof(struct virtio_gpu_config),
	.features = 1ull << VIRTIO_GPU_F_VIRGL | 1ull << VIRTIO_GPU_F_RESOURCE_UUID |
		    1ull << VIRTIO_GPU_F_RESOURCE_BLOB | 1ull << VIRTIO_GPU_F_CONTEXT_INIT,
	.config_read = vhost_user_config_read,
	.activate = vhost_user_activate,
	.reset = vhost_user_reset,
	.destroy = vhost_user_destroy,
};

struct virtio_device *vhost_user_gpu_create(const struct guest_memory *mem, struct event_loop *loop,
					    int sock, struct shm_window *window,
					    const struct vhost_user_host *host, struct error **err)
{
	struct vhost_user_device *vu = vhost_user_create(&vhost_user_gpu_ops, mem, loop, sock,
							 window, host, err);

	if (!vu)
		return NULL;
	if (window)
		vu->dev.shm[VIRTIO_GPU_SHM_ID_HOST_VISIBLE] = (struct virtio_shm_region){
			.gpa = shm_window_gpa(window),
			.size = shm_window_size(window),
		};
	/* No scanouts: nothing is displayed. One capability set: Venus. */
	vu->config.gpu.num_capsets = htole32(1);
	return &vu->dev;
}

static const struct virtio_device_ops vhost_user_net_ops = {
	.name = "net",
	.device_id = VIRTIO_ID_NET,
	.num_queues = VHOST_USER_NUM_QUEUES, /* receive, transmit */
	.queue_max_size = 256,
	.config_size = offsetof(struct virtio_net_config, speed),
	.features = 1ull << VIRTIO_NET_F_MRG_RXBUF,
	.config_read = vhost_user_config_read,
	.activate = vhost_user_activate,
	.reset = vhost_user_reset,
	.destroy = vhost_user_destroy,
};

struct virtio_device *vhost_user_net_create(const struct guest_memory *mem, struct event_loop *loop,
					    int sock, const uint8_t *mac, uint32_t mtu,
					    const struct vhost_user_host *host, struct error **err)
{
	struct vhost_user_device *vu = vhost_user_create(&vhost_user_net_ops, mem, loop, sock, NULL,
							 host, err);

	if (!vu)
		return NULL;
	vu->own_features = VHOST_USER_NET_OWN;
	vu->dev.offered_features |= VHOST_USER_NET_OWN;
	memcpy(vu->config.net.mac, mac, sizeof(vu->config.net.mac));
	vu->config.net.status = htole16(VIRTIO_NET_S_LINK_UP);
	vu->config.net.mtu = htole16((uint16_t)mtu);
	return &vu->dev;
}
