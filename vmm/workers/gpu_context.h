/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_CONTEXT_H
#define VMM_WORKERS_GPU_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/workers/gpu_renderer.h"

struct vhu;
struct gpu_device;

/* The render server stops at 256 processes, one a context. */
#define GPU_MAX_CONTEXTS 128

struct gpu_context {
	uint32_t id;	 /* the guest's; 0: this entry is free */
	uint64_t serial; /* never repeats, as ids do */
	bool dead;	 /* its renderer is gone: the id stays taken until the guest gives it up */
	struct gpu_renderer_context renderer;
	struct gpu_device *dev; /* borrowed, for @lost below */
};

struct gpu_contexts {
	struct gpu_context table[GPU_MAX_CONTEXTS];
	uint64_t last_serial;
	unsigned int alive;
	struct gpu_device *dev;	  /* borrowed; what a context points to */
	struct vhu *vhu;	  /* borrowed; watches the contexts' sockets */
	void (*lost)(void *data); /* a context's process has ended; data: the context */
};

/** gpu_context_find() - dead or alive; NULL when the guest has made none of this id */
struct gpu_context *gpu_context_find(struct gpu_contexts *contexts, uint32_t id);

/**
 * gpu_context_create() - CTX_CREATE
 *
 * Return: 0, -EEXIST, -EINVAL (id 0), -ENOSPC (too many, or no memory to watch it), -EIO (the
 * render server failed).
 */
int gpu_context_create(struct gpu_contexts *contexts, uint32_t id, const char *name,
		       uint32_t name_len);

/** gpu_context_kill() - the renderer failed: it is destroyed, the id stays */
void gpu_context_kill(struct gpu_contexts *contexts, struct gpu_context *ctx);

/** gpu_context_destroy() - CTX_DESTROY */
void gpu_context_destroy(struct gpu_contexts *contexts, struct gpu_context *ctx);

void gpu_contexts_destroy_all(struct gpu_contexts *contexts);

#endif
