/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Buffers and images for dma-bufs, where the driver knows none: the driver hears of host memory
 * instead, whenever such an object is created or described to it; and of the memory types that it
 * then names those are left over in which the layer can make a "dma-buf". So each such object is
 * remembered until it is destroyed.
 *
 * The handle types stand in the application's own chain, so they are changed in place for the length
 * of one call.
 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define HOST_POINTER VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT

struct layer_swap {
	VkExternalMemoryHandleTypeFlags *types; /* NULL: nothing was to be changed */
	VkExternalMemoryHandleTypeFlags saved;
};

/* @type: of the structure that has the handle types */
static struct layer_swap layer_swap_types(const struct layer_device *dev, const void *chain,
					  VkStructureType type)
{
	struct layer_swap swap = { 0 };
	const VkBaseInStructure *s;

	if (dev->native_dma_buf || !dev->importable)
		return swap;
	for (s = chain; s && s->sType != type; s = s->pNext)
		;
	if (!s)
		return swap;
	swap.types = type == VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO ?
			     &((VkExternalMemoryBufferCreateInfo *)s)->handleTypes :
			     &((VkExternalMemoryImageCreateInfo *)s)->handleTypes;
	swap.saved = *swap.types;
	if (!(swap.saved & DMA_BUF))
		return (struct layer_swap){ 0 };
	*swap.types = HOST_POINTER;
	return swap;
}

static void layer_swap_back(const struct layer_swap *swap)
{
	if (swap->types)
		*swap->types = swap->saved;
}

static struct layer_swap layer_swap_buffer(const struct layer_device *dev,
					   const VkBufferCreateInfo *info)
{
	return layer_swap_types(dev, info->pNext,
				VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
}

static struct layer_swap layer_swap_image(const struct layer_device *dev,
					  const VkImageCreateInfo *info)
{
	return layer_swap_types(dev, info->pNext,
				VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO);
}

static bool layer_external_add(struct layer_device *dev, uint64_t handle, bool image)
{
	struct layer_external *e = calloc(1, sizeof(*e));

	if (!e)
		return false;
	e->handle = handle;
	e->image = image;
	pthread_mutex_lock(&dev->lock);
	e->next = dev->externals;
	__atomic_store_n(&dev->externals, e, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&dev->lock);
	return true;
}

/* Under the lock: where it is linked, or where the list ends. */
static struct layer_external **layer_external_at(struct layer_device *dev, uint64_t handle,
						 bool image)
{
	struct layer_external **at;

	for (at = &dev->externals; *at; at = &(*at)->next)
		if ((*at)->handle == handle && (*at)->image == image)
			break;
	return at;
}

static void layer_external_remove(struct layer_device *dev, uint64_t handle, bool image)
{
	struct layer_external **at, *e;

	if (!__atomic_load_n(&dev->externals, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&dev->lock);
	at = layer_external_at(dev, handle, image);
	e = *at;
	if (e)
		__atomic_store_n(at, e->next, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&dev->lock);
	free(e);
}

void layer_external_release_all(struct layer_device *dev)
{
	while (dev->externals) {
		struct layer_external *e = dev->externals;

		dev->externals = e->next;
		free(e);
	}
}

static void layer_external_mask(struct layer_device *dev, uint64_t handle, bool image,
				VkMemoryRequirements *need)
{
	if (!__atomic_load_n(&dev->externals, __ATOMIC_RELAXED))
		return;
	pthread_mutex_lock(&dev->lock);
	if (*layer_external_at(dev, handle, image))
		need->memoryTypeBits &= dev->importable;
	pthread_mutex_unlock(&dev->lock);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateBuffer(VkDevice handle,
							 const VkBufferCreateInfo *info,
							 const VkAllocationCallbacks *alloc,
							 VkBuffer *out)
{
	struct layer_device *dev = layer_device_of(handle);
	const struct layer_swap swap = layer_swap_buffer(dev, info);
	VkResult r = dev->create_buffer(handle, info, alloc, out);

	layer_swap_back(&swap);
	if (r != VK_SUCCESS || !swap.types || layer_external_add(dev, (uint64_t)*out, false))
		return r;
	dev->destroy_buffer(handle, *out, alloc);
	return VK_ERROR_OUT_OF_HOST_MEMORY;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateImage(VkDevice handle,
							const VkImageCreateInfo *info,
							const VkAllocationCallbacks *alloc,
							VkImage *out)
{
	struct layer_device *dev = layer_device_of(handle);
	const struct layer_swap swap = layer_swap_image(dev, info);
	VkResult r = dev->create_image(handle, info, alloc, out);

	layer_swap_back(&swap);
	if (r != VK_SUCCESS || !swap.types || layer_external_add(dev, (uint64_t)*out, true))
		return r;
	dev->destroy_image(handle, *out, alloc);
	return VK_ERROR_OUT_OF_HOST_MEMORY;
}

/* Off the list first: the driver may give the handle to another thread's object. */
static VKAPI_ATTR void VKAPI_CALL layer_DestroyBuffer(VkDevice handle, VkBuffer buffer,
						      const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = layer_device_of(handle);

	layer_external_remove(dev, (uint64_t)buffer, false);
	dev->destroy_buffer(handle, buffer, alloc);
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyImage(VkDevice handle, VkImage image,
						     const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = layer_device_of(handle);

	layer_external_remove(dev, (uint64_t)image, true);
	dev->destroy_image(handle, image, alloc);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetBufferMemoryRequirements(VkDevice handle,
								    VkBuffer buffer,
								    VkMemoryRequirements *out)
{
	struct layer_device *dev = layer_device_of(handle);

	dev->buffer_requirements(handle, buffer, out);
	layer_external_mask(dev, (uint64_t)buffer, false, out);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetImageMemoryRequirements(VkDevice handle, VkImage image,
								   VkMemoryRequirements *out)
{
	struct layer_device *dev = layer_device_of(handle);

	dev->image_requirements(handle, image, out);
	layer_external_mask(dev, (uint64_t)image, true, out);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetBufferMemoryRequirements2(
	VkDevice handle, const VkBufferMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *out)
{
	struct layer_device *dev = layer_device_of(handle);

	dev->buffer_requirements2(handle, info, out);
	layer_external_mask(dev, (uint64_t)info->buffer, false, &out->memoryRequirements);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetImageMemoryRequirements2(
	VkDevice handle, const VkImageMemoryRequirementsInfo2 *info, VkMemoryRequirements2 *out)
{
	struct layer_device *dev = layer_device_of(handle);

	dev->image_requirements2(handle, info, out);
	layer_external_mask(dev, (uint64_t)info->image, true, &out->memoryRequirements);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetDeviceBufferMemoryRequirements(
	VkDevice handle, const VkDeviceBufferMemoryRequirements *info, VkMemoryRequirements2 *out)
{
	struct layer_device *dev = layer_device_of(handle);
	const struct layer_swap swap = layer_swap_buffer(dev, info->pCreateInfo);

	dev->device_buffer(handle, info, out);
	layer_swap_back(&swap);
	if (swap.types)
		out->memoryRequirements.memoryTypeBits &= dev->importable;
}

static VKAPI_ATTR void VKAPI_CALL layer_GetDeviceImageMemoryRequirements(
	VkDevice handle, const VkDeviceImageMemoryRequirements *info, VkMemoryRequirements2 *out)
{
	struct layer_device *dev = layer_device_of(handle);
	const struct layer_swap swap = layer_swap_image(dev, info->pCreateInfo);

	dev->device_image(handle, info, out);
	layer_swap_back(&swap);
	if (swap.types)
		out->memoryRequirements.memoryTypeBits &= dev->importable;
}

static VKAPI_ATTR void VKAPI_CALL layer_GetDeviceImageSparseMemoryRequirements(
	VkDevice handle, const VkDeviceImageMemoryRequirements *info, uint32_t *count,
	VkSparseImageMemoryRequirements2 *out)
{
	struct layer_device *dev = layer_device_of(handle);
	const struct layer_swap swap = layer_swap_image(dev, info->pCreateInfo);

	dev->device_sparse(handle, info, count, out);
	layer_swap_back(&swap);
}

PFN_vkVoidFunction layer_external_hook(const struct layer_device *dev, const char *name)
{
	if (dev && (dev->native_dma_buf || !dev->importable))
		return NULL;
#define HOOK(fn, member)                                                                         \
	if ((!strcmp(name, "vk" #fn) || !strcmp(name, "vk" #fn "KHR")) && (!dev || dev->member)) \
		return (PFN_vkVoidFunction)layer_##fn
	HOOK(CreateBuffer, create_buffer);
	HOOK(CreateImage, create_image);
	HOOK(DestroyBuffer, destroy_buffer);
	HOOK(DestroyImage, destroy_image);
	HOOK(GetBufferMemoryRequirements, buffer_requirements);
	HOOK(GetImageMemoryRequirements, image_requirements);
	HOOK(GetBufferMemoryRequirements2, buffer_requirements2);
	HOOK(GetImageMemoryRequirements2, image_requirements2);
	HOOK(GetDeviceBufferMemoryRequirements, device_buffer);
	HOOK(GetDeviceImageMemoryRequirements, device_image);
	HOOK(GetDeviceImageSparseMemoryRequirements, device_sparse);
#undef HOOK
	return NULL;
}
