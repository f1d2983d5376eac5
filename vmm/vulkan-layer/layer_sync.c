/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Mesa's Venus driver offers synchronization2, and with it Vulkan 1.3 and later, only where the
 * host's driver can import a sync file into a semaphore. Of that it uses one thing: "-1", a payload
 * that is signaled already, after the guest has waited for the real sync file itself. Software
 * drivers know no sync files; so here the import is remembered, and the next wait for that semaphore
 * is left out of its submission, which is what waiting for a signaled semaphore comes to. That the
 * semaphore's own payload is back afterwards is what a temporary import means.
 *
 * A driver that imports sync files itself is left alone.
 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYNC_FD VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT

/* The waits of a batch: parallel arrays, to be replaced by shorter ones. */
struct layer_waits {
	uint32_t *count;
	const VkSemaphore **semaphores;
	const VkPipelineStageFlags **stages; /* NULL: the batch has none */
	VkTimelineSemaphoreSubmitInfo *timeline; /* likewise; in the application's chain */
	VkDeviceGroupSubmitInfo *group;		 /* likewise */
};

/* What shorter arrays are made in, and what was changed in place. */
struct layer_wait_copy {
	VkSemaphore *semaphores;
	VkPipelineStageFlags *stages;
	uint64_t *values;
	uint32_t *devices;
	VkTimelineSemaphoreSubmitInfo timeline; /* as it was */
	VkDeviceGroupSubmitInfo group;		/* likewise */
};

bool layer_sync_imports(struct layer_instance *inst, VkPhysicalDevice phys)
{
	const VkPhysicalDeviceExternalSemaphoreInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
		.handleType = SYNC_FD,
	};
	VkExternalSemaphoreProperties props = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES,
	};

	inst->external_semaphore(phys, &info, &props);
	return props.externalSemaphoreFeatures & VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT;
}

static bool layer_is_timeline(const void *chain)
{
	for (const VkBaseInStructure *s = chain; s; s = s->pNext)
		if (s->sType == VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO)
			return ((const VkSemaphoreTypeCreateInfo *)s)->semaphoreType ==
			       VK_SEMAPHORE_TYPE_TIMELINE;
	return false;
}

VKAPI_ATTR void VKAPI_CALL layer_GetPhysicalDeviceExternalSemaphoreProperties(
	VkPhysicalDevice phys, const VkPhysicalDeviceExternalSemaphoreInfo *info,
	VkExternalSemaphoreProperties *out)
{
	struct layer_instance *inst = layer_instance_of(phys);

	inst->external_semaphore(phys, info, out);
	if (info->handleType != SYNC_FD || layer_is_timeline(info->pNext) ||
	    layer_sync_imports(inst, phys))
		return;
	out->externalSemaphoreFeatures |= VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT;
	out->exportFromImportedHandleTypes |= SYNC_FD;
	out->compatibleHandleTypes |= SYNC_FD;
}

void layer_sync_release(struct layer_device *dev)
{
	free(dev->signaled);
}

/* Whether a wait for @semaphore is over already; asked once for each import. */
static bool layer_sync_take(struct layer_device *dev, VkSemaphore semaphore)
{
	uint32_t i = 0;
	bool found;

	pthread_mutex_lock(&dev->lock);
	while (i < dev->num_signaled && dev->signaled[i] != semaphore)
		i++;
	found = i < dev->num_signaled;
	if (found) {
		dev->signaled[i] = dev->signaled[dev->num_signaled - 1];
		__atomic_sub_fetch(&dev->num_signaled, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&dev->lock);
	return found;
}

static VkResult layer_sync_add(struct layer_device *dev, VkSemaphore semaphore)
{
	VkResult r = VK_SUCCESS;

	pthread_mutex_lock(&dev->lock);
	if (dev->num_signaled == dev->room_signaled) {
		const uint32_t room = dev->room_signaled * 2 + 16;
		VkSemaphore *grown = reallocarray(dev->signaled, room, sizeof(*grown));

		if (grown) {
			dev->signaled = grown;
			dev->room_signaled = room;
		} else {
			r = VK_ERROR_OUT_OF_HOST_MEMORY;
		}
	}
	if (r == VK_SUCCESS) {
		dev->signaled[dev->num_signaled] = semaphore;
		__atomic_add_fetch(&dev->num_signaled, 1, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&dev->lock);
	return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL
layer_ImportSemaphoreFdKHR(VkDevice handle, const VkImportSemaphoreFdInfoKHR *info)
{
	struct layer_device *dev = layer_device_of(handle);

	if (info->handleType != SYNC_FD || !dev->sync_imports)
		return dev->import_semaphore_fd ? dev->import_semaphore_fd(handle, info) :
						  VK_ERROR_INVALID_EXTERNAL_HANDLE;
	/* A driver without sync files has none of its own to give; Venus gives no other. */
	if (info->fd != -1 || !(info->flags & VK_SEMAPHORE_IMPORT_TEMPORARY_BIT))
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	layer_sync_take(dev, info->semaphore); /* a second import replaces the first */
	return layer_sync_add(dev, info->semaphore);
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroySemaphore(VkDevice handle, VkSemaphore semaphore,
							 const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = layer_device_of(handle);

	layer_sync_take(dev, semaphore);
	dev->destroy_semaphore(handle, semaphore, alloc);
}

/* A structure of the application's chain, to be changed for one call. */
static void *layer_sync_find(const void *chain, VkStructureType type)
{
	const VkBaseInStructure *s;

	for (s = chain; s && s->sType != type; s = s->pNext)
		;
	return (void *)s;
}

static void layer_wait_copy_free(struct layer_wait_copy *copy)
{
	free(copy->semaphores);
	free(copy->stages);
	free(copy->values);
	free(copy->devices);
}

/* Leaves out the waits that are over. False when out of memory; nothing is changed then. */
static bool layer_waits_drop(struct layer_device *dev, const struct layer_waits *w,
			     struct layer_wait_copy *copy)
{
	const uint32_t old = *w->count;
	const bool values = w->timeline && w->timeline->waitSemaphoreValueCount == old;
	const bool devices = w->group && w->group->waitSemaphoreCount == old;
	uint32_t n = 0;

	copy->semaphores = calloc(old + 1, sizeof(*copy->semaphores));
	copy->stages = calloc(old + 1, sizeof(*copy->stages));
	copy->values = calloc(old + 1, sizeof(*copy->values));
	copy->devices = calloc(old + 1, sizeof(*copy->devices));
	if (!copy->semaphores || !copy->stages || !copy->values || !copy->devices)
		return false;
	for (uint32_t i = 0; i < old; i++) {
		if (layer_sync_take(dev, (*w->semaphores)[i]))
			continue;
		copy->semaphores[n] = (*w->semaphores)[i];
		if (w->stages)
			copy->stages[n] = (*w->stages)[i];
		if (values)
			copy->values[n] = w->timeline->pWaitSemaphoreValues[i];
		if (devices)
			copy->devices[n] = w->group->pWaitSemaphoreDeviceIndices[i];
		n++;
	}
	*w->count = n;
	*w->semaphores = copy->semaphores;
	if (w->stages)
		*w->stages = copy->stages;
	if (values) {
		w->timeline->waitSemaphoreValueCount = n;
		w->timeline->pWaitSemaphoreValues = copy->values;
	}
	if (devices) {
		w->group->waitSemaphoreCount = n;
		w->group->pWaitSemaphoreDeviceIndices = copy->devices;
	}
	return true;
}

/*
 * The two older calls have batches of the same kind. @waits_of tells where a batch, of @size bytes,
 * has its waits; @submit passes the copies on.
 */
struct layer_batches {
	VkQueue queue;
	VkFence fence;
	uint32_t count;
	size_t size;
	const void *batches;
	void (*waits_of)(void *batch, struct layer_waits *out);
	VkResult (*submit)(struct layer_device *dev, const struct layer_batches *b,
			   const void *batches);
};

static VkResult layer_batches_submit(struct layer_device *dev, const struct layer_batches *b)
{
	struct layer_wait_copy *copies = calloc(b->count + 1, sizeof(*copies));
	char *batches = calloc(b->count + 1, b->size);
	VkResult r = copies && batches ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
	struct layer_waits w;
	uint32_t done = 0;

	if (r == VK_SUCCESS)
		memcpy(batches, b->batches, b->count * b->size);
	for (; r == VK_SUCCESS && done < b->count; done++) {
		b->waits_of(batches + done * b->size, &w);
		if (w.timeline)
			copies[done].timeline = *w.timeline;
		if (w.group)
			copies[done].group = *w.group;
		if (!layer_waits_drop(dev, &w, &copies[done]))
			r = VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	if (r == VK_SUCCESS)
		r = b->submit(dev, b, batches);
	while (done--) {
		b->waits_of(batches + done * b->size, &w);
		if (w.timeline)
			*w.timeline = copies[done].timeline;
		if (w.group)
			*w.group = copies[done].group;
		layer_wait_copy_free(&copies[done]);
	}
	free(copies);
	free(batches);
	return r;
}

static void layer_submit_waits(void *batch, struct layer_waits *out)
{
	VkSubmitInfo *s = batch;

	*out = (struct layer_waits){
		&s->waitSemaphoreCount, &s->pWaitSemaphores, &s->pWaitDstStageMask,
		layer_sync_find(s->pNext, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO),
		layer_sync_find(s->pNext, VK_STRUCTURE_TYPE_DEVICE_GROUP_SUBMIT_INFO),
	};
}

static VkResult layer_submit_pass(struct layer_device *dev, const struct layer_batches *b,
				  const void *batches)
{
	return dev->queue_submit(b->queue, b->count, batches, b->fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_QueueSubmit(VkQueue queue, uint32_t count,
							const VkSubmitInfo *submits, VkFence fence)
{
	struct layer_device *dev = layer_device_of(queue);
	const struct layer_batches b = { queue, fence, count, sizeof(*submits), submits,
					 layer_submit_waits, layer_submit_pass };

	if (!count || !__atomic_load_n(&dev->num_signaled, __ATOMIC_RELAXED))
		return dev->queue_submit(queue, count, submits, fence);
	return layer_batches_submit(dev, &b);
}

static void layer_bind_waits(void *batch, struct layer_waits *out)
{
	VkBindSparseInfo *s = batch;

	*out = (struct layer_waits){
		&s->waitSemaphoreCount, &s->pWaitSemaphores, NULL,
		layer_sync_find(s->pNext, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO), NULL,
	};
}

static VkResult layer_bind_pass(struct layer_device *dev, const struct layer_batches *b,
				const void *batches)
{
	return dev->bind_sparse(b->queue, b->count, batches, b->fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_QueueBindSparse(VkQueue queue, uint32_t count,
							    const VkBindSparseInfo *infos,
							    VkFence fence)
{
	struct layer_device *dev = layer_device_of(queue);
	const struct layer_batches b = { queue, fence, count, sizeof(*infos), infos,
					 layer_bind_waits, layer_bind_pass };

	if (!count || !__atomic_load_n(&dev->num_signaled, __ATOMIC_RELAXED))
		return dev->bind_sparse(queue, count, infos, fence);
	return layer_batches_submit(dev, &b);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_QueueSubmit2(VkQueue queue, uint32_t count,
							 const VkSubmitInfo2 *submits,
							 VkFence fence)
{
	struct layer_device *dev = layer_device_of(queue);
	VkSemaphoreSubmitInfo *waits;
	VkSubmitInfo2 *copies;
	size_t total = 0, n = 0;
	VkResult r;

	if (!count || !__atomic_load_n(&dev->num_signaled, __ATOMIC_RELAXED))
		return dev->queue_submit2(queue, count, submits, fence);
	for (uint32_t i = 0; i < count; i++)
		total += submits[i].waitSemaphoreInfoCount;
	copies = calloc(count, sizeof(*copies));
	waits = calloc(total + 1, sizeof(*waits));
	if (!copies || !waits) {
		free(copies);
		free(waits);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	for (uint32_t i = 0; i < count; i++) {
		const size_t first = n;

		for (uint32_t k = 0; k < submits[i].waitSemaphoreInfoCount; k++)
			if (!layer_sync_take(dev, submits[i].pWaitSemaphoreInfos[k].semaphore))
				waits[n++] = submits[i].pWaitSemaphoreInfos[k];
		copies[i] = submits[i];
		copies[i].pWaitSemaphoreInfos = waits + first;
		copies[i].waitSemaphoreInfoCount = (uint32_t)(n - first);
	}
	r = dev->queue_submit2(queue, count, copies, fence);
	free(copies);
	free(waits);
	return r;
}

PFN_vkVoidFunction layer_sync_hook(const struct layer_device *dev, const char *name)
{
	if (dev && !dev->sync_imports)
		return NULL;
#define HOOK(fn)                      \
	if (!strcmp(name, "vk" #fn)) \
		return (PFN_vkVoidFunction)layer_##fn
	HOOK(ImportSemaphoreFdKHR);
	HOOK(DestroySemaphore);
	HOOK(QueueSubmit);
	HOOK(QueueSubmit2);
	HOOK(QueueBindSparse);
#undef HOOK
	return strcmp(name, "vkQueueSubmit2KHR") ? NULL : (PFN_vkVoidFunction)layer_QueueSubmit2;
}
