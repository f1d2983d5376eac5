/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_RESOURCE_H
#define VMM_WORKERS_GPU_RESOURCE_H

/* The guest's resources: host blobs, and nothing else (there is no OpenGL and no scanout). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/workers/gpu_renderer.h"

#define GPU_MAX_RESOURCES 16384
#define GPU_RESOURCE_BUCKETS 4096

struct gpu_resource {
	struct gpu_resource *next; /* in its bucket */
	uint32_t id;
	uint64_t size;		   /* bytes, as the guest asked */
	uint64_t creator;	   /* serial of the context it was made in */
	bool creator_attached;	   /* which it has not been detached from */
	enum gpu_fd_type fd_type;
	uint32_t map_info;	   /* VIRTIO_GPU_MAP_CACHE_* */
	bool mapped;
	uint64_t map_offset, map_len; /* in the window */
};

struct gpu_resources {
	struct gpu_resource *buckets[GPU_RESOURCE_BUCKETS];
	size_t count, max_count; /* at most GPU_MAX_RESOURCES */
	uint64_t bytes, max_bytes;
};

struct gpu_resource *gpu_resource_find(const struct gpu_resources *resources, uint32_t id);

/**
 * gpu_resource_add() - a new entry, all zero but id and size
 *
 * Return: 0; -EINVAL (id 0), -EEXIST, -ENOSPC (too many, or too many bytes), -ENOMEM.
 */
int gpu_resource_add(struct gpu_resources *resources, uint32_t id, uint64_t size,
		     struct gpu_resource **out);

/** gpu_resource_remove() - forget and free an entry */
void gpu_resource_remove(struct gpu_resources *resources, struct gpu_resource *res);

/** gpu_resource_any() - some entry, NULL when there is none */
struct gpu_resource *gpu_resource_any(const struct gpu_resources *resources);

#endif
