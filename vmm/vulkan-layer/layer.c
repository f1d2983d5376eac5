/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the loader asks vkNegotiateLoaderLayerInterfaceVersion() for our two
 * GetProcAddr functions and calls vkCreateInstance through them. Every function that the layer
 * does not hook comes straight from the next element of the chain, so that rendering pays nothing
 * for it. Instances and devices are found again by the loader's dispatch pointer, the first word of
 * each dispatchable handle.
 */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

#define LAYER_EXPORT __attribute__((visibility("default")))

static pthread_mutex_t layer_lock = PTHREAD_MUTEX_INITIALIZER;
static struct layer_instance *layer_instances;
static struct layer_device *layer_devices;

struct layer_instance *layer_instance_of(const void *dispatchable)
{
	void *key = layer_key(dispatchable);
	struct layer_instance *inst;

	pthread_mutex_lock(&layer_lock);
	for (inst = layer_instances; inst && inst->key != key; inst = inst->next)
		;
	pthread_mutex_unlock(&layer_lock);
	return inst;
}

struct layer_device *layer_device_of(const void *dispatchable)
{
	void *key = layer_key(dispatchable);
	struct layer_device *dev;

	pthread_mutex_lock(&layer_lock);
	for (dev = layer_devices; dev && dev->key != key; dev = dev->next)
		;
	pthread_mutex_unlock(&layer_lock);
	return dev;
}

void layer_instance_add(struct layer_instance *inst)
{
	pthread_mutex_lock(&layer_lock);
	inst->next = layer_instances;
	layer_instances = inst;
	pthread_mutex_unlock(&layer_lock);
}

void layer_device_add(struct layer_device *dev)
{
	pthread_mutex_lock(&layer_lock);
	dev->next = layer_devices;
	layer_devices = dev;
	pthread_mutex_unlock(&layer_lock);
}

struct layer_instance *layer_instance_remove(VkInstance handle)
{
	struct layer_instance **at, *inst;

	pthread_mutex_lock(&layer_lock);
	for (at = &layer_instances; *at && (*at)->handle != handle; at = &(*at)->next)
		;
	inst = *at;
	if (inst)
		*at = inst->next;
	pthread_mutex_unlock(&layer_lock);
	return inst;
}

struct layer_device *layer_device_remove(VkDevice handle)
{
	struct layer_device **at, *dev;

	pthread_mutex_lock(&layer_lock);
	for (at = &layer_devices; *at && (*at)->handle != handle; at = &(*at)->next)
		;
	dev = *at;
	if (dev)
		*at = dev->next;
	pthread_mutex_unlock(&layer_lock);
	return dev;
}

static VkLayerInstanceCreateInfo *layer_instance_link(const VkInstanceCreateInfo *info)
{
	const VkBaseInStructure *s;

	for (s = info->pNext; s; s = s->pNext) {
		const VkLayerInstanceCreateInfo *link = (const void *)s;

		if (s->sType == VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO &&
		    link->function == VK_LAYER_LINK_INFO)
			return (VkLayerInstanceCreateInfo *)link; /* ours to advance */
	}
	return NULL;
}

static void layer_instance_resolve(struct layer_instance *inst)
{
#define RESOLVE(member, name) \
	inst->member = (PFN_##name)inst->get_proc_addr(inst->handle, #name)
	RESOLVE(destroy, vkDestroyInstance);
	RESOLVE(enumerate_extensions, vkEnumerateDeviceExtensionProperties);
	RESOLVE(properties2, vkGetPhysicalDeviceProperties2);
	RESOLVE(memory_properties, vkGetPhysicalDeviceMemoryProperties);
	RESOLVE(memory_properties2, vkGetPhysicalDeviceMemoryProperties2);
	RESOLVE(external_buffer, vkGetPhysicalDeviceExternalBufferProperties);
	RESOLVE(image_format2, vkGetPhysicalDeviceImageFormatProperties2);
	RESOLVE(external_semaphore, vkGetPhysicalDeviceExternalSemaphoreProperties);
#undef RESOLVE
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_CreateInstance(const VkInstanceCreateInfo *info,
							   const VkAllocationCallbacks *alloc,
							   VkInstance *out)
{
	VkLayerInstanceCreateInfo *link = layer_instance_link(info);
	PFN_vkGetInstanceProcAddr next;
	PFN_vkCreateInstance create;
	struct layer_instance *inst;
	VkResult r;

	if (!link)
		return VK_ERROR_INITIALIZATION_FAILED;
	next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
	create = (PFN_vkCreateInstance)next(NULL, "vkCreateInstance");
	inst = calloc(1, sizeof(*inst));
	if (!create || !inst) {
		free(inst);
		return create ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_ERROR_INITIALIZATION_FAILED;
	}
	link->u.pLayerInfo = link->u.pLayerInfo->pNext;
	r = create(info, alloc, out);
	if (r != VK_SUCCESS) {
		free(inst);
		return r;
	}
	inst->handle = *out;
	inst->key = layer_key(*out);
	inst->get_proc_addr = next;
	layer_instance_resolve(inst);
	layer_instance_add(inst);
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL layer_DestroyInstance(VkInstance handle,
							const VkAllocationCallbacks *alloc)
{
	struct layer_instance *inst = handle ? layer_instance_remove(handle) : NULL;

	if (!inst)
		return;
	inst->destroy(handle, alloc);
	free(inst);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL layer_GetDeviceProcAddr(VkDevice handle,
									const char *name)
{
	struct layer_device *dev = layer_device_of(handle);
	PFN_vkVoidFunction fn;

	if (!dev)
		return NULL;
	if (!strcmp(name, "vkGetDeviceProcAddr"))
		return (PFN_vkVoidFunction)layer_GetDeviceProcAddr;
	fn = layer_device_hook(name);
	if (!fn)
		fn = layer_memory_hook(dev, name);
	if (!fn)
		fn = layer_external_hook(dev, name);
	if (!fn)
		fn = layer_sync_hook(dev, name);
	return fn ? fn : dev->get_proc_addr(handle, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL layer_GetInstanceProcAddr(VkInstance handle,
									  const char *name)
{
	struct layer_instance *inst;
	PFN_vkVoidFunction fn;

	if (!strcmp(name, "vkGetInstanceProcAddr"))
		return (PFN_vkVoidFunction)layer_GetInstanceProcAddr;
	if (!strcmp(name, "vkGetDeviceProcAddr"))
		return (PFN_vkVoidFunction)layer_GetDeviceProcAddr;
	if (!strcmp(name, "vkCreateInstance"))
		return (PFN_vkVoidFunction)layer_CreateInstance;
	if (!handle)
		return NULL;
	if (!strcmp(name, "vkDestroyInstance"))
		return (PFN_vkVoidFunction)layer_DestroyInstance;
	if (!strcmp(name, "vkCreateDevice"))
		return (PFN_vkVoidFunction)layer_CreateDevice;
	fn = layer_physical_hook(name);
	if (!fn)
		fn = layer_device_hook(name);
	if (!fn)
		fn = layer_memory_hook(NULL, name);
	if (!fn)
		fn = layer_external_hook(NULL, name);
	if (!fn)
		fn = layer_sync_hook(NULL, name);
	if (fn)
		return fn;
	inst = layer_instance_of(handle);
	return inst ? inst->get_proc_addr(handle, name) : NULL;
}

LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v);

/* The one symbol of the library (loader-layer interface version 2). */
LAYER_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v)
{
	if (v->loaderLayerInterfaceVersion < 2)
		return VK_ERROR_INITIALIZATION_FAILED;
	v->loaderLayerInterfaceVersion = 2;
	v->pfnGetInstanceProcAddr = layer_GetInstanceProcAddr;
	v->pfnGetDeviceProcAddr = layer_GetDeviceProcAddr;
	v->pfnGetPhysicalDeviceProcAddr = NULL;
	return VK_SUCCESS;
}
