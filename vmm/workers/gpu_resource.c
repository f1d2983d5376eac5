/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/gpu_resource.h"

#include <errno.h>
#include <stdlib.h>

/* Drivers count ids up, so the low bits spread them evenly. */
static size_t gpu_resource_bucket(uint32_t id)
{
	return id % GPU_RESOURCE_BUCKETS;
}

struct gpu_resource *gpu_resource_find(const struct gpu_resources *resources, uint32_t id)
{
	struct gpu_resource *res = resources->buckets[gpu_resource_bucket(id)];

	while (res && res->id != id)
		res = res->next;
	return res;
}

int gpu_resource_add(struct gpu_resources *resources, uint32_t id, uint64_t size,
		     struct gpu_resource **out)
{
	struct gpu_resource **bucket = &resources->buckets[gpu_resource_bucket(id)];
	struct gpu_resource *res;

	if (!id)
		return -EINVAL;
	if (gpu_resource_find(resources, id))
		return -EEXIST;
	if (resources->count >= resources->max_count || resources->bytes > resources->max_bytes ||
	    size > resources->max_bytes - resources->bytes)
		return -ENOSPC;
	res = calloc(1, sizeof(*res));
	if (!res)
		return -ENOMEM;
	res->id = id;
	res->size = size;
	res->next = *bucket;
	*bucket = res;
	resources->count++;
	resources->bytes += size;
	*out = res;
	return 0;
}

void gpu_resource_remove(struct gpu_resources *resources, struct gpu_resource *res)
{
	struct gpu_resource **at = &resources->buckets[gpu_resource_bucket(res->id)];

	while (*at != res)
		at = &(*at)->next;
	*at = res->next;
	resources->count--;
	resources->bytes -= res->size;
	free(res);
}

struct gpu_resource *gpu_resource_any(const struct gpu_resources *resources)
{
	for (size_t i = 0; resources->count && i < GPU_RESOURCE_BUCKETS; i++)
		if (resources->buckets[i])
			return resources->buckets[i];
	return NULL;
}
