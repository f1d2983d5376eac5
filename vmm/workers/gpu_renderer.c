/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * virglrenderer's proxy talks to the render server over one SOCK_SEQPACKET socket, and to each
 * context's process over another that it receives when the context is created. It has no time
 * limits: a driver that hangs would hang the device, and with it the guest's process, beyond
 * killing. So every call is made under a watchdog (gpu_watchdog.c).
 *
 * Only this file includes virglrenderer.h.
 */
#include "vmm/workers/gpu_renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <virglrenderer.h>

#include "base/error.h"
#include "base/log.h"

#define CAPSET_VENUS 4

static struct {
	int server_fd; /* until the library takes it */
	int sock;      /* the same, to duplicate */
	void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence);
	void *data;
} renderer = { .server_fd = -1, .sock = -1 };

static void renderer_write_fence(void *cookie, uint32_t fence)
{
	/* Only for virglrenderer's own fences, which do not exist without OpenGL. */
	(void)cookie;
	(void)fence;
}

static void renderer_write_context_fence(void *cookie, uint32_t ctx, uint32_t ring, uint64_t fence)
{
	(void)cookie;
	renderer.retired(renderer.data, ctx, ring, fence);
}

static int renderer_get_server_fd(void *cookie, uint32_t version)
{
	int fd = renderer.server_fd;

	(void)cookie;
	if (version != 0)
		return -1;
	renderer.server_fd = -1;
	return fd;
}

static struct virgl_renderer_callbacks renderer_callbacks = {
	.version = 3,
	.write_fence = renderer_write_fence,
	.write_context_fence = renderer_write_context_fence,
	.get_server_fd = renderer_get_server_fd,
};

int gpu_renderer_init(const struct gpu_watchdog_config *watch,
		      void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence),
		      void *data, struct error **err)
{
	const int flags = VIRGL_RENDERER_VENUS | VIRGL_RENDERER_NO_VIRGL |
			  VIRGL_RENDERER_RENDER_SERVER | VIRGL_RENDERER_THREAD_SYNC |
			  VIRGL_RENDERER_ASYNC_FENCE_CB;
	const int server_fd = watch->server_sock;
	int r, type;
	socklen_t len = sizeof(type);

	/* The library would start a server of its own rather than say that this is no socket. */
	if (getsockopt(server_fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return error_set(err, 0, "the render server's fd is no SOCK_SEQPACKET socket");
	if (gpu_watchdog_init(watch, err) < 0)
		return -1;
	renderer.server_fd = server_fd;
	renderer.sock = server_fd;
	renderer.retired = retired;
	renderer.data = data;
	gpu_watchdog_begin(server_fd);
	r = virgl_renderer_init(&renderer, flags, &renderer_callbacks);
	gpu_watchdog_end("start");
	if (r)
		return error_set(err, 0, "virglrenderer cannot be started (%d)", r);
	return 0;
}

size_t gpu_renderer_capset(uint32_t *version, void *buf, size_t size)
{
	uint32_t max_size = 0;

	virgl_renderer_get_cap_set(CAPSET_VENUS, version, &max_size);
	if (buf && max_size && size >= max_size)
		virgl_renderer_fill_caps(CAPSET_VENUS, *version, buf);
	return max_size;
}

/*
 * The library does not tell a context's socket. It is the first descriptor that creating a context
 * makes, hence the lowest free one: no other thread of this process opens any.
 */
static int lowest_free_fd(void)
{
	int fd = fcntl(renderer.sock, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static bool is_seqpacket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

int gpu_renderer_context_create(struct gpu_renderer_context *ctx, uint32_t id, const char *name,
				uint32_t name_len)
{
	int fd = lowest_free_fd();
	int r;

	gpu_watchdog_begin(-1);
	r = virgl_renderer_context_create_with_flags(id, CAPSET_VENUS, name_len, name);
	gpu_watchdog_end("new context");
	if (r)
		return -EIO;
	ctx->id = id;
	ctx->sock = is_seqpacket(fd) ? fd : -1;
	return 0;
}

void gpu_renderer_context_destroy(struct gpu_renderer_context *ctx)
{
	gpu_watchdog_begin(-1);
	virgl_renderer_context_destroy(ctx->id);
	gpu_watchdog_end("end of a context");
	ctx->sock = -1;
}

int gpu_renderer_submit(struct gpu_renderer_context *ctx, void *cmd, size_t size)
{
	int r;

	gpu_watchdog_begin(ctx->sock);
	r = virgl_renderer_submit_cmd(cmd, (int)ctx->id, (int)(size / 4));
	gpu_watchdog_end("submission");
	return r ? -EIO : 0;
}

int gpu_renderer_fence(struct gpu_renderer_context *ctx, uint32_t ring, uint64_t fence)
{
	int r;

	gpu_watchdog_begin(ctx->sock);
	r = virgl_renderer_context_create_fence(ctx->id, VIRGL_RENDERER_FENCE_FLAG_MERGEABLE, ring,
						fence);
	gpu_watchdog_end("fence");
	return r ? -EIO : 0;
}

/*
 * Whether the server answered a request and waits for the next. Nothing but answers comes by a
 * context's socket, and the library took the one there was; an end, or the watchdog's, is readable.
 */
static bool in_step(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };

	return sock >= 0 && poll(&p, 1, 0) == 0;
}

int gpu_renderer_blob_create(struct gpu_renderer_context *ctx, uint32_t res, uint64_t blob_id,
			     uint64_t size, uint32_t flags)
{
	const struct virgl_renderer_resource_create_blob_args args = {
		.res_handle = res,
		.ctx_id = ctx->id,
		.blob_mem = VIRGL_RENDERER_BLOB_MEM_HOST3D,
		.blob_flags = flags,
		.blob_id = blob_id,
		.size = size,
	};
	int r;

	gpu_watchdog_begin(ctx->sock);
	r = virgl_renderer_resource_create_blob(&args);
	gpu_watchdog_end("blob");
	if (!r)
		return 0;
	/* The library does not tell an answer without a file from none. */
	return in_step(ctx->sock) ? -ENOMEM : -EIO;
}

void gpu_renderer_attach(struct gpu_renderer_context *ctx, uint32_t res)
{
	gpu_watchdog_begin(ctx->sock);
	virgl_renderer_ctx_attach_resource((int)ctx->id, (int)res);
	gpu_watchdog_end("attach");
}

void gpu_renderer_detach(struct gpu_renderer_context *ctx, uint32_t res)
{
	gpu_watchdog_begin(ctx->sock);
	virgl_renderer_ctx_detach_resource((int)ctx->id, (int)res);
	gpu_watchdog_end("detach");
}

int gpu_renderer_export(uint32_t res, enum gpu_fd_type *type)
{
	uint32_t fd_type = 0;
	int fd = -1;

	if (virgl_renderer_resource_export_blob(res, &fd_type, &fd) || fd < 0)
		return -EINVAL;
	switch (fd_type) {
	case VIRGL_RENDERER_BLOB_FD_TYPE_DMABUF:
		*type = GPU_FD_DMABUF;
		return fd;
	case VIRGL_RENDERER_BLOB_FD_TYPE_SHM:
		*type = GPU_FD_SHM;
		return fd;
	case VIRGL_RENDERER_BLOB_FD_TYPE_OPAQUE:
		*type = GPU_FD_OPAQUE;
		return fd;
	default:
		close(fd);
		return -EINVAL;
	}
}

uint32_t gpu_renderer_map_info(uint32_t res)
{
	uint32_t info = 0;

	if (virgl_renderer_resource_get_map_info((int)res, &info))
		return VIRGL_RENDERER_MAP_CACHE_NONE;
	return info & VIRGL_RENDERER_MAP_CACHE_MASK;
}

void gpu_renderer_unref(uint32_t res)
{
	gpu_watchdog_begin(-1);
	virgl_renderer_resource_unref(res);
	gpu_watchdog_end("end of a resource");
}
