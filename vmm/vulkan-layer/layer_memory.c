/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * virglrenderer asks that every host-visible allocation can be exported as a dma-buf, which the VMM
 * then maps into the guest. Drivers differ in what that gives: lavapipe needs /dev/udmabuf (64 MiB
 * at most), NVIDIA's without a DRM node has only opaque handles, and real dma-bufs may be device
 * pages that KVM cannot map with the right caching. So such an allocation is served here: a sealed
 * memfd of its size, mapped shared, imported into the driver as host memory. Its "dma-buf" is the
 * memfd: it can be mapped and has a size, which is all that virglrenderer and the VMM ask of it.
 * A guest that imports it again into another of its devices gives us the memfd back.
 *
 * What is not host-visible, or is of a type that takes no host pointers, is the driver's as before.
 */
#include "layer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define HOST_POINTER VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT
#define LAYER_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Structures of an allocation that go on to the driver with an import; copied into one chain. */
struct layer_alloc_chain {
	VkImportMemoryHostPointerInfoEXT import;
	VkMemoryAllocateFlagsInfo flags;
	VkMemoryPriorityAllocateInfoEXT priority;
	VkMemoryOpaqueCaptureAddressAllocateInfo address;
};

static void layer_memory_destroy(struct layer_memory *mem)
{
	if (!mem)
		return;
	if (mem->map)
		munmap(mem->map, mem->size);
	if (mem->fd >= 0)
		close(mem->fd);
	free(mem);
}

/* Maps @fd, which becomes the memory's, NULL when it cannot be: @fd is then still the caller's. */
static struct layer_memory *layer_memory_map(int fd, size_t size)
{
	struct layer_memory *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return NULL;
	mem->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem->map == MAP_FAILED) {
		free(mem);
		return NULL;
	}
	mem->fd = fd;
	mem->size = size;
	return mem;
}

static struct layer_memory *layer_memory_create(size_t size)
{
	struct layer_memory *mem = NULL;
	int fd = memfd_create("krun-gpu-host-visible", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, LAYER_SEALS | F_SEAL_SEAL) == 0)
		mem = layer_memory_map(fd, size);
	if (!mem)
		close(fd);
	return mem;
}

void layer_memory_probe(struct layer_device *dev)
{
	VkMemoryHostPointerPropertiesEXT props = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
	};
	struct layer_memory *mem = layer_memory_create(dev->alignment);

	if (mem && dev->host_pointer(dev->handle, HOST_POINTER, mem->map, &props) == VK_SUCCESS)
		dev->importable = props.memoryTypeBits & dev->host_visible;
	layer_memory_destroy(mem);
}

void layer_memory_release_all(struct layer_device *dev)
{
	while (dev->memories) {
		struct layer_memory *mem = dev->memories;

		dev->memories = mem->next;
		layer_memory_destroy(mem);
	}
}

static struct layer_memory *layer_memory_find(struct layer_device *dev, VkDeviceMemory handle)
{
	struct layer_memory *mem;

	pthread_mutex_lock(&dev->lock);
	for (mem = dev->memories; mem && mem->handle != handle; mem = mem->next)
		;
	pthread_mutex_unlock(&dev->lock);
	return mem;
}

/*
 * Collects what the driver is told beside the import. False when the application asked for
 * something else that would be lost: the driver then gets the request as it is. Dedicated
 * allocations become plain ones, which imports of host memory always are.
 */
static bool layer_alloc_chain_copy(struct layer_alloc_chain *chain,
				   const VkMemoryAllocateInfo *info)
{
	const VkBaseInStructure *s;
	const void **tail = &chain->import.pNext;

	memset(chain, 0, sizeof(*chain));
	for (s = info->pNext; s; s = s->pNext) {
		switch (s->sType) {
		case VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO:
		case VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR:
		case VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO:
			continue;
#define KEEP(type, member)                                    \
		case type:                                    \
			memcpy(&chain->member, s, sizeof(chain->member)); \
			chain->member.pNext = NULL;           \
			*tail = &chain->member;               \
			tail = &chain->member.pNext;          \
			continue
		KEEP(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, flags);
		KEEP(VK_STRUCTURE_TYPE_MEMORY_PRIORITY_ALLOCATE_INFO_EXT, priority);
		KEEP(VK_STRUCTURE_TYPE_MEMORY_OPAQUE_CAPTURE_ADDRESS_ALLOCATE_INFO, address);
#undef KEEP
		default:
			return false;
		}
	}
	return true;
}

static const void *layer_chain_find(const void *chain, VkStructureType type)
{
	const VkBaseInStructure *s;

	for (s = chain; s && s->sType != type; s = s->pNext)
		;
	return s;
}

/* A file that layer_memory_create() made, or one like it, in this process or another. */
static bool layer_fd_is_memfd(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & LAYER_SEALS) == LAYER_SEALS;
}

static size_t layer_round_up(const struct layer_device *dev, VkDeviceSize size)
{
	return (size_t)((size + dev->alignment - 1) / dev->alignment * dev->alignment);
}

/* The memory for an allocation, or NULL with *r = VK_SUCCESS when it is the driver's affair. */
static struct layer_memory *layer_memory_for(struct layer_device *dev,
					     const VkMemoryAllocateInfo *info, bool *imported,
					     VkResult *r)
{
	const VkExportMemoryAllocateInfo *export =
		layer_chain_find(info->pNext, VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO);
	const VkImportMemoryFdInfoKHR *import =
		layer_chain_find(info->pNext, VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR);
	struct layer_memory *mem;
	struct stat st;
	size_t size;

	*r = VK_SUCCESS;
	*imported = false;
	if (info->memoryTypeIndex >= 32 || !(dev->importable & (1u << info->memoryTypeIndex)))
		return NULL;
	size = layer_round_up(dev, info->allocationSize);
	if (size < info->allocationSize) {
		*r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
		return NULL;
	}
	if (import && import->handleType == DMA_BUF && layer_fd_is_memfd(import->fd)) {
		*imported = true;
		if (fstat(import->fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size < size) {
			*r = VK_ERROR_INVALID_EXTERNAL_HANDLE;
			return NULL;
		}
		mem = layer_memory_map(import->fd, size);
	} else if (!import && export && (export->handleTypes & DMA_BUF)) {
		mem = layer_memory_create(size);
	} else {
		return NULL;
	}
	if (!mem)
		*r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	return mem;
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_AllocateMemory(VkDevice handle,
							   const VkMemoryAllocateInfo *info,
							   const VkAllocationCallbacks *alloc,
							   VkDeviceMemory *out)
{
	struct layer_device *dev = layer_device_of(handle);
	VkMemoryAllocateInfo asked = *info;
	struct layer_alloc_chain chain;
	struct layer_memory *mem;
	bool imported;
	VkResult r;

	if (!dev->importable || !layer_alloc_chain_copy(&chain, info))
		return dev->allocate(handle, info, alloc, out);
	mem = layer_memory_for(dev, info, &imported, &r);
	if (!mem)
		return r == VK_SUCCESS ? dev->allocate(handle, info, alloc, out) : r;
	chain.import.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT;
	chain.import.handleType = HOST_POINTER;
	chain.import.pHostPointer = mem->map;
	asked.pNext = &chain.import;
	asked.allocationSize = mem->size;
	r = dev->allocate(handle, &asked, alloc, out);
	if (r != VK_SUCCESS) {
		/* An imported fd becomes ours only when the allocation succeeds. */
		if (imported)
			mem->fd = -1;
		layer_memory_destroy(mem);
		return r == VK_ERROR_INVALID_EXTERNAL_HANDLE ? VK_ERROR_OUT_OF_DEVICE_MEMORY : r;
	}
	mem->handle = *out;
	pthread_mutex_lock(&dev->lock);
	mem->next = dev->memories;
	dev->memories = mem;
	pthread_mutex_unlock(&dev->lock);
	return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL layer_FreeMemory(VkDevice handle, VkDeviceMemory memory,
						   const VkAllocationCallbacks *alloc)
{
	struct layer_device *dev = layer_device_of(handle);
	struct layer_memory **at, *mem = NULL;

	/* Off the list first: the driver may give the handle to another thread's allocation. */
	pthread_mutex_lock(&dev->lock);
	for (at = &dev->memories; memory && *at && (*at)->handle != memory; at = &(*at)->next)
		;
	if (memory && *at) {
		mem = *at;
		*at = mem->next;
	}
	pthread_mutex_unlock(&dev->lock);
	dev->free(handle, memory, alloc);
	layer_memory_destroy(mem);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_GetMemoryFdKHR(VkDevice handle,
							   const VkMemoryGetFdInfoKHR *info,
							   int *out)
{
	struct layer_device *dev = layer_device_of(handle);
	struct layer_memory *mem =
		info->handleType == DMA_BUF ? layer_memory_find(dev, info->memory) : NULL;

	if (mem) {
		*out = fcntl(mem->fd, F_DUPFD_CLOEXEC, 0);
		return *out < 0 ? VK_ERROR_TOO_MANY_OBJECTS : VK_SUCCESS;
	}
	if (!dev->get_fd || (info->handleType == DMA_BUF && !dev->native_dma_buf))
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	return dev->get_fd(handle, info, out);
}

static VKAPI_ATTR VkResult VKAPI_CALL layer_GetMemoryFdPropertiesKHR(
	VkDevice handle, VkExternalMemoryHandleTypeFlagBits type, int fd,
	VkMemoryFdPropertiesKHR *out)
{
	struct layer_device *dev = layer_device_of(handle);

	if (type == DMA_BUF && dev->importable && layer_fd_is_memfd(fd)) {
		out->memoryTypeBits = dev->importable;
		return VK_SUCCESS;
	}
	if (!dev->get_fd_properties || (type == DMA_BUF && !dev->native_dma_buf))
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	return dev->get_fd_properties(handle, type, fd, out);
}

PFN_vkVoidFunction layer_memory_hook(const struct layer_device *dev, const char *name)
{
	if (dev && !dev->host_import)
		return NULL;
	if (!strcmp(name, "vkAllocateMemory"))
		return (PFN_vkVoidFunction)layer_AllocateMemory;
	if (!strcmp(name, "vkFreeMemory"))
		return (PFN_vkVoidFunction)layer_FreeMemory;
	if (!strcmp(name, "vkGetMemoryFdKHR"))
		return (PFN_vkVoidFunction)layer_GetMemoryFdKHR;
	if (!strcmp(name, "vkGetMemoryFdPropertiesKHR"))
		return (PFN_vkVoidFunction)layer_GetMemoryFdPropertiesKHR;
	return NULL;
}
