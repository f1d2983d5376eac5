/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VULKAN_LAYER_LAYER_H
#define VMM_VULKAN_LAYER_LAYER_H

/*
 * VK_LAYER_KRUN_GPU_host_memory, loaded into the render server between the Vulkan loader and the
 * host's driver: host-visible memory that is to be exported as a dma-buf becomes a memfd that the
 * driver imports by VK_EXT_external_memory_host. What a guest maps is then ordinary memory,
 * whatever the driver (layer_memory.c has the theory of operation). And semaphores take sync files,
 * as far as Venus needs it, where the driver knows none (layer_sync.c).
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define LAYER_NAME "VK_LAYER_KRUN_GPU_host_memory"

struct layer_instance {
	struct layer_instance *next;
	void *key; /* the loader's dispatch table: the same for the instance's physical devices */
	VkInstance handle;
	PFN_vkGetInstanceProcAddr get_proc_addr;
	PFN_vkDestroyInstance destroy;
	PFN_vkEnumerateDeviceExtensionProperties enumerate_extensions;
	PFN_vkGetPhysicalDeviceProperties2 properties2;
	PFN_vkGetPhysicalDeviceMemoryProperties memory_properties;
	PFN_vkGetPhysicalDeviceMemoryProperties2 memory_properties2;
	PFN_vkGetPhysicalDeviceExternalBufferProperties external_buffer;
	PFN_vkGetPhysicalDeviceImageFormatProperties2 image_format2;
	PFN_vkGetPhysicalDeviceExternalSemaphoreProperties external_semaphore;
};

/* One allocation backed by a memfd. */
struct layer_memory {
	struct layer_memory *next;
	VkDeviceMemory handle;
	int fd;	   /* owned */
	void *map; /* size bytes of what is reserved, which the driver imported */
	size_t size; /* counted by layer_limit_take() */
	void *reserved; /* owned mapping of room bytes */
	size_t room;
};

/* A buffer or an image that was created for dma-bufs, where the driver knows none. */
struct layer_external {
	struct layer_external *next;
	uint64_t handle;
	bool image;
};

struct layer_device {
	struct layer_device *next;
	void *key;
	VkDevice handle;
	bool native_dma_buf;	/* the driver has VK_EXT_external_memory_dma_buf itself */
	bool host_import;	/* VK_EXT_external_memory_host is enabled */
	bool sync_imports;	/* the layer imports sync files, for the driver does not */
	uint32_t host_visible;	/* bit per memory type, as the layer shows them */
	uint32_t importable;	/* bit per memory type: takes a memfd's mapping */
	size_t alignment;	/* minImportedHostPointerAlignment, at least a page */
	PFN_vkGetDeviceProcAddr get_proc_addr;
	PFN_vkDestroyDevice destroy;
	PFN_vkAllocateMemory allocate;
	PFN_vkFreeMemory free;
	PFN_vkGetMemoryFdKHR get_fd;			      /* NULL without the extension */
	PFN_vkGetMemoryFdPropertiesKHR get_fd_properties;     /* likewise */
	PFN_vkGetMemoryHostPointerPropertiesEXT host_pointer; /* likewise */
	PFN_vkCreateBuffer create_buffer;
	PFN_vkCreateImage create_image;
	PFN_vkDestroyBuffer destroy_buffer;
	PFN_vkDestroyImage destroy_image;
	PFN_vkGetBufferMemoryRequirements buffer_requirements;
	PFN_vkGetImageMemoryRequirements image_requirements;
	PFN_vkGetBufferMemoryRequirements2 buffer_requirements2; /* NULL before Vulkan 1.1 */
	PFN_vkGetImageMemoryRequirements2 image_requirements2;	 /* likewise */
	PFN_vkGetDeviceBufferMemoryRequirements device_buffer;	 /* NULL without maintenance4 */
	PFN_vkGetDeviceImageMemoryRequirements device_image;	 /* likewise */
	PFN_vkGetDeviceImageSparseMemoryRequirements device_sparse; /* likewise */
	PFN_vkImportSemaphoreFdKHR import_semaphore_fd; /* NULL without the extension */
	PFN_vkDestroySemaphore destroy_semaphore;
	PFN_vkQueueSubmit queue_submit;
	PFN_vkQueueSubmit2 queue_submit2; /* NULL without synchronization2 */
	PFN_vkQueueBindSparse bind_sparse;
	pthread_mutex_t lock; /* of memories, externals and signaled */
	struct layer_memory *memories;
	struct layer_external *externals; /* owned */
	VkSemaphore *signaled; /* owned: whose next wait is over already */
	uint32_t num_signaled, room_signaled;
};

/* What the driver of a physical device has itself. */
struct layer_extensions {
	bool host_import; /* VK_EXT_external_memory_host, and buffers may lie in such memory */
	bool memory_fd;	  /* VK_KHR_external_memory_fd */
	bool dma_buf;	  /* VK_EXT_external_memory_dma_buf */
	bool semaphore_fd; /* VK_KHR_external_semaphore_fd */
};

static inline void *layer_key(const void *dispatchable)
{
	return *(void *const *)dispatchable;
}

/** layer_instance_of() - of a VkInstance or VkPhysicalDevice; NULL when unknown */
struct layer_instance *layer_instance_of(const void *dispatchable);
/** layer_device_of() - of a VkDevice; NULL when unknown */
struct layer_device *layer_device_of(const void *dispatchable);
void layer_instance_add(struct layer_instance *inst);
void layer_device_add(struct layer_device *dev);
/** layer_instance_remove() - take it off the list; the caller frees it */
struct layer_instance *layer_instance_remove(VkInstance handle);
struct layer_device *layer_device_remove(VkDevice handle);

/* layer_physical.c */

/** layer_extensions_get() - false when they cannot be listed */
bool layer_extensions_get(struct layer_instance *inst, VkPhysicalDevice phys,
			  struct layer_extensions *ext);
PFN_vkVoidFunction layer_physical_hook(const char *name);
/** layer_hide_host_visible() - see layer_physical.c */
void layer_hide_host_visible(VkPhysicalDeviceMemoryProperties *p);

/* layer_device.c */
VKAPI_ATTR VkResult VKAPI_CALL layer_CreateDevice(VkPhysicalDevice phys,
						  const VkDeviceCreateInfo *info,
						  const VkAllocationCallbacks *alloc,
						  VkDevice *out);
PFN_vkVoidFunction layer_device_hook(const char *name);

/* layer_external.c */

/** layer_external_release_all() - objects that the application never destroyed */
void layer_external_release_all(struct layer_device *dev);
PFN_vkVoidFunction layer_external_hook(const struct layer_device *dev, const char *name);

/* layer_limit.c */

/** layer_limit_take() - whether there may be @bytes more of host-visible memory; counts them if so */
bool layer_limit_take(uint64_t bytes);
void layer_limit_give(uint64_t bytes);

/* layer_memory.c */

/** layer_memory_probe() - fill dev->importable by importing a memfd's page */
void layer_memory_probe(struct layer_device *dev);
/** layer_memory_release_all() - memory that the application never freed */
void layer_memory_release_all(struct layer_device *dev);
PFN_vkVoidFunction layer_memory_hook(const struct layer_device *dev, const char *name);

/* layer_sync.c */

/** layer_sync_imports() - whether the driver itself imports sync files into semaphores */
bool layer_sync_imports(struct layer_instance *inst, VkPhysicalDevice phys);
void layer_sync_release(struct layer_device *dev);
VKAPI_ATTR void VKAPI_CALL layer_GetPhysicalDeviceExternalSemaphoreProperties(
	VkPhysicalDevice phys, const VkPhysicalDeviceExternalSemaphoreInfo *info,
	VkExternalSemaphoreProperties *out);
PFN_vkVoidFunction layer_sync_hook(const struct layer_device *dev, const char *name);

#endif
