/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A blob is a file that the render server gives: sealed shared memory (blob_id 0, Venus's rings),
 * or an allocation of the driver as a dma-buf (for host-visible memory, by our Vulkan layer, a
 * memfd too). MAP_BLOB has the VMM map that file into the window, at an offset which the guest's
 * driver chose and which is checked here and again in the VMM. An opaque file can only be mapped by
 * the driver that made it, inside a process that has the driver. None of ours has: it is refused.
 *
 * A blob that is mapped is first taken from the guest, then from the VMM (one SHMEM_UNMAP does
 * both), and only then from the renderer.
 *
 * Memory that comes from the guest (BLOB_MEM_GUEST) is of no use to Venus, which never asks for it;
 * it is refused, so that no guest page is ever read or written on the renderer's behalf.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/workers/gpu_device.h"

#define GPU_BLOB_FLAGS                                                              \
	(VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE | VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE |   \
	 VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE)

static uint64_t gpu_page_round_up(uint64_t size)
{
	return (size + GPU_PAGE_SIZE - 1) & ~(uint64_t)(GPU_PAGE_SIZE - 1);
}

/* The file must hold every page that will be mapped: a page beyond its end is a SIGBUS for whoever
 * touches it. */
static bool gpu_file_holds(int fd, uint64_t size)
{
	off_t end = lseek(fd, 0, SEEK_END);

	return end >= 0 && gpu_page_round_up((uint64_t)end) >= gpu_page_round_up(size);
}

/* Looks at what the renderer made: its kind, whether it is as long as asked, how to cache it. */
static int gpu_blob_inspect(struct gpu_resource *res)
{
	cleanup_close int fd = gpu_renderer_export(res->id, &res->fd_type);

	if (fd < 0)
		return -EINVAL;
	if (res->fd_type != GPU_FD_OPAQUE && !gpu_file_holds(fd, res->size)) {
		log_warning("the render server gave a blob shorter than the %llu bytes asked for",
			    (unsigned long long)res->size);
		return -EINVAL;
	}
	/* Files with seals are shared memory: ordinary pages, whatever the driver believes. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		res->map_info = VIRTIO_GPU_MAP_CACHE_CACHED;
	else
		res->map_info = gpu_renderer_map_info(res->id);
	return 0;
}

static uint32_t gpu_add_error(int r)
{
	switch (r) {
	case -EINVAL:
	case -EEXIST:
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	default:
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
}

static bool gpu_create_blob_valid(const struct virtio_gpu_resource_create_blob *req)
{
	return le32toh(req->blob_mem) == VIRTIO_GPU_BLOB_MEM_HOST3D && !req->nr_entries &&
	       !(le32toh(req->blob_flags) & ~(uint32_t)GPU_BLOB_FLAGS) && req->size &&
	       le64toh(req->size) <= INT64_MAX - GPU_PAGE_SIZE;
}

uint32_t gpu_cmd_create_blob(struct gpu_device *dev, struct gpu_command *cmd)
{
	const struct virtio_gpu_resource_create_blob *req = &cmd->req.create_blob;
	struct gpu_context *ctx = gpu_context_find(&dev->contexts, le32toh(req->hdr.ctx_id));
	uint32_t id = le32toh(req->resource_id);
	uint64_t size = le64toh(req->size);
	struct gpu_resource *res;
	int r;

	if (!gpu_create_blob_valid(req))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (!ctx || ctx->dead)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	r = gpu_resource_add(&dev->resources, id, size, &res);
	if (r < 0)
		return gpu_add_error(r);
	r = gpu_renderer_blob_create(&ctx->renderer, id, le64toh(req->blob_id), size,
				     le32toh(req->blob_flags));
	if (r < 0) {
		log_guest_warning("GPU context %u: no blob of %llu bytes", ctx->id,
				  (unsigned long long)size);
		gpu_resource_remove(&dev->resources, res);
		if (r == -ENOMEM)
			return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		gpu_device_context_failed(dev, ctx);
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	res->creator = ctx->serial;
	res->creator_attached = true;
	if (gpu_blob_inspect(res) < 0) {
		gpu_renderer_unref(id);
		gpu_resource_remove(&dev->resources, res);
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Maps what was checked before; the window's range is taken. */
static int gpu_blob_map_file(struct gpu_device *dev, const struct gpu_resource *res,
			     uint64_t offset, uint64_t len)
{
	enum gpu_fd_type type;
	cleanup_close int fd = gpu_renderer_export(res->id, &type);

	if (fd < 0 || type != res->fd_type || !gpu_file_holds(fd, res->size))
		return -EINVAL;
	return vhu_shmem_map(dev->vhu, GPU_SHM_HOST_VISIBLE, fd, 0, offset, len, true);
}

uint32_t gpu_cmd_map_blob(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_resource *res =
		gpu_resource_find(&dev->resources, le32toh(cmd->req.map_blob.resource_id));
	uint64_t offset = le64toh(cmd->req.map_blob.offset);
	uint64_t len;
	int r;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (res->mapped)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (res->fd_type == GPU_FD_OPAQUE) {
		log_guest_warning("GPU memory that only its driver can map was refused: the host's "
				  "driver offers neither dma-bufs nor VK_EXT_external_memory_host");
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	len = gpu_page_round_up(res->size);
	r = gpu_window_take(&dev->window, offset, len);
	if (r < 0)
		return r == -ENOMEM ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY :
				      VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	r = gpu_blob_map_file(dev, res, offset, len);
	if (r < 0) {
		log_guest_warning("a blob of %llu bytes cannot be mapped at %#llx: %s",
				  (unsigned long long)res->size, (unsigned long long)offset,
				  strerror(-r));
		gpu_window_drop(&dev->window, offset);
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
	res->mapped = true;
	res->map_offset = offset;
	res->map_len = len;
	cmd->resp.map_info.map_info = htole32(res->map_info);
	cmd->resp_len = sizeof(cmd->resp.map_info);
	return VIRTIO_GPU_RESP_OK_MAP_INFO;
}

/* After an error the range stays taken: something may still be mapped there. */
static int gpu_blob_unmap(struct gpu_device *dev, struct gpu_resource *res)
{
	int r;

	if (!res->mapped)
		return 0;
	r = vhu_shmem_unmap(dev->vhu, GPU_SHM_HOST_VISIBLE, res->map_offset, res->map_len);
	if (r < 0) {
		log_warning("a blob cannot be unmapped from %#llx: %s",
			    (unsigned long long)res->map_offset, strerror(-r));
		return r;
	}
	gpu_window_drop(&dev->window, res->map_offset);
	res->mapped = false;
	return 0;
}

uint32_t gpu_cmd_unmap_blob(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_resource *res =
		gpu_resource_find(&dev->resources, le32toh(cmd->req.unmap_blob.resource_id));

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!res->mapped || gpu_blob_unmap(dev, res) < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_cmd_unref(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_resource *res =
		gpu_resource_find(&dev->resources, le32toh(cmd->req.unref.resource_id));

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (gpu_blob_unmap(dev, res) < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	gpu_renderer_unref(res->id);
	gpu_resource_remove(&dev->resources, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* The identity by which another of the guest's virtio devices would name the resource. */
uint32_t gpu_cmd_assign_uuid(struct gpu_device *dev, struct gpu_command *cmd)
{
	uint8_t *uuid = cmd->resp.uuid.uuid;

	if (!gpu_resource_find(&dev->resources, le32toh(cmd->req.assign_uuid.resource_id)))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (getrandom(uuid, sizeof(cmd->resp.uuid.uuid), 0) != sizeof(cmd->resp.uuid.uuid))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562: version 4, */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80); /* variant 1 */
	cmd->resp_len = sizeof(cmd->resp.uuid);
	return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
}

/* The context and resource that ATTACH and DETACH name; the context may be a dead one. */
static uint32_t gpu_ctx_resource(struct gpu_device *dev, const struct gpu_command *cmd,
				 struct gpu_context **ctx, struct gpu_resource **res)
{
	*ctx = gpu_context_find(&dev->contexts, le32toh(cmd->req.hdr.ctx_id));
	*res = gpu_resource_find(&dev->resources, le32toh(cmd->req.ctx_resource.resource_id));
	if (!*ctx)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	return *res ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
}

/*
 * A blob is attached to the context that made it from the start. Of the rest the library can only
 * take dma-bufs to another context, and aborts when asked for more.
 */
uint32_t gpu_cmd_ctx_attach(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_context *ctx;
	struct gpu_resource *res;
	uint32_t r = gpu_ctx_resource(dev, cmd, &ctx, &res);

	if (r != VIRTIO_GPU_RESP_OK_NODATA || ctx->dead)
		return r;
	if (res->creator == ctx->serial && res->creator_attached)
		return r;
	if (res->fd_type != GPU_FD_DMABUF)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu_renderer_attach(&ctx->renderer, res->id);
	if (res->creator == ctx->serial)
		res->creator_attached = true;
	return r;
}

uint32_t gpu_cmd_ctx_detach(struct gpu_device *dev, struct gpu_command *cmd)
{
	struct gpu_context *ctx;
	struct gpu_resource *res;
	uint32_t r = gpu_ctx_resource(dev, cmd, &ctx, &res);

	if (r != VIRTIO_GPU_RESP_OK_NODATA || ctx->dead)
		return r;
	gpu_renderer_detach(&ctx->renderer, res->id);
	if (res->creator == ctx->serial)
		res->creator_attached = false;
	return r;
}

void gpu_blobs_destroy_all(struct gpu_device *dev)
{
	struct gpu_resource *res;

	while ((res = gpu_resource_any(&dev->resources))) {
		gpu_blob_unmap(dev, res);
		gpu_renderer_unref(res->id);
		gpu_resource_remove(&dev->resources, res);
	}
}
