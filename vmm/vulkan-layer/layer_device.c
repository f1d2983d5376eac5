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

static bool layer_device_wants(const VkDeviceCreateInfo *info, const char *name)
{
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++)
		if (!strcmp(info->ppEnabledExtensionNames[i], name))
			return true;
	return false;
}

/*
 * The list for the driver, in an array with room for one more than the application's. What neither
 * has goes on to the driver, which refuses it.
 */
static uint32_t layer_device_extensions(const VkDeviceCreateInfo *info,
					const struct layer_extensions *ext, const char **out)
{
	uint32_t n = 0;
	bool have = false;

	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		const char *name = info->ppEnabledExtensionNames[i];

		if (ext->host_import && !ext->dma_buf &&
		    !strcmp(name, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME))
			continue;
		if (ext->host_import && !ext->memory_fd &&
		    !strcmp(name, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME))
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
#define RESOLVE_KHR(member, name)      \
	RESOLVE(member, name);         \
	if (!dev->member)              \
	RESOLVE(member, name##KHR)
	RESOLVE(destroy, vkDestroyDevice);
	RESOLVE(allocate, vkAllocateMemory);
	RESOLVE(free, vkFreeMemory);
	RESOLVE(get_fd, vkGetMemoryFdKHR);
	RESOLVE(get_fd_properties, vkGetMemoryFdPropertiesKHR);
	RESOLVE(host_pointer, vkGetMemoryHostPointerPropertiesEXT);
	RESOLVE(create_buffer, vkCreateBuffer);
	RESOLVE(create_image, vkCreateImage);
	RESOLVE(destroy_buffer, vkDestroyBuffer);
	RESOLVE(destroy_image, vkDestroyImage);
	RESOLVE(buffer_requirements, vkGetBufferMemoryRequirements);
	RESOLVE(image_requirements, vkGetImageMemoryRequirements);
	RESOLVE_KHR(buffer_requirements2, vkGetBufferMemoryRequirements2);
	RESOLVE_KHR(image_requirements2, vkGetImageMemoryRequirements2);
	RESOLVE_KHR(device_buffer, vkGetDeviceBufferMemoryRequirements);
	RESOLVE_KHR(device_image, vkGetDeviceImageMemoryRequirements);
	RESOLVE_KHR(device_sparse, vkGetDeviceImageSparseMemoryRequirements);
	RESOLVE(import_semaphore_fd, vkImportSemaphoreFdKHR);
	RESOLVE(destroy_semaphore, vkDestroySemaphore);
	RESOLVE(queue_submit, vkQueueSubmit);
	RESOLVE_KHR(queue_submit2, vkQueueSubmit2);
	RESOLVE(bind_sparse, vkQueueBindSparse);
#undef RESOLVE_KHR
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

static void layer_device_free(struct layer_device *dev, const VkAllocationCallbacks *alloc)
{
	dev->destroy(dev->handle, alloc);
	layer_memory_release_all(dev);
	layer_external_release_all(dev);
	layer_sync_release(dev);
	pthread_mutex_destroy(&dev->lock);
	free(dev);
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
	/* That a driver takes no file's pages shows only now: better no device than no memory. */
	if (!ext.dma_buf && !dev->importable &&
	    layer_device_wants(info, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME)) {
		layer_device_free(dev, alloc);
		return VK_ERROR_INITIALIZATION_FAILED;
	}
	layer_device_add(dev);
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyDevice(VkDevice handle,
						      const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = handle ? layer_device_remove(handle) : NULL;

	if (dev)
		layer_device_free(dev, alloc);
}

PFN_vkVoidFunction layer_device_hook(const char *name)
{
	if (!strcmp(name, "vkDestroyDevice"))
		return (PFN_vkVoidFunction)layer_DestroyDevice;
	return NULL;
}
