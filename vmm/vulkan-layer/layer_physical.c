/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the layer says of a physical device: it can export host-visible memory as a dma-buf, where
 * its driver takes VK_EXT_external_memory_host; and import a sync file into a semaphore.
 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define HOST_POINTER VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT

static VkResult layer_extension_list(struct layer_instance *inst, VkPhysicalDevice phys,
				     VkExtensionProperties **out, uint32_t *count)
{
	VkResult r = inst->enumerate_extensions(phys, NULL, count, NULL);

	if (r != VK_SUCCESS)
		return r;
	/* Room for the three that layer_EnumerateDeviceExtensionProperties() may add. */
	*out = calloc(*count + 3, sizeof(**out));
	if (!*out)
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	r = inst->enumerate_extensions(phys, NULL, count, *out);
	if (r != VK_SUCCESS)
		free(*out);
	return r;
}

/* Whether the driver says that buffers may lie in a host pointer's memory. */
static bool layer_host_pointers_usable(struct layer_instance *inst, VkPhysicalDevice phys)
{
	const VkPhysicalDeviceExternalBufferInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
		.handleType = HOST_POINTER,
	};
	VkExternalBufferProperties props = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES,
	};

	if (!inst->external_buffer)
		return false;
	inst->external_buffer(phys, &info, &props);
	return props.externalMemoryProperties.externalMemoryFeatures &
	       VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT;
}

static void layer_extensions_scan(struct layer_instance *inst, VkPhysicalDevice phys,
				  const VkExtensionProperties *list, uint32_t count,
				  struct layer_extensions *ext)
{
	memset(ext, 0, sizeof(*ext));
	for (uint32_t i = 0; i < count; i++) {
		const char *name = list[i].extensionName;

		ext->host_import |= !strcmp(name, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME);
		ext->memory_fd |= !strcmp(name, VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME);
		ext->dma_buf |= !strcmp(name, VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME);
		ext->semaphore_fd |= !strcmp(name, VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME);
	}
	ext->host_import = ext->host_import && layer_host_pointers_usable(inst, phys);
}

bool layer_extensions_get(struct layer_instance *inst, VkPhysicalDevice phys,
			  struct layer_extensions *ext)
{
	VkExtensionProperties *list;
	uint32_t count;

	if (layer_extension_list(inst, phys, &list, &count) != VK_SUCCESS)
		return false;
	layer_extensions_scan(inst, phys, list, count, ext);
	free(list);
	return true;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_EnumerateDeviceExtensionProperties(
	VkPhysicalDevice phys, const char *layer, uint32_t *count, VkExtensionProperties *out)
{
	struct layer_instance *inst = layer_instance_of(phys);
	struct layer_extensions ext;
	VkExtensionProperties *list;
	uint32_t have, room = *count;
	VkResult r;

	if (layer && !strcmp(layer, LAYER_NAME)) {
		*count = 0;
		return VK_SUCCESS;
	}
	if (layer)
		return inst->enumerate_extensions(phys, layer, count, out);
	r = layer_extension_list(inst, phys, &list, &have);
	if (r != VK_SUCCESS)
		return r;
	layer_extensions_scan(inst, phys, list, have, &ext);
	if (ext.host_import && !ext.memory_fd)
		list[have++] = (VkExtensionProperties){ VK_KHR_EXTERNAL_MEMORY_FD_EXTENSION_NAME,
							VK_KHR_EXTERNAL_MEMORY_FD_SPEC_VERSION };
	if (ext.host_import && !ext.dma_buf)
		list[have++] = (VkExtensionProperties){
			VK_EXT_EXTERNAL_MEMORY_DMA_BUF_EXTENSION_NAME,
			VK_EXT_EXTERNAL_MEMORY_DMA_BUF_SPEC_VERSION
		};
	if (!ext.semaphore_fd)
		list[have++] = (VkExtensionProperties){
			VK_KHR_EXTERNAL_SEMAPHORE_FD_EXTENSION_NAME,
			VK_KHR_EXTERNAL_SEMAPHORE_FD_SPEC_VERSION
		};
	*count = have;
	if (out) {
		*count = have < room ? have : room;
		memcpy(out, list, *count * sizeof(*out));
		r = *count < have ? VK_INCOMPLETE : VK_SUCCESS;
	}
	free(list);
	return r;
}

/*
 * A discrete device may show part of its own memory to the host (a PCI BAR): pages that are no
 * ordinary memory, which a guest had better not map. Where there is host memory to use instead, the
 * host-visible bit of device-local types is hidden; where all memory is one (integrated devices,
 * software), nothing is.
 */
void layer_hide_host_visible(VkPhysicalDeviceMemoryProperties *p)
{
	const VkMemoryPropertyFlags host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
					   VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
	bool other = false;

	for (uint32_t i = 0; i < p->memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = p->memoryTypes[i].propertyFlags;

		other |= (flags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) &&
			 !(flags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	}
	for (uint32_t i = 0; other && i < p->memoryTypeCount; i++)
		if (p->memoryTypes[i].propertyFlags & VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT)
			p->memoryTypes[i].propertyFlags &= ~host;
}

static VKAPI_ATTR void VKAPI_CALL layer_GetPhysicalDeviceMemoryProperties(
	VkPhysicalDevice phys, VkPhysicalDeviceMemoryProperties *out)
{
	layer_instance_of(phys)->memory_properties(phys, out);
	layer_hide_host_visible(out);
}

static VKAPI_ATTR void VKAPI_CALL layer_GetPhysicalDeviceMemoryProperties2(
	VkPhysicalDevice phys, VkPhysicalDeviceMemoryProperties2 *out)
{
	layer_instance_of(phys)->memory_properties2(phys, out);
	layer_hide_host_visible(&out->memoryProperties);
}

/* Says of host-pointer memory, which the driver described, what is true of it as a "dma-buf". */
static void layer_present_dma_buf(VkExternalMemoryProperties *p)
{
	if (!(p->externalMemoryFeatures & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT)) {
		memset(p, 0, sizeof(*p));
		return;
	}
	p->externalMemoryFeatures &= VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT;
	p->externalMemoryFeatures |= VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT |
				     VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT;
	p->exportFromImportedHandleTypes = DMA_BUF;
	p->compatibleHandleTypes = DMA_BUF;
}

static VKAPI_ATTR void VKAPI_CALL layer_GetPhysicalDeviceExternalBufferProperties(
	VkPhysicalDevice phys, const VkPhysicalDeviceExternalBufferInfo *info,
	VkExternalBufferProperties *out)
{
	struct layer_instance *inst = layer_instance_of(phys);
	VkPhysicalDeviceExternalBufferInfo host = *info;
	struct layer_extensions ext;

	if (info->handleType != DMA_BUF || !layer_extensions_get(inst, phys, &ext) ||
	    !ext.host_import) {
		inst->external_buffer(phys, info, out);
		return;
	}
	host.handleType = HOST_POINTER;
	inst->external_buffer(phys, &host, out);
	layer_present_dma_buf(&out->externalMemoryProperties);
}

static VkPhysicalDeviceExternalImageFormatInfo *
layer_external_image_info(const VkPhysicalDeviceImageFormatInfo2 *info)
{
	const VkBaseInStructure *s;

	for (s = info->pNext; s; s = s->pNext)
		if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO)
			return (VkPhysicalDeviceExternalImageFormatInfo *)s; /* for one call */
	return NULL;
}

/*
 * Images: a driver with dma-bufs of its own is asked as before (their memory is its own too, where
 * it is not host-visible). One without them has linear images in host memory to offer. The handle type
 * stands in the application's own chain, so it is changed in place for the length of the call.
 */
static VKAPI_ATTR VkResult VKAPI_CALL layer_GetPhysicalDeviceImageFormatProperties2(
	VkPhysicalDevice phys, const VkPhysicalDeviceImageFormatInfo2 *info,
	VkImageFormatProperties2 *out)
{
	struct layer_instance *inst = layer_instance_of(phys);
	VkPhysicalDeviceExternalImageFormatInfo *external = layer_external_image_info(info);
	struct layer_extensions ext;
	VkBaseOutStructure *s;
	VkResult r;

	if (!external || external->handleType != DMA_BUF ||
	    !layer_extensions_get(inst, phys, &ext) || ext.dma_buf || !ext.host_import)
		return inst->image_format2(phys, info, out);
	if (info->tiling != VK_IMAGE_TILING_LINEAR)
		return VK_ERROR_FORMAT_NOT_SUPPORTED;
	external->handleType = HOST_POINTER;
	r = inst->image_format2(phys, info, out);
	external->handleType = DMA_BUF;
	for (s = out->pNext; r == VK_SUCCESS && s; s = s->pNext)
		if (s->sType == VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES)
			layer_present_dma_buf(
				&((VkExternalImageFormatProperties *)s)->externalMemoryProperties);
	return r;
}

PFN_vkVoidFunction layer_physical_hook(const char *name)
{
#define HOOK(fn)                                                   \
	if (!strcmp(name, "vk" #fn) || !strcmp(name, "vk" #fn "KHR")) \
		return (PFN_vkVoidFunction)layer_##fn
	HOOK(EnumerateDeviceExtensionProperties);
	HOOK(GetPhysicalDeviceMemoryProperties);
	HOOK(GetPhysicalDeviceMemoryProperties2);
	HOOK(GetPhysicalDeviceExternalBufferProperties);
	HOOK(GetPhysicalDeviceImageFormatProperties2);
	HOOK(GetPhysicalDeviceExternalSemaphoreProperties);
#undef HOOK
	return NULL;
}
