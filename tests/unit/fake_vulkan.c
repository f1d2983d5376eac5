/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_vulkan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>

#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define HOST_POINTER VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT
#define OPAQUE VK_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD_BIT
#define LOCAL VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT
#define HOST (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define CACHED VK_MEMORY_PROPERTY_HOST_CACHED_BIT

VkResult vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v);

#define CHECK(what)                                                                \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

const struct fake_kind fake_nvidia = {
	.types = { 0, LOCAL, HOST, HOST | CACHED, LOCAL | HOST }, .num_types = 5,
	.extensions = { "VK_KHR_external_memory_fd", "VK_EXT_external_memory_host",
			"VK_KHR_external_semaphore_fd" },
	.host_buffers = true, .file_pages = true, .host_types = 0xc, .alignment = 65536,
	.sync_files = true,
};

const struct fake_kind fake_radv = {
	.types = { LOCAL, HOST, LOCAL | HOST, HOST | CACHED }, .num_types = 4,
	.extensions = { "VK_KHR_external_memory_fd", "VK_EXT_external_memory_dma_buf",
			"VK_EXT_external_memory_host", "VK_KHR_external_semaphore_fd" },
	.host_buffers = true, .host_types = 0xa, .alignment = 4096, .sync_files = true,
};

const struct fake_kind fake_lavapipe = {
	.types = { LOCAL | HOST | CACHED }, .num_types = 1,
	.extensions = { "VK_EXT_external_memory_host" },
	.host_buffers = true, .file_pages = true, .host_types = 1, .alignment = 4096,
};

struct fake fake;

/* A dispatchable object: the loader's table first, which is all that the layer looks at. */
struct object {
	void *table;
};

static struct object instance, physical;
static VkNegotiateLayerInterface layer = { .loaderLayerInterfaceVersion = 2 };

static bool has(const char *extension)
{
	for (const char *const *e = fake.kind->extensions; *e; e++)
		if (!strcmp(*e, extension))
			return true;
	return false;
}

static const void *find(const void *chain, VkStructureType type)
{
	const VkBaseInStructure *s;

	for (s = chain; s && s->sType != type; s = s->pNext)
		;
	return s;
}

static VkExternalMemoryHandleTypeFlags offered(void)
{
	return HOST_POINTER | OPAQUE | (has("VK_EXT_external_memory_dma_buf") ? DMA_BUF : 0u);
}

/* The instance's functions */

static VkResult fake_CreateInstance(const VkInstanceCreateInfo *info,
				    const VkAllocationCallbacks *alloc, VkInstance *out)
{
	(void)info;
	(void)alloc;
	instance.table = physical.table = &instance;
	*out = (VkInstance)&instance;
	return VK_SUCCESS;
}

static void fake_DestroyInstance(VkInstance handle, const VkAllocationCallbacks *alloc)
{
	(void)alloc;
	CHECK(handle == (VkInstance)&instance);
}

static VkResult fake_EnumerateDeviceExtensionProperties(VkPhysicalDevice phys, const char *name,
							uint32_t *count, VkExtensionProperties *out)
{
	uint32_t n = 0;

	CHECK(phys == fake_physical() && !name);
	for (; fake.kind->extensions[n]; n++)
		if (out) {
			CHECK(n < *count);
			strcpy(out[n].extensionName, fake.kind->extensions[n]);
		}
	*count = n;
	return VK_SUCCESS;
}

static void fake_GetPhysicalDeviceProperties2(VkPhysicalDevice phys,
					      VkPhysicalDeviceProperties2 *out)
{
	(void)phys;
	for (VkBaseOutStructure *s = out->pNext; s; s = s->pNext)
		if (s->sType ==
		    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT)
			((VkPhysicalDeviceExternalMemoryHostPropertiesEXT *)s)
				->minImportedHostPointerAlignment = fake.kind->alignment;
}

static void fake_GetPhysicalDeviceMemoryProperties(VkPhysicalDevice phys,
						   VkPhysicalDeviceMemoryProperties *out)
{
	(void)phys;
	memset(out, 0, sizeof(*out));
	out->memoryTypeCount = fake.kind->num_types;
	for (uint32_t i = 0; i < out->memoryTypeCount; i++)
		out->memoryTypes[i].propertyFlags = fake.kind->types[i];
}

static void fake_GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice phys,
						    VkPhysicalDeviceMemoryProperties2 *out)
{
	fake_GetPhysicalDeviceMemoryProperties(phys, &out->memoryProperties);
}

static void external_properties(VkExternalMemoryHandleTypeFlags type, VkExternalMemoryProperties *out)
{
	CHECK(type & offered());
	memset(out, 0, sizeof(*out));
	if (type == HOST_POINTER && !fake.kind->host_buffers)
		return;
	out->externalMemoryFeatures = VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT;
	out->compatibleHandleTypes = out->exportFromImportedHandleTypes = type;
}

static void fake_GetPhysicalDeviceExternalBufferProperties(
	VkPhysicalDevice phys, const VkPhysicalDeviceExternalBufferInfo *info,
	VkExternalBufferProperties *out)
{
	(void)phys;
	external_properties(info->handleType, &out->externalMemoryProperties);
}

static VkResult fake_GetPhysicalDeviceImageFormatProperties2(
	VkPhysicalDevice phys, const VkPhysicalDeviceImageFormatInfo2 *info,
	VkImageFormatProperties2 *out)
{
	const VkPhysicalDeviceExternalImageFormatInfo *external =
		find(info->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO);

	(void)phys;
	fake.last_types = external ? external->handleType : 0;
	for (VkBaseOutStructure *s = out->pNext; external && s; s = s->pNext)
		if (s->sType == VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES)
			external_properties(external->handleType,
					    &((VkExternalImageFormatProperties *)s)
						     ->externalMemoryProperties);
	return VK_SUCCESS;
}

static void fake_GetPhysicalDeviceExternalSemaphoreProperties(
	VkPhysicalDevice phys, const VkPhysicalDeviceExternalSemaphoreInfo *info,
	VkExternalSemaphoreProperties *out)
{
	(void)phys;
	CHECK(info->handleType == VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT);
	out->externalSemaphoreFeatures =
		fake.kind->sync_files ? VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT : 0;
}

static VkResult fake_CreateDevice(VkPhysicalDevice phys, const VkDeviceCreateInfo *info,
				  const VkAllocationCallbacks *alloc, VkDevice *out)
{
	struct object *dev = calloc(1, sizeof(*dev));

	(void)alloc;
	CHECK(dev && phys == fake_physical());
	fake.num_enabled = info->enabledExtensionCount;
	for (uint32_t i = 0; i < fake.num_enabled; i++) {
		fake.enabled[i] = info->ppEnabledExtensionNames[i];
		if (!has(fake.enabled[i])) {
			free(dev);
			return VK_ERROR_EXTENSION_NOT_PRESENT;
		}
	}
	dev->table = dev;
	*out = (VkDevice)dev;
	fake.devices++;
	return VK_SUCCESS;
}

/* The device's functions */

static void fake_DestroyDevice(VkDevice dev, const VkAllocationCallbacks *alloc)
{
	(void)alloc;
	fake.devices--;
	free(dev);
}

static void note_allocation(const VkMemoryAllocateInfo *info)
{
	const VkExportMemoryAllocateInfo *export;
	const VkBaseInStructure *s;

	fake.last = (struct fake_allocation){ .size = info->allocationSize,
					      .type = info->memoryTypeIndex };
	for (s = info->pNext; s; s = s->pNext) {
		switch (s->sType) {
		case VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT:
			fake.last.import_pointer = true;
			fake.last.pointer =
				((const VkImportMemoryHostPointerInfoEXT *)s)->pHostPointer;
			break;
		case VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO:
			export = (const void *)s;
			CHECK(!(export->handleTypes & ~offered()));
			fake.last.export = true;
			break;
		case VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR: fake.last.import_fd = true; break;
		case VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO:
			fake.last.dedicated = true;
			break;
		case VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO: fake.last.flags = true; break;
		default: fake.last.other = true; break;
		}
	}
}

static VkResult fake_AllocateMemory(VkDevice dev, const VkMemoryAllocateInfo *info,
				    const VkAllocationCallbacks *alloc, VkDeviceMemory *out)
{
	const struct fake_kind *kind = fake.kind;

	(void)alloc;
	note_allocation(info);
	fake.allocations++;
	fake.last_device = dev;
	if (fake.last.import_pointer) {
		CHECK(kind->host_types & 1u << info->memoryTypeIndex);
		CHECK((uintptr_t)fake.last.pointer % kind->alignment == 0);
		CHECK(info->allocationSize && info->allocationSize % kind->alignment == 0);
		if (!kind->file_pages)
			return VK_ERROR_INVALID_EXTERNAL_HANDLE;
	}
	if (fake.allocate_result != VK_SUCCESS)
		return fake.allocate_result;
	*out = (VkDeviceMemory)malloc(1);
	CHECK(*out);
	fake.memories++;
	return VK_SUCCESS;
}

static void fake_FreeMemory(VkDevice dev, VkDeviceMemory memory, const VkAllocationCallbacks *alloc)
{
	(void)dev;
	(void)alloc;
	fake.memories -= memory != VK_NULL_HANDLE;
	free((void *)memory);
}

static VkResult fake_GetMemoryFdKHR(VkDevice dev, const VkMemoryGetFdInfoKHR *info, int *out)
{
	(void)dev;
	CHECK(info->handleType & offered());
	*out = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return VK_SUCCESS;
}

static VkResult fake_GetMemoryHostPointerPropertiesEXT(VkDevice dev,
						       VkExternalMemoryHandleTypeFlagBits type,
						       const void *pointer,
						       VkMemoryHostPointerPropertiesEXT *out)
{
	(void)dev;
	CHECK(type == HOST_POINTER && (uintptr_t)pointer % fake.kind->alignment == 0);
	out->memoryTypeBits = fake.kind->host_types;
	return VK_SUCCESS;
}

static void note_types(const void *chain)
{
	const VkExternalMemoryBufferCreateInfo *buffer =
		find(chain, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
	const VkExternalMemoryImageCreateInfo *image =
		find(chain, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO);

	fake.last_types = buffer ? buffer->handleTypes : image ? image->handleTypes : 0;
	CHECK(!(fake.last_types & ~offered()));
}

/* Handles come again as soon as they are free. */
static VkResult fake_CreateBuffer(VkDevice dev, const VkBufferCreateInfo *info,
				  const VkAllocationCallbacks *alloc, VkBuffer *out)
{
	(void)dev;
	(void)alloc;
	note_types(info->pNext);
	*out = (VkBuffer)(uintptr_t)0x1000;
	return VK_SUCCESS;
}

static VkResult fake_CreateImage(VkDevice dev, const VkImageCreateInfo *info,
				 const VkAllocationCallbacks *alloc, VkImage *out)
{
	(void)dev;
	(void)alloc;
	note_types(info->pNext);
	*out = (VkImage)(uintptr_t)0x1000;
	return VK_SUCCESS;
}

static void fake_DestroyBuffer(VkDevice dev, VkBuffer buffer, const VkAllocationCallbacks *alloc)
{
	(void)dev;
	(void)buffer;
	(void)alloc;
}

static void fake_DestroyImage(VkDevice dev, VkImage image, const VkAllocationCallbacks *alloc)
{
	(void)dev;
	(void)image;
	(void)alloc;
}

static void requirements(VkMemoryRequirements *out)
{
	*out = (VkMemoryRequirements){ 4096, 4096, (1u << fake.kind->num_types) - 1 };
}

static void fake_GetBufferMemoryRequirements(VkDevice dev, VkBuffer buffer,
					     VkMemoryRequirements *out)
{
	(void)dev;
	(void)buffer;
	requirements(out);
}

static void fake_GetImageMemoryRequirements(VkDevice dev, VkImage image, VkMemoryRequirements *out)
{
	(void)dev;
	(void)image;
	requirements(out);
}

static void fake_GetBufferMemoryRequirements2(VkDevice dev,
					      const VkBufferMemoryRequirementsInfo2 *info,
					      VkMemoryRequirements2 *out)
{
	fake_GetBufferMemoryRequirements(dev, info->buffer, &out->memoryRequirements);
}

static void fake_GetImageMemoryRequirements2(VkDevice dev,
					     const VkImageMemoryRequirementsInfo2 *info,
					     VkMemoryRequirements2 *out)
{
	fake_GetImageMemoryRequirements(dev, info->image, &out->memoryRequirements);
}

/* This driver has these as an extension, under its name alone. */
static void fake_GetDeviceBufferMemoryRequirementsKHR(VkDevice dev,
						      const VkDeviceBufferMemoryRequirements *info,
						      VkMemoryRequirements2 *out)
{
	(void)dev;
	note_types(info->pCreateInfo->pNext);
	requirements(&out->memoryRequirements);
}

static void fake_GetDeviceImageMemoryRequirementsKHR(VkDevice dev,
						     const VkDeviceImageMemoryRequirements *info,
						     VkMemoryRequirements2 *out)
{
	(void)dev;
	note_types(info->pCreateInfo->pNext);
	requirements(&out->memoryRequirements);
}

static VkResult fake_QueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *submits,
				 VkFence fence)
{
	const VkDeviceGroupSubmitInfo *group =
		find(submits->pNext, VK_STRUCTURE_TYPE_DEVICE_GROUP_SUBMIT_INFO);

	(void)queue;
	(void)fence;
	CHECK(count);
	fake.submit = *submits;
	fake.submit_device_count = group ? group->waitSemaphoreCount : 0;
	for (uint32_t i = 0; i < submits->waitSemaphoreCount; i++) {
		fake.submit_waits[i] = submits->pWaitSemaphores[i];
		if (i < fake.submit_device_count)
			fake.submit_devices[i] = group->pWaitSemaphoreDeviceIndices[i];
	}
	return VK_SUCCESS;
}

static const struct {
	const char *name;
	PFN_vkVoidFunction fn;
} functions[] = {
#define ENTRY(fn) { "vk" #fn, (PFN_vkVoidFunction)fake_##fn }
	ENTRY(CreateInstance),
	ENTRY(DestroyInstance),
	ENTRY(EnumerateDeviceExtensionProperties),
	ENTRY(GetPhysicalDeviceProperties2),
	ENTRY(GetPhysicalDeviceMemoryProperties),
	ENTRY(GetPhysicalDeviceMemoryProperties2),
	ENTRY(GetPhysicalDeviceExternalBufferProperties),
	ENTRY(GetPhysicalDeviceImageFormatProperties2),
	ENTRY(GetPhysicalDeviceExternalSemaphoreProperties),
	ENTRY(CreateDevice),
	ENTRY(DestroyDevice),
	ENTRY(AllocateMemory),
	ENTRY(FreeMemory),
	ENTRY(GetMemoryFdKHR),
	ENTRY(GetMemoryHostPointerPropertiesEXT),
	ENTRY(CreateBuffer),
	ENTRY(CreateImage),
	ENTRY(DestroyBuffer),
	ENTRY(DestroyImage),
	ENTRY(GetBufferMemoryRequirements),
	ENTRY(GetImageMemoryRequirements),
	ENTRY(GetBufferMemoryRequirements2),
	ENTRY(GetImageMemoryRequirements2),
	ENTRY(GetDeviceBufferMemoryRequirementsKHR),
	ENTRY(GetDeviceImageMemoryRequirementsKHR),
	ENTRY(QueueSubmit),
#undef ENTRY
};

static PFN_vkVoidFunction lookup(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (!strcmp(functions[i].name, name))
			return functions[i].fn;
	return NULL;
}

static PFN_vkVoidFunction next_instance_proc(VkInstance handle, const char *name)
{
	CHECK(!handle || handle == (VkInstance)&instance);
	return lookup(name);
}

static PFN_vkVoidFunction next_device_proc(VkDevice dev, const char *name)
{
	(void)dev;
	return lookup(name);
}

PFN_vkVoidFunction fake_instance_proc(const char *name)
{
	return layer.pfnGetInstanceProcAddr((VkInstance)&instance, name);
}

PFN_vkVoidFunction fake_device_proc(VkDevice dev, const char *name)
{
	return layer.pfnGetDeviceProcAddr(dev, name);
}

VkPhysicalDevice fake_physical(void)
{
	return (VkPhysicalDevice)&physical;
}

VkQueue fake_queue(VkDevice dev)
{
	return (VkQueue)dev; /* the same table, and nobody looks further */
}

void fake_start(const struct fake_kind *kind)
{
	VkLayerInstanceLink link = { .pfnNextGetInstanceProcAddr = next_instance_proc };
	VkLayerInstanceCreateInfo chain = {
		.sType = VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO,
		.function = VK_LAYER_LINK_INFO, .u.pLayerInfo = &link,
	};
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
					    .pNext = &chain };
	PFN_vkCreateInstance create;
	VkInstance handle;

	CHECK(vkNegotiateLoaderLayerInterfaceVersion(&layer) == VK_SUCCESS);
	fake = (struct fake){ .kind = kind };
	create = (PFN_vkCreateInstance)layer.pfnGetInstanceProcAddr(NULL, "vkCreateInstance");
	CHECK(create(&info, NULL, &handle) == VK_SUCCESS && !link.pNext && !chain.u.pLayerInfo);
}

void fake_stop(void)
{
	((PFN_vkDestroyInstance)fake_instance_proc("vkDestroyInstance"))((VkInstance)&instance,
									 NULL);
	CHECK(!fake.devices);
}

VkResult fake_device(const char *const *names, VkDevice *out)
{
	VkLayerDeviceLink link = { .pfnNextGetInstanceProcAddr = next_instance_proc,
				   .pfnNextGetDeviceProcAddr = next_device_proc };
	VkLayerDeviceCreateInfo chain = { .sType = VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO,
					  .function = VK_LAYER_LINK_INFO, .u.pLayerInfo = &link };
	VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
				    .pNext = &chain, .ppEnabledExtensionNames = names };

	while (names && names[info.enabledExtensionCount])
		info.enabledExtensionCount++;
	return ((PFN_vkCreateDevice)fake_instance_proc("vkCreateDevice"))(fake_physical(), &info,
									  NULL, out);
}
