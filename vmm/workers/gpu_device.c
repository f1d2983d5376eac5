/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A command is a chain: a fixed request, perhaps more bytes, and room for the response. It is
 * copied once, looked up in the table below, and carried out at once: all calls into the renderer
 * are synchronous. Every chain is answered, because a guest's process that waits for an answer
 * cannot even be killed. The answer goes back at once too, except for a command with
 * VIRTIO_GPU_FLAG_FENCE and a ring: that one's chain waits, its response written, until the
 * renderer says that the ring has come so far (gpu_fence.c). Fences without a ring are on the
 * device's own timeline, where whatever came before is done.
 *
 * The renderer says so on a thread of the library's, and the chain goes back to the guest from
 * there: a process that waits for the GPU is not made to wait for this thread as well, which may be
 * in the middle of a command. What both may write, the used ring, has a lock, push_lock. It is never
 * held around a call into the library, which holds locks of its own in that callback.
 *
 * When the renderer fails a context is destroyed and its pending fences pass, so that the guest's
 * Vulkan driver sees a lost device.
 */
#include "vmm/workers/gpu_device.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/log.h"

enum { GPU_QUEUE_CONTROL, GPU_QUEUE_CURSOR, GPU_NUM_QUEUES };

#define GPU_MAX_RINGS 64
#define GPU_WIRE_FORMAT 1u /* of Venus, as Mesa's drivers want it */
/* A context has a socket, a page of fence numbers, and an eventfd for them. */
#define GPU_FILES_KEPT (3 * GPU_MAX_CONTEXTS + 64)

static void gpu_context_lost(void *data)
{
	struct gpu_context *ctx = data;

	gpu_device_context_failed(ctx->dev, ctx);
}

void gpu_device_init(struct gpu_device *dev, uint64_t window, uint64_t max_bytes)
{
	dev->contexts.dev = dev;
	dev->contexts.lost = gpu_context_lost;
	gpu_window_init(&dev->window, window);
	gpu_fences_init(&dev->fences);
	pthread_mutex_init(&dev->push_lock, NULL);
	dev->resources.max_bytes = max_bytes;
	dev->resources.max_count = GPU_MAX_RESOURCES;
	dev->stats = &dev->own_stats;
}

void gpu_device_limit_files(struct gpu_device *dev, uint32_t files)
{
	const size_t left = files > GPU_FILES_KEPT ? files - GPU_FILES_KEPT : 0;

	dev->resources.max_count = left < GPU_MAX_RESOURCES ? left : GPU_MAX_RESOURCES;
}

int gpu_device_share_stats(struct gpu_device *dev, int file)
{
	void *map = mmap(NULL, GPU_STATS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (map == MAP_FAILED)
		return -errno;
	dev->stats = map;
	dev->stats->blob_bytes_max = dev->resources.max_bytes;
	__atomic_store_n(&dev->stats->version, GPU_STATS_VERSION, __ATOMIC_RELEASE);
	return 0;
}

void gpu_device_set_vhu(struct gpu_device *dev, struct vhu *vhu)
{
	dev->vhu = vhu;
	dev->contexts.vhu = vhu;
}

void gpu_device_release(struct gpu_device *dev)
{
	gpu_window_release(&dev->window);
	gpu_fences_release(&dev->fences);
	pthread_mutex_destroy(&dev->push_lock);
	for (struct gpu_resource *res; (res = gpu_resource_any(&dev->resources));)
		gpu_resource_remove(&dev->resources, res);
}

int gpu_device_load_capset(struct gpu_device *dev, struct error **err)
{
	size_t size = gpu_renderer_capset(&dev->capset_version, dev->capset, sizeof(dev->capset));
	uint32_t wire_format; /* comes first */
	uint8_t any = 0;

	if (size > sizeof(dev->capset))
		return error_set(err, 0, "virglrenderer has %zu bytes of capabilities: no more than %d "
				 "can be passed on", size, GPU_CAPSET_MAX);
	for (size_t i = 0; i < size; i++)
		any |= dev->capset[i];
	if (size < sizeof(wire_format) || !any)
		return error_set(err, 0, "virglrenderer was built without Venus");
	memcpy(&wire_format, dev->capset, sizeof(wire_format));
	if (wire_format != GPU_WIRE_FORMAT)
		return error_set(err, 0, "virglrenderer speaks version %u of Venus's wire format, and "
				 "the guests' drivers version %u", wire_format, GPU_WIRE_FORMAT);
	dev->capset_size = (uint32_t)size;
	return 0;
}

/* Without scanouts every one of the sixteen is disabled, which is what zero says. */
static uint32_t gpu_cmd_get_display_info(struct gpu_device *dev, struct gpu_command *cmd)
{
	(void)dev;
	cmd->resp_len = sizeof(cmd->resp.display_info);
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static uint32_t gpu_cmd_get_capset_info(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct virtio_gpu_resp_capset_info *resp = &cmd->resp.capset_info;

	if (cmd->req.get_capset_info.capset_index)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	resp->capset_id = htole32(VIRTIO_GPU_CAPSET_VENUS);
	resp->capset_max_version = htole32(dev->capset_version);
	resp->capset_max_size = htole32(dev->capset_size);
	cmd->resp_len = sizeof(*resp);
	return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

static uint32_t gpu_cmd_get_capset(struct gpu_device *dev, struct gpu_command *cmd)
{
	if (le32toh(cmd->req.get_capset.capset_id) != VIRTIO_GPU_CAPSET_VENUS ||
	    le32toh(cmd->req.get_capset.capset_version) > dev->capset_version)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	memcpy(cmd->resp.bytes + sizeof(cmd->resp.hdr), dev->capset, dev->capset_size);
	cmd->resp_len = sizeof(cmd->resp.hdr) + dev->capset_size;
	return VIRTIO_GPU_RESP_OK_CAPSET;
}

static uint32_t gpu_cmd_ctx_create(struct gpu_device *dev, struct gpu_command *cmd)
{
	const struct virtio_gpu_ctx_create *req = &cmd->req.ctx_create;
	uint32_t len = le32toh(req->nlen);

	/* Without VIRTIO_GPU_F_CONTEXT_INIT context_init is 0, which means OpenGL. */
	if (le32toh(req->context_init) != VIRTIO_GPU_CAPSET_VENUS || len > sizeof(req->debug_name))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	switch (gpu_context_create(&dev->contexts, le32toh(req->hdr.ctx_id), req->debug_name,
				   (uint32_t)strnlen(req->debug_name, len))) {
	case 0:
		return VIRTIO_GPU_RESP_OK_NODATA;
	case -ENOSPC:
		log_guest_warning("the guest has more than %d GPU contexts", GPU_MAX_CONTEXTS);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	case -EIO:
		log_guest_warning("the render server made no context");
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	default:
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	}
}

static uint32_t gpu_cmd_ctx_destroy(struct gpu_device *dev, struct gpu_command *cmd)
{
	uint32_t id = le32toh(cmd->req.hdr.ctx_id);
	struct gpu_context *ctx = gpu_context_find(&dev->contexts, id);

	if (!ctx)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	gpu_context_destroy(&dev->contexts, ctx);
	gpu_fence_pass_context(&dev->fences, id);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

static uint32_t gpu_cmd_submit(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_context *ctx = gpu_context_find(&dev->contexts, le32toh(cmd->req.hdr.ctx_id));
	uint32_t size = le32toh(cmd->req.submit.size);

	if (!ctx)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	if (ctx->dead)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (size % 4 || size > sizeof(dev->submit) || chain_readable(cmd->chain) < size)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	dev->stats->submissions++;
	/* An empty submission carries a fence. */
	if (!size)
		return VIRTIO_GPU_RESP_OK_NODATA;
	chain_read(cmd->chain, dev->submit, size);
	if (gpu_renderer_submit(&ctx->renderer, dev->submit, size) < 0) {
		gpu_device_context_failed(dev, ctx);
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

#define GPU_COMMAND(type, request, fn) { VIRTIO_GPU_CMD_##type, sizeof(struct request), fn }

/* What is not here (2D and OpenGL resources, scanouts) is answered ERR_UNSPEC. */
static const struct {
	uint32_t type;
	size_t size; /* of the fixed part */
	uint32_t (*fn)(struct gpu_device *dev, struct gpu_command *cmd);
} gpu_commands[] = {
	GPU_COMMAND(GET_DISPLAY_INFO, virtio_gpu_ctrl_hdr, gpu_cmd_get_display_info),
	GPU_COMMAND(GET_CAPSET_INFO, virtio_gpu_get_capset_info, gpu_cmd_get_capset_info),
	GPU_COMMAND(GET_CAPSET, virtio_gpu_get_capset, gpu_cmd_get_capset),
	GPU_COMMAND(RESOURCE_UNREF, virtio_gpu_resource_unref, gpu_cmd_unref),
	GPU_COMMAND(RESOURCE_ASSIGN_UUID, virtio_gpu_resource_assign_uuid, gpu_cmd_assign_uuid),
	GPU_COMMAND(RESOURCE_CREATE_BLOB, virtio_gpu_resource_create_blob, gpu_cmd_create_blob),
	GPU_COMMAND(CTX_CREATE, virtio_gpu_ctx_create, gpu_cmd_ctx_create),
	GPU_COMMAND(CTX_DESTROY, virtio_gpu_ctx_destroy, gpu_cmd_ctx_destroy),
	GPU_COMMAND(CTX_ATTACH_RESOURCE, virtio_gpu_ctx_resource, gpu_cmd_ctx_attach),
	GPU_COMMAND(CTX_DETACH_RESOURCE, virtio_gpu_ctx_resource, gpu_cmd_ctx_detach),
	GPU_COMMAND(SUBMIT_3D, virtio_gpu_cmd_submit, gpu_cmd_submit),
	GPU_COMMAND(RESOURCE_MAP_BLOB, virtio_gpu_resource_map_blob, gpu_cmd_map_blob),
	GPU_COMMAND(RESOURCE_UNMAP_BLOB, virtio_gpu_resource_unmap_blob, gpu_cmd_unmap_blob),
};

uint32_t gpu_device_command(size_t i)
{
	return i < sizeof(gpu_commands) / sizeof(*gpu_commands) ? gpu_commands[i].type : 0;
}

static uint32_t gpu_execute(struct gpu_device *dev, struct gpu_command *cmd)
{
	const size_t hdr = sizeof(cmd->req.hdr);
	uint32_t type = le32toh(cmd->req.hdr.type);

	for (size_t i = 0; i < sizeof(gpu_commands) / sizeof(*gpu_commands); i++) {
		size_t rest = gpu_commands[i].size - hdr;

		if (gpu_commands[i].type != type)
			continue;
		if (chain_read(cmd->chain, (uint8_t *)&cmd->req + hdr, rest) != rest)
			return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
		return gpu_commands[i].fn(dev, cmd);
	}
	log_debug("GPU command %#x is not served", type);
	return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

/* Writes the response; what of it the guest has no room for is dropped. Its length. */
static uint32_t gpu_respond(struct gpu_command *cmd, uint32_t status)
{
	const uint32_t echoed = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	const struct virtio_gpu_ctrl_hdr *req = &cmd->req.hdr;
	struct virtio_gpu_ctrl_hdr *resp = &cmd->resp.hdr;

	if (status >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		cmd->resp_len = sizeof(*resp);
	resp->type = htole32(status);
	if (le32toh(req->flags) & VIRTIO_GPU_FLAG_FENCE) {
		resp->flags = req->flags & htole32(echoed);
		resp->fence_id = req->fence_id;
		resp->ctx_id = req->ctx_id;
		resp->ring_idx = req->ring_idx;
	}
	return (uint32_t)chain_write(cmd->chain, &cmd->resp, cmd->resp_len);
}

static void gpu_count(struct gpu_device *dev)
{
	struct gpu_stats *s = dev->stats;

	__atomic_store_n(&s->contexts, dev->contexts.alive, __ATOMIC_RELAXED);
	__atomic_store_n(&s->blobs, dev->resources.count, __ATOMIC_RELAXED);
	__atomic_store_n(&s->blob_bytes, dev->resources.bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&s->fences_total, dev->fences.last_number, __ATOMIC_RELAXED);
	__atomic_store_n(&s->fences, gpu_fence_outstanding(&dev->fences), __ATOMIC_RELAXED);
}

/* Has the chain wait for its ring; false when it is to go back now. */
static bool gpu_defer(struct gpu_device *dev, const struct gpu_command *cmd, uint32_t len)
{
	const uint32_t ring_fence = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	const struct virtio_gpu_ctrl_hdr *hdr = &cmd->req.hdr;
	struct gpu_context *ctx;
	uint64_t number;

	if ((le32toh(hdr->flags) & ring_fence) != ring_fence || hdr->ring_idx >= GPU_MAX_RINGS)
		return false;
	ctx = gpu_context_find(&dev->contexts, le32toh(hdr->ctx_id));
	if (!ctx || ctx->dead)
		return false;
	number = gpu_fence_add(&dev->fences, ctx->id, hdr->ring_idx, cmd->chain->head, len);
	if (!number)
		return false;
	if (gpu_renderer_fence(&ctx->renderer, hdr->ring_idx, number) < 0)
		gpu_device_context_failed(dev, ctx);
	return true;
}

static void gpu_handle_control(struct gpu_device *dev)
{
	struct gpu_command cmd = { .chain = &dev->chain, .resp_len = sizeof(cmd.resp.hdr) };
	uint32_t status = VIRTIO_GPU_RESP_ERR_UNSPEC, len;

	if (chain_read(&dev->chain, &cmd.req.hdr, sizeof(cmd.req.hdr)) == sizeof(cmd.req.hdr))
		status = gpu_execute(dev, &cmd);
	len = gpu_respond(&cmd, status);
	dev->stats->commands++;
	if (gpu_defer(dev, &cmd, len))
		return;
	pthread_mutex_lock(&dev->push_lock);
	vhu_push(dev->vhu, GPU_QUEUE_CONTROL, dev->chain.head, len);
	pthread_mutex_unlock(&dev->push_lock);
}

/* From any thread. Taken and pushed under one lock, so that after it none is on its way. */
static void gpu_push_passed(struct gpu_device *dev)
{
	struct gpu_fence *fence;

	pthread_mutex_lock(&dev->push_lock);
	while ((fence = gpu_fence_take_passed(&dev->fences))) {
		vhu_push(dev->vhu, GPU_QUEUE_CONTROL, fence->head, fence->len);
		free(fence);
	}
	__atomic_store_n(&dev->stats->fences, gpu_fence_outstanding(&dev->fences), __ATOMIC_RELAXED);
	pthread_mutex_unlock(&dev->push_lock);
}

void gpu_device_context_failed(struct gpu_device *dev, struct gpu_context *ctx)
{
	dev->stats->contexts_lost += !ctx->dead;
	gpu_context_kill(&dev->contexts, ctx);
	gpu_fence_pass_context(&dev->fences, ctx->id);
	/* Pushed later: the caller may be in the middle of a chain. */
	vhu_wake(dev->vhu);
}

void gpu_device_fence_passed(void *data, uint32_t ctx, uint32_t ring, uint64_t number)
{
	struct gpu_device *dev = data;

	gpu_fence_pass(&dev->fences, ctx, ring, number);
	gpu_push_passed(dev);
}

bool gpu_device_waiting(void *data)
{
	const struct gpu_device *dev = data;

	return gpu_fence_waiting(&dev->fences);
}

/*
 * The guest's driver is gone, or starts anew. Not done in queue_stop(): the front end waits for
 * that, and would have to serve our unmapping meanwhile.
 */
static void gpu_reset(struct gpu_device *dev)
{
	if (!dev->reset_pending)
		return;
	dev->reset_pending = false;
	gpu_contexts_destroy_all(&dev->contexts);
	gpu_blobs_destroy_all(dev);
	gpu_window_clear(&dev->window);
}

static void gpu_queue_kick(void *data, struct vhu *vhu, unsigned int index)
{
	struct gpu_device *dev = data;
	int r;

	gpu_reset(dev);
	while ((r = vhu_pop(vhu, index, &dev->chain)) > 0) {
		if (index == GPU_QUEUE_CONTROL)
			gpu_handle_control(dev);
		else
			vhu_push(vhu, index, dev->chain.head, 0); /* no cursor to move */
	}
	if (r < 0)
		vhu_queue_broken(vhu, index, "malformed descriptor chain");
	gpu_push_passed(dev);
	gpu_count(dev);
}

static void gpu_queue_stop(void *data, struct vhu *vhu, unsigned int index)
{
	struct gpu_device *dev = data;

	if (index != GPU_QUEUE_CONTROL)
		return;
	gpu_fence_pass_all(&dev->fences);
	gpu_push_passed(dev);
	dev->reset_pending = true;
	vhu_wake(vhu);
}

static void gpu_woken(void *data, struct vhu *vhu)
{
	struct gpu_device *dev = data;

	(void)vhu;
	gpu_push_passed(dev);
	gpu_reset(dev);
	gpu_count(dev);
}

const struct vhu_ops gpu_device_ops = {
	.name = "krun-gpu-gpu",
	.num_queues = GPU_NUM_QUEUES,
	.features = 1ull << VIRTIO_GPU_F_VIRGL | 1ull << VIRTIO_GPU_F_RESOURCE_UUID |
		    1ull << VIRTIO_GPU_F_RESOURCE_BLOB | 1ull << VIRTIO_GPU_F_CONTEXT_INIT,
	.backend_channel = true,
	.inflight = true,
	.queue_kick = gpu_queue_kick,
	.queue_stop = gpu_queue_stop,
	.woken = gpu_woken,
};
