/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_RENDERER_H
#define VMM_WORKERS_GPU_RENDERER_H

/*
 * virglrenderer, for Venus only. The library serves one thread and blocks in most calls until the
 * render server answers; gpu_renderer.c sees to it that a server which never answers is cut off.
 * All ids are already checked by the caller.
 */

#include <stddef.h>
#include <stdint.h>

#include "vmm/workers/gpu_watchdog.h"

struct error;

enum gpu_fd_type { GPU_FD_DMABUF, GPU_FD_SHM, GPU_FD_OPAQUE };

/* One context: a process of the render server and our connection to it. */
struct gpu_renderer_context {
	uint32_t id;
	int sock; /* the library's, borrowed to shut it down; -1 when it could not be told */
};

/**
 * gpu_renderer_init() - connect the library to a render server
 * @watch:   its server_sock, a connected SOCK_SEQPACKET socket, is the library's from now on
 * @retired: a fence and all before it on its ring have passed; called on other threads, with a
 *           lock of the library held: it must not call back nor wait
 */
int gpu_renderer_init(const struct gpu_watchdog_config *watch,
		      void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence),
		      void *data, struct error **err);

/** gpu_renderer_capset() - Venus's capability set: its size, and up to @size bytes of it */
size_t gpu_renderer_capset(uint32_t *version, void *buf, size_t size);

/** gpu_renderer_context_create() - 0 or -EIO */
int gpu_renderer_context_create(struct gpu_renderer_context *ctx, uint32_t id, const char *name,
				uint32_t name_len);
/** gpu_renderer_context_destroy() - its fences never retire after it */
void gpu_renderer_context_destroy(struct gpu_renderer_context *ctx);

/*
 * 0 or -EIO from the following; after -EIO the context is of no more use and is to be destroyed (the
 * library's own thread would spin otherwise).
 */

/** gpu_renderer_submit() - @cmd: 8-byte aligned and private, @size a multiple of 4 */
int gpu_renderer_submit(struct gpu_renderer_context *ctx, void *cmd, size_t size);
int gpu_renderer_fence(struct gpu_renderer_context *ctx, uint32_t ring, uint64_t fence);
/** gpu_renderer_blob_create() - also -ENOMEM: the server has none to give, and goes on */
int gpu_renderer_blob_create(struct gpu_renderer_context *ctx, uint32_t res, uint64_t blob_id,
			     uint64_t size, uint32_t flags);

void gpu_renderer_attach(struct gpu_renderer_context *ctx, uint32_t res);
void gpu_renderer_detach(struct gpu_renderer_context *ctx, uint32_t res);

/** gpu_renderer_export() - a blob's file, the caller's to close, or -EINVAL */
int gpu_renderer_export(uint32_t res, enum gpu_fd_type *type);
/** gpu_renderer_map_info() - VIRTIO_GPU_MAP_CACHE_* */
uint32_t gpu_renderer_map_info(uint32_t res);
void gpu_renderer_unref(uint32_t res);

#endif
