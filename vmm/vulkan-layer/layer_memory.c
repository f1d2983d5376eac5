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
	munmap(mem->reserved, mem->room);
	layer_limit_give(mem->size);
	if (mem->fd >= 0)
		close(mem->fd);
	free(mem);
}

/* Maps the file at a multiple of the driver's alignment, which may be more than a page. */
static bool layer_memory_place(struct layer_memory *mem, int fd, size_t alignment)
{
	uintptr_t at;

	if (__builtin_add_overflow(mem->size, alignment, &mem->room))
		return false;
	mem->reserved = mmap(NULL, mem->room, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem->reserved == MAP_FAILED)
		return false;
	at = ((uintptr_t)mem->reserved + alignment - 1) / alignment * alignment;
	mem->map = mmap((void *)at, mem->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			0);
	if (mem->map != MAP_FAILED)
		return true;
	munmap(mem->reserved, mem->room);
	return false;
}

/*
 * Maps @fd, which becomes the memory's, NULL when it cannot be: @fd is then still the caller's. Each
 * mapping counts, a second one of the same file too: it outlives the first.
 */
static struct layer_memory *layer_memory_map(int fd, size_t size, size_t alignment)
{
	struct layer_memory *mem;

	if (!layer_limit_take(size))
		return NULL;
	mem = calloc(1, sizeof(*mem));
	if (mem) {
		mem->fd = fd;
		mem->size = size;
		if (layer_memory_place(mem, fd, alignment))
			return mem;
		free(mem);
	}
	layer_limit_give(size);
	return NULL;
}

static struct layer_memory *layer_memory_create(size_t size, size_t alignment)
{
	struct layer_memory *mem = NULL;
	int fd = memfd_create("krun-gpu-host-visible", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, LAYER_SEALS | F_SEAL_SEAL) == 0)
		mem = layer_memory_map(fd, size, alignment);
	if (!mem)
		close(fd);
	return mem;
}

/* Some drivers say that they take host pointers, but not those of a file's pages. */
static bool layer_memory_imports(struct layer_device *dev, const struct layer_memory *mem,
				 uint32_t type)
{
	const VkImportMemoryHostPointerInfoEXT import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = HOST_POINTER,
		.pHostPointer = mem->map,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = &import,
		.allocationSize = mem->size,
		.memoryTypeIndex = type,
	};
	VkDeviceMemory memory;

	if (dev->allocate(dev->handle, &info, NULL, &memory) != VK_SUCCESS)
		return false;
	dev->free(dev->handle, memory, NULL);
	return true;
}

void layer_memory_probe(struct layer_device *dev)
{
	VkMemoryHostPointerPropertiesEXT props = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
	};
	struct layer_memory *mem = layer_memory_create(dev->alignment, dev->alignment);

	if (!mem || dev->host_pointer(dev->handle, HOST_POINTER, mem->map, &props) != VK_SUCCESS)
		props.memoryTypeBits = 0;
	props.memoryTypeBits &= dev->host_visible;
	for (uint32_t i = 0; i < VK_MAX_MEMORY_TYPES; i++)
		if (props.memoryTypeBits & 1u << i && layer_memory_imports(dev, mem, i))
			dev->importable |= 1u << i;
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
		mem = layer_memory_map(import->fd, size, dev->alignment);
	} else if (!import && export && (export->handleTypes & DMA_BUF)) {
		mem = layer_memory_create(size, dev->alignment);
	} else {
		return NULL;
	}
	if (!mem)
		*r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
	return mem;
}

/* A driver without dma-bufs is never asked for one: it may do anything then. */
static VkResult layer_memory_pass(struct layer_device *dev, const VkMemoryAllocateInfo *info,
				  const VkAllocationCallbacks *alloc, VkDeviceMemory *out)
{
	const VkExportMemoryAllocateInfo *export =
		layer_chain_find(info->pNext, VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO);
	const VkImportMemoryFdInfoKHR *import =
		layer_chain_find(info->pNext, VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR);

	if (!dev->native_dma_buf && import && import->handleType == DMA_BUF)
		return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	if (!dev->native_dma_buf && export && (export->handleTypes & DMA_BUF))
		return VK_ERROR_OUT_OF_DEVICE_MEMORY;
	return dev->allocate(dev->handle, info, alloc, out);
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
		return layer_memory_pass(dev, info, alloc, out);
	mem = layer_memory_for(dev, info, &imported, &r);
	if (!mem)
		return r == VK_SUCCESS ? layer_memory_pass(dev, info, alloc, out) : r;
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
