/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices: the driver is asked for VK_EXT_external_memory_host in place of the extensions that only
 * the layer has, and is told of host memory where the application said dma-buf.
 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static VkLayerDeviceCreateInfo *layer_device_link(const VkDeviceCreateInfo *info)
{
	const VkBaseInStructure *s;

	for (s = info->pNext; s; s = s->pNext) {
		const VkLayerDeviceCreateInfo *link = (const void *)s;

		if (s->sType == VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO &&
		    link->function == VK_LAYER_LINK_INFO)
			return (VkLayerDeviceCreateInfo *)link; /* ours to advance */
	}
	return NULL;
}

/* The list for the driver, in an array with room for one more than the application's. */
static uint32_t layer_device_extensions(const VkDeviceCreateInfo *info,
					const struct layer_extensions *ext, const char **out)
{
	uint32_t n = 0;
	bool have = false;

	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		const char *name = info->ppEnabledExtensionNames[i];

		if (!ext->dma_buf && !strcmp(name, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME))
			continue;
		if (!ext->memory_fd && !strcmp(name, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME))
			continue;
		if (!ext->semaphore_fd &&
		    !strcmp(name, VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME))
			continue;
		have |= !strcmp(name, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
		out[n++] = name;
	}
	if (ext->host_import && !have)
		out[n++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
	return n;
}

static void layer_device_resolve(struct layer_device *dev)
{
#define RESOLVE(member, name) dev->member = (PFN_##name)dev->get_proc_addr(dev->handle, #name)
	RESOLVE(destroy, vkDestroyDevice);
	RESOLVE(allocate, vkAllocateMemory);
	RESOLVE(free, vkFreeMemory);
	RESOLVE(get_fd, vkGetMemoryFdKHR);
	RESOLVE(get_fd_properties, vkGetMemoryFdPropertiesKHR);
	RESOLVE(host_pointer, vkGetMemoryHostPointerPropertiesEXT);
	RESOLVE(create_buffer, vkCreateBuffer);
	RESOLVE(create_image, vkCreateImage);
	RESOLVE(import_semaphore_fd, vkImportSemaphoreFdKHR);
	RESOLVE(destroy_semaphore, vkDestroySemaphore);
	RESOLVE(queue_submit, vkQueueSubmit);
	RESOLVE(queue_submit2, vkQueueSubmit2);
	if (!dev->queue_submit2)
		RESOLVE(queue_submit2, vkQueueSubmit2KHR);
	RESOLVE(bind_sparse, vkQueueBindSparse);
#undef RESOLVE
}

static void layer_device_limits(struct layer_instance *inst, VkPhysicalDevice phys,
				struct layer_device *dev)
{
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT,
	};
	VkPhysicalDeviceProperties2 props = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
		.pNext = &host,
	};
	VkPhysicalDeviceMemoryProperties memory;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	inst->properties2(phys, &props);
	dev->alignment = host.minImportedHostPointerAlignment;
	if (dev->alignment < page)
		dev->alignment = page;
	inst->memory_properties(phys, &memory);
	layer_hide_host_visible(&memory);
	for (uint32_t i = 0; i < memory.memoryTypeCount; i++)
		if (memory.memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
			dev->host_visible |= 1u << i;
}

static void layer_device_init(struct layer_device *dev, struct layer_instance *inst,
			      VkPhysicalDevice phys, const struct layer_extensions *ext)
{
	dev->key = layer_key(dev->handle);
	dev->native_dma_buf = ext->dma_buf;
	dev->host_import = ext->host_import;
	dev->sync_imports = !layer_sync_imports(inst, phys);
	pthread_mutex_init(&dev->lock, NULL);
	layer_device_resolve(dev);
	if (!dev->host_import || !dev->host_pointer)
		return;
	layer_device_limits(inst, phys, dev);
	layer_memory_probe(dev);
}

VKAPI_ATTR VkResult VKAPI_CALL layer_CreateDevice(VkPhysicalDevice phys,
						  const VkDeviceCreateInfo *info,
						  const VkAllocationCallbacks *alloc, VkDevice *out)
{
	struct layer_instance *inst = layer_instance_of(phys);
	VkLayerDeviceCreateInfo *link = layer_device_link(info);
	VkDeviceCreateInfo asked = *info;
	struct layer_extensions ext;
	struct layer_device *dev;
	PFN_vkCreateDevice create;
	const char **names;
	VkResult r;

	if (!inst || !link || !layer_extensions_get(inst, phys, &ext))
		return VK_ERROR_INITIALIZATION_FAILED;
	create = (PFN_vkCreateDevice)link->u.pLayerInfo->pfnNextGetInstanceProcAddr(
		inst->handle, "vkCreateDevice");
	dev = calloc(1, sizeof(*dev));
	names = calloc(info->enabledExtensionCount + 1, sizeof(*names));
	if (!dev || !names || !create) {
		free(dev);
		free(names);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	asked.enabledExtensionCount = layer_device_extensions(info, &ext, names);
	asked.ppEnabledExtensionNames = names;
	dev->get_proc_addr = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	r = create(phys, &asked, alloc, out);
	free(names);
	if (r != VK_SUCCESS) {
		free(dev);
		return r;
	}
	dev->handle = *out;
	layer_device_init(dev, inst, phys, &ext);
	layer_device_add(dev);
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyDevice(VkDevice handle,
						      const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = handle ? layer_device_remove(handle) : NULL;

	if (!dev)
		return;
	dev->destroy(handle, alloc);
	layer_memory_release_all(dev);
	layer_sync_release(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
}

/*
 * The handle types of an external buffer or image, where the driver knows no dma-buf. They stand in
 * the application's own chain, so they are changed in place for the length of one call.
 */
static VkExternalMemoryHandleTypeFlags *layer_handle_types(const struct layer_device *dev,
							   const void *chain,
							   VkStructureType type)
{
	const VkBaseInStructure *s;

	if (dev->native_dma_buf || !dev->importable)
		return NULL;
	for (s = chain; s; s = s->pNext)
		if (s->sType == type)
			break;
	if (!s)
		return NULL;
	return type == VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO ?
		       &((VkExternalMemoryBufferCreateInfo *)s)->handleTypes :
		       &((VkExternalMemoryImageCreateInfo *)s)->handleTypes;
}

static VkExternalMemoryHandleTypeFlags layer_to_host_pointer(VkExternalMemoryHandleTypeFlags types)
{
	if (types & VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT)
		return VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
	return types;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateBuffer(VkDevice handle,
							 const VkBufferCreateInfo *info,
							 const VkAllocationCallbacks *alloc,
							 VkBuffer *out)
{
	struct layer_device *dev = layer_device_of(handle);
	VkExternalMemoryHandleTypeFlags saved = 0;
	VkExternalMemoryHandleTypeFlags *types = layer_handle_types(
		dev, info->pNext, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
	VkResult r;

	if (types) {
		saved = *types;
		*types = layer_to_host_pointer(saved);
	}
	r = dev->create_buffer(handle, info, alloc, out);
	if (types)
		*types = saved;
	return r;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateImage(VkDevice handle,
							const VkImageCreateInfo *info,
							const VkAllocationCallbacks *alloc,
							VkImage *out)
{
	struct layer_device *dev = layer_device_of(handle);
	VkExternalMemoryHandleTypeFlags saved = 0;
	VkExternalMemoryHandleTypeFlags *types = layer_handle_types(
		dev, info->pNext, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO);
	VkResult r;

	if (types) {
		saved = *types;
		*types = layer_to_host_pointer(saved);
	}
	r = dev->create_image(handle, info, alloc, out);
	if (types)
		*types = saved;
	return r;
}

PFN_vkVoidFunction layer_device_hook(const char *name)
{
	if (!strcmp(name, "vkDestroyDevice"))
		return (PFN_vkVoidFunction)layer_DestroyDevice;
	if (!strcmp(name, "vkCreateBuffer"))
		return (PFN_vkVoidFunction)layer_CreateBuffer;
	if (!strcmp(name, "vkCreateImage"))
		return (PFN_vkVoidFunction)layer_CreateImage;
	return NULL;
}
