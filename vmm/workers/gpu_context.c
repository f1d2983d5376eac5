/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A context is a process of the render server. It may end at any time: for a stream that is no
 * Venus, in its driver, for want of memory. Calls into the library would tell, but a guest that
 * only waits makes none, and the library's own thread spins until the context is destroyed. So the
 * context's socket is watched. Outside of calls nothing is ever sent on it: readable means closed.
 */
#include "vmm/workers/gpu_context.h"

#include <errno.h>
#include <stddef.h>

#include "base/log.h"
#include "vmm/workers/vhu.h"

struct gpu_context *gpu_context_find(struct gpu_contexts *contexts, uint32_t id)
{
	for (size_t i = 0; id && i < GPU_MAX_CONTEXTS; i++)
		if (contexts->table[i].id == id)
			return &contexts->table[i];
	return NULL;
}

static struct gpu_context *gpu_context_free_entry(struct gpu_contexts *contexts)
{
	for (size_t i = 0; i < GPU_MAX_CONTEXTS; i++)
		if (!contexts->table[i].id)
			return &contexts->table[i];
	return NULL;
}

int gpu_context_create(struct gpu_contexts *contexts, uint32_t id, const char *name,
		       uint32_t name_len)
{
	struct gpu_context *ctx;

	if (!id)
		return -EINVAL;
	if (gpu_context_find(contexts, id))
		return -EEXIST;
	ctx = gpu_context_free_entry(contexts);
	if (!ctx)
		return -ENOSPC;
	if (gpu_renderer_context_create(&ctx->renderer, id, name, name_len) < 0)
		return -EIO;
	ctx->id = id;
	ctx->serial = ++contexts->last_serial;
	ctx->dead = false;
	ctx->dev = contexts->dev;
	contexts->alive++;
	if (ctx->renderer.sock >= 0 &&
	    vhu_watch_fd(contexts->vhu, ctx->renderer.sock, contexts->lost, ctx) < 0) {
		gpu_renderer_context_destroy(&ctx->renderer);
		contexts->alive--;
		ctx->id = 0;
		return -ENOSPC;
	}
	return 0;
}

static void gpu_context_end_renderer(struct gpu_contexts *contexts, struct gpu_context *ctx)
{
	if (ctx->renderer.sock >= 0)
		vhu_unwatch_fd(contexts->vhu, ctx->renderer.sock);
	gpu_renderer_context_destroy(&ctx->renderer);
	ctx->dead = true;
	contexts->alive--;
}

void gpu_context_kill(struct gpu_contexts *contexts, struct gpu_context *ctx)
{
	if (ctx->dead)
		return;
	log_guest_warning("GPU context %u has failed and is destroyed", ctx->id);
	gpu_context_end_renderer(contexts, ctx);
}

void gpu_context_destroy(struct gpu_contexts *contexts, struct gpu_context *ctx)
{
	if (!ctx->dead)
		gpu_context_end_renderer(contexts, ctx);
	ctx->id = 0;
}

void gpu_contexts_destroy_all(struct gpu_contexts *contexts)
{
	for (size_t i = 0; i < GPU_MAX_CONTEXTS; i++)
		if (contexts->table[i].id)
			gpu_context_destroy(contexts, &contexts->table[i]);
}
