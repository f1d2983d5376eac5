/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/gpu_context.h"

#include <errno.h>
#include <stddef.h>

#include "base/log.h"

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
	return 0;
}

void gpu_context_kill(struct gpu_context *ctx)
{
	if (ctx->dead)
		return;
	log_guest_warning("GPU context %u has failed and is destroyed", ctx->id);
	gpu_renderer_context_destroy(&ctx->renderer);
	ctx->dead = true;
}

void gpu_context_destroy(struct gpu_context *ctx)
{
	if (!ctx->dead)
		gpu_renderer_context_destroy(&ctx->renderer);
	ctx->id = 0;
}

void gpu_contexts_destroy_all(struct gpu_contexts *contexts)
{
	for (size_t i = 0; i < GPU_MAX_CONTEXTS; i++)
		if (contexts->table[i].id)
			gpu_context_destroy(&contexts->table[i]);
}
