/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The render server's Vulkan layer over drivers of several kinds (fake_vulkan.c). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/gpu_limit_proto.h"
#include "fake_vulkan.h"
#include "unit.h"

#define DMA_BUF VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT
#define HOST_POINTER VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT
#define LIMIT (64u << 20)
#define LAYER_NAME "VK_LAYER_KRUN_GPU_host_memory"
#define INSTANCE(fn) ((PFN_##fn)fake_instance_proc(#fn))
#define DEVICE(dev, fn) ((PFN_##fn)fake_device_proc(dev, #fn))

static const char *const dma_buf_names[] = { "VK_EXT_external_memory_dma_buf",
					     "VK_KHR_external_memory_fd", NULL };
static struct gpu_limit *counted; /* what the layer counts in */

static VkDevice start(const struct fake_kind *kind)
{
	VkDevice dev;

	fake_start(kind);
	assert_int_equal(fake_device(dma_buf_names, &dev), VK_SUCCESS);
	return dev;
}

static void stop(VkDevice dev)
{
	DEVICE(dev, vkDestroyDevice)(dev, NULL);
	fake_stop();
}

static uint64_t counted_bytes(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < GPU_LIMIT_SLOTS; i++)
		if (counted->slots[i].pid == getpid())
			sum += counted->slots[i].bytes;
	return sum;
}

static VkMemoryPropertyFlags flags_of(uint32_t type)
{
	VkPhysicalDeviceMemoryProperties p;
	VkPhysicalDeviceMemoryProperties2 p2 = { 0 };

	INSTANCE(vkGetPhysicalDeviceMemoryProperties)(fake_physical(), &p);
	INSTANCE(vkGetPhysicalDeviceMemoryProperties2)(fake_physical(), &p2);
	assert_memory_equal(&p, &p2.memoryProperties, sizeof(p));
	return p.memoryTypes[type].propertyFlags;
}

static void test_memory_types(void **state)
{
	(void)state;
	fake_start(&fake_nvidia);
	assert_int_equal(flags_of(4), VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	assert_int_equal(flags_of(3), fake_nvidia.types[3]);
	fake_stop();
	fake_start(&fake_radv);
	assert_int_equal(flags_of(2), VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	fake_stop();
	fake_start(&fake_lavapipe); /* all of its memory is one */
	assert_int_equal(flags_of(0), fake_lavapipe.types[0]);
	fake_stop();
}

static unsigned int listed(const char *name, uint32_t *total)
{
	VkExtensionProperties list[16];
	unsigned int n = 0;
	uint32_t count = 16;

	assert_int_equal(INSTANCE(vkEnumerateDeviceExtensionProperties)(fake_physical(), NULL,
									&count, list),
			 VK_SUCCESS);
	for (uint32_t i = 0; i < count; i++)
		n += !strcmp(list[i].extensionName, name);
	*total = count;
	return n;
}

static void check_list(const struct fake_kind *kind, unsigned int dma_buf, uint32_t expected)
{
	PFN_vkEnumerateDeviceExtensionProperties enumerate;
	VkExtensionProperties one;
	uint32_t total, count = 1;

	fake_start(kind);
	assert_int_equal(listed("VK_EXT_external_memory_dma_buf", &total), dma_buf);
	assert_int_equal(listed("VK_KHR_external_semaphore_fd", &total), 1);
	assert_int_equal(total, expected);
	enumerate = INSTANCE(vkEnumerateDeviceExtensionProperties);
	assert_int_equal(enumerate(fake_physical(), NULL, &count, &one), VK_INCOMPLETE);
	assert_int_equal(count, 1);
	assert_int_equal(enumerate(fake_physical(), LAYER_NAME, &count, NULL), VK_SUCCESS);
	assert_int_equal(count, 0);
	fake_stop();
}

static void test_extension_lists(void **state)
{
	struct fake_kind kind = fake_nvidia;

	(void)state;
	check_list(&fake_nvidia, 1, 4);
	check_list(&fake_radv, 1, 4);
	check_list(&fake_lavapipe, 1, 4);
	kind.host_buffers = false; /* host pointers, but not for buffers: there is nothing to offer */
	check_list(&kind, 0, 3);
}

static void test_extensions_asked_of_the_driver(void **state)
{
	struct fake_kind kind = fake_nvidia;
	VkDevice dev;

	(void)state;
	dev = start(&fake_nvidia);
	assert_int_equal(fake.num_enabled, 2);
	assert_string_equal(fake.enabled[1], "VK_EXT_external_memory_host");
	stop(dev);
	dev = start(&fake_radv);
	assert_int_equal(fake.num_enabled, 3);
	stop(dev);
	kind.host_buffers = false; /* neither has it: the driver refuses */
	fake_start(&kind);
	assert_int_equal(fake_device(dma_buf_names, &dev), VK_ERROR_EXTENSION_NOT_PRESENT);
	fake_stop();
}

/* A driver that refuses a file's pages makes no device with dma-bufs, but one without. */
static void test_driver_refuses_files(void **state)
{
	struct fake_kind kind = fake_lavapipe;
	VkDevice dev;

	(void)state;
	kind.file_pages = false;
	fake_start(&kind);
	assert_int_equal(fake_device(dma_buf_names, &dev), VK_ERROR_INITIALIZATION_FAILED);
	assert_int_equal(fake.devices, 0);
	assert_int_equal(fake_device(NULL, &dev), VK_SUCCESS);
	DEVICE(dev, vkDestroyDevice)(dev, NULL);
	fake_stop();
	assert_int_equal(counted_bytes(), 0);
}

static VkExternalMemoryFeatureFlags buffer_features(VkExternalMemoryHandleTypeFlagBits type)
{
	const VkPhysicalDeviceExternalBufferInfo info = { .handleType = type };
	VkExternalBufferProperties props = { 0 };

	INSTANCE(vkGetPhysicalDeviceExternalBufferProperties)(fake_physical(), &info, &props);
	if (props.externalMemoryProperties.externalMemoryFeatures)
		assert_int_equal(props.externalMemoryProperties.compatibleHandleTypes, type);
	return props.externalMemoryProperties.externalMemoryFeatures;
}

static void test_external_buffers(void **state)
{
	(void)state;
	fake_start(&fake_nvidia);
	assert_int_equal(buffer_features(DMA_BUF), VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT |
							   VK_EXTERNAL_MEMORY_FEATURE_EXPORTABLE_BIT);
	assert_int_equal(buffer_features(HOST_POINTER), VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT);
	fake_stop();
}

/* The external structure stands behind another one, and is as it was afterwards. */
static VkResult image_format(VkImageTiling tiling, VkExternalImageFormatProperties *props)
{
	VkPhysicalDeviceExternalImageFormatInfo external = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_IMAGE_FORMAT_INFO,
		.handleType = DMA_BUF,
	};
	const VkImageFormatListCreateInfo first = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_FORMAT_LIST_CREATE_INFO, .pNext = &external,
	};
	const VkPhysicalDeviceImageFormatInfo2 info = { .pNext = &first, .tiling = tiling };
	VkImageFormatProperties2 out = { .pNext = props };
	VkResult r;

	*props = (VkExternalImageFormatProperties){
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_IMAGE_FORMAT_PROPERTIES,
	};
	r = INSTANCE(vkGetPhysicalDeviceImageFormatProperties2)(fake_physical(), &info, &out);
	assert_int_equal(external.handleType, DMA_BUF);
	return r;
}

static void test_image_formats(void **state)
{
	VkExternalImageFormatProperties props;

	(void)state;
	fake_start(&fake_nvidia);
	assert_int_equal(image_format(VK_IMAGE_TILING_LINEAR, &props), VK_SUCCESS);
	assert_int_equal(fake.last_types, HOST_POINTER);
	assert_int_equal(props.externalMemoryProperties.compatibleHandleTypes, DMA_BUF);
	assert_int_equal(image_format(VK_IMAGE_TILING_OPTIMAL, &props),
			 VK_ERROR_FORMAT_NOT_SUPPORTED);
	fake_stop();
	fake_start(&fake_radv);
	assert_int_equal(image_format(VK_IMAGE_TILING_OPTIMAL, &props), VK_SUCCESS);
	assert_int_equal(fake.last_types, DMA_BUF);
	fake_stop();
}

/* With everything that Venus's server adds; @more: one structure after these. */
static VkResult allocate(VkDevice dev, VkDeviceSize size, uint32_t type, const void *more,
			 VkDeviceMemory *out)
{
	const VkMemoryAllocateFlagsInfo flags = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, .pNext = more,
	};
	const VkMemoryDedicatedAllocateInfo dedicated = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO, .pNext = &flags,
	};
	const VkExportMemoryAllocateInfo export = {
		.sType = VK_STRUCTURE_TYPE_EXPORT_MEMORY_ALLOCATE_INFO, .pNext = &dedicated,
		.handleTypes = DMA_BUF,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = &export,
		.allocationSize = size, .memoryTypeIndex = type,
	};

	return DEVICE(dev, vkAllocateMemory)(dev, &info, NULL, out);
}

static VkResult import(VkDevice dev, int fd, VkDeviceSize size, uint32_t type, VkDeviceMemory *out)
{
	const VkImportMemoryFdInfoKHR source = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR, .handleType = DMA_BUF,
		.fd = fd,
	};
	const VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = &source,
		.allocationSize = size, .memoryTypeIndex = type,
	};

	return DEVICE(dev, vkAllocateMemory)(dev, &info, NULL, out);
}

static int export_fd(VkDevice dev, VkDeviceMemory memory)
{
	const VkMemoryGetFdInfoKHR info = { .memory = memory, .handleType = DMA_BUF };
	int fd;

	assert_int_equal(DEVICE(dev, vkGetMemoryFdKHR)(dev, &info, &fd), VK_SUCCESS);
	return fd;
}

static void free_memory(VkDevice dev, VkDeviceMemory memory)
{
	DEVICE(dev, vkFreeMemory)(dev, memory, NULL);
}

static void test_host_visible_memory_is_a_file(void **state)
{
	VkDevice dev = start(&fake_nvidia);
	VkDeviceMemory memory;
	struct stat st;
	char *map;
	int fd;

	(void)state;
	assert_int_equal(allocate(dev, 70000, 2, NULL, &memory), VK_SUCCESS);
	assert_true(fake.last.import_pointer && fake.last.flags);
	assert_false(fake.last.export || fake.last.dedicated || fake.last.other);
	assert_int_equal(fake.last.size, 131072);
	fd = export_fd(dev, memory);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 131072);
	assert_int_equal(ftruncate(fd, 0), -1);
	map = mmap(NULL, 131072, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	memset(fake.last.pointer, 7, 131072);
	assert_int_equal(map[131071], 7);
	munmap(map, 131072);
	close(fd);
	free_memory(dev, memory);
	assert_int_equal(fake.memories, 0);
	stop(dev);
	assert_int_equal(counted_bytes(), 0);
}

/* Memory that was never freed goes with its device. */
static void test_memory_left_behind(void **state)
{
	VkDevice dev = start(&fake_lavapipe);
	VkDeviceMemory memory;

	(void)state;
	assert_int_equal(allocate(dev, 4096, 0, NULL, &memory), VK_SUCCESS);
	assert_int_equal(counted_bytes(), 4096);
	DEVICE(dev, vkDestroyDevice)(dev, NULL);
	assert_int_equal(counted_bytes(), 0);
	free((void *)memory);
	fake_stop();
}

/* What the layer does not know would be lost: the driver gets all of it, but no word of dma-bufs. */
static void test_unknown_structures(void **state)
{
	const VkBaseInStructure unknown = { .sType = (VkStructureType)0x7ffffff0 };
	const VkMemoryAllocateInfo plain = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
					     .pNext = &unknown, .allocationSize = 4096,
					     .memoryTypeIndex = 2 };
	VkDevice dev = start(&fake_nvidia);
	unsigned int before = fake.allocations;
	VkDeviceMemory memory;

	(void)state;
	assert_int_equal(allocate(dev, 4096, 2, &unknown, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(fake.allocations, before);
	assert_int_equal(DEVICE(dev, vkAllocateMemory)(dev, &plain, NULL, &memory), VK_SUCCESS);
	assert_true(fake.last.other && !fake.last.import_pointer);
	free_memory(dev, memory);
	stop(dev);
}

static void test_device_local_export(void **state)
{
	VkDevice dev = start(&fake_nvidia);
	unsigned int before = fake.allocations;
	VkDeviceMemory memory;

	(void)state;
	assert_int_equal(allocate(dev, 4096, 1, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(allocate(dev, 4096, 4, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(fake.allocations, before);
	stop(dev);
	dev = start(&fake_radv); /* which has dma-bufs */
	assert_int_equal(allocate(dev, 4096, 0, NULL, &memory), VK_SUCCESS);
	assert_true(fake.last.export && !fake.last.import_pointer);
	close(export_fd(dev, memory));
	free_memory(dev, memory);
	/* Host-visible memory too: the driver takes no file's pages. */
	assert_int_equal(allocate(dev, 4096, 1, NULL, &memory), VK_SUCCESS);
	assert_true(fake.last.export && !fake.last.import_pointer);
	free_memory(dev, memory);
	stop(dev);
}

static void test_import_into_another_device(void **state)
{
	VkDevice first = start(&fake_nvidia), second;
	VkMemoryFdPropertiesKHR props = { 0 };
	VkDeviceMemory memory, again;
	void *pointer;
	int fd;

	(void)state;
	assert_int_equal(fake_device(dma_buf_names, &second), VK_SUCCESS);
	assert_int_equal(allocate(first, 65536, 2, NULL, &memory), VK_SUCCESS);
	pointer = fake.last.pointer;
	fd = export_fd(first, memory);
	assert_int_equal(DEVICE(second, vkGetMemoryFdPropertiesKHR)(second, DMA_BUF, fd, &props),
			 VK_SUCCESS);
	assert_int_equal(props.memoryTypeBits, 0xc);
	/* Longer than it is; then the driver fails: the fd is the caller's still. */
	assert_int_equal(import(second, fd, 65537, 2, &again), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	fake.allocate_result = VK_ERROR_OUT_OF_HOST_MEMORY;
	assert_int_equal(import(second, fd, 65536, 2, &again), VK_ERROR_OUT_OF_HOST_MEMORY);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fake.allocate_result = VK_SUCCESS;
	assert_int_equal(import(second, fd, 65536, 2, &again), VK_SUCCESS);
	assert_ptr_equal(fake.last_device, second);
	*(char *)pointer = 42;
	assert_int_equal(*(char *)fake.last.pointer, 42);
	free_memory(first, memory);
	assert_int_equal(*(char *)fake.last.pointer, 42);
	assert_int_equal(counted_bytes(), 65536); /* the second mapping keeps the file */
	free_memory(second, again);
	DEVICE(second, vkDestroyDevice)(second, NULL);
	stop(first);
}

static void test_foreign_files(void **state)
{
	VkDevice dev = start(&fake_nvidia);
	int fd = memfd_create("foreign", MFD_CLOEXEC);
	VkMemoryFdPropertiesKHR props = { 0 };
	VkDeviceMemory memory;

	(void)state;
	assert_int_equal(ftruncate(fd, 65536), 0); /* its owner may make it shorter */
	assert_int_equal(DEVICE(dev, vkGetMemoryFdPropertiesKHR)(dev, DMA_BUF, fd, &props),
			 VK_ERROR_INVALID_EXTERNAL_HANDLE);
	assert_int_equal(import(dev, fd, 65536, 2, &memory), VK_ERROR_INVALID_EXTERNAL_HANDLE);
	close(fd);
	stop(dev);
}

/* A handle of one device's is not one of another's, though it may be the same. */
static void test_several_devices(void **state)
{
	VkDevice devs[3];
	VkDeviceMemory memories[3];

	(void)state;
	fake_start(&fake_lavapipe);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fake_device(dma_buf_names, &devs[i]), VK_SUCCESS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(allocate(devs[i], 4096, 0, NULL, &memories[i]), VK_SUCCESS);
		assert_ptr_equal(fake.last_device, devs[i]);
	}
	DEVICE(devs[1], vkDestroyDevice)(devs[1], NULL);
	free((void *)memories[1]);
	for (int i = 0; i < 3; i += 2) {
		const VkMemoryGetFdInfoKHR other = { .memory = memories[2 - i],
						     .handleType = DMA_BUF };
		int fd;

		assert_int_equal(DEVICE(devs[i], vkGetMemoryFdKHR)(devs[i], &other, &fd),
				 VK_ERROR_OUT_OF_HOST_MEMORY);
		close(export_fd(devs[i], memories[i]));
	}
	for (int i = 0; i < 3; i += 2) {
		free_memory(devs[i], memories[i]);
		DEVICE(devs[i], vkDestroyDevice)(devs[i], NULL);
	}
	fake_stop();
	assert_int_equal(counted_bytes(), 0);
}

static uint32_t buffer_types(VkDevice dev, VkExternalMemoryHandleTypeFlags types)
{
	VkExternalMemoryBufferCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = types,
	};
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
					  .pNext = &external };
	const VkDeviceBufferMemoryRequirements described = { .pCreateInfo = &info };
	VkBufferMemoryRequirementsInfo2 asked = { 0 };
	VkMemoryRequirements2 described_needs, needs2;
	VkMemoryRequirements needs;
	VkBuffer buffer;

	assert_int_equal(DEVICE(dev, vkCreateBuffer)(dev, &info, NULL, &buffer), VK_SUCCESS);
	assert_int_equal(fake.last_types, types == DMA_BUF ? HOST_POINTER : types);
	DEVICE(dev, vkGetBufferMemoryRequirements)(dev, buffer, &needs);
	asked.buffer = buffer;
	DEVICE(dev, vkGetBufferMemoryRequirements2)(dev, &asked, &needs2);
	DEVICE(dev, vkDestroyBuffer)(dev, buffer, NULL);
	DEVICE(dev, vkGetDeviceBufferMemoryRequirementsKHR)(dev, &described, &described_needs);
	assert_int_equal(fake.last_types, types == DMA_BUF ? HOST_POINTER : types);
	assert_int_equal(external.handleTypes, types);
	assert_int_equal(needs.memoryTypeBits, needs2.memoryRequirements.memoryTypeBits);
	assert_int_equal(needs.memoryTypeBits, described_needs.memoryRequirements.memoryTypeBits);
	return needs.memoryTypeBits;
}

static uint32_t image_types(VkDevice dev, VkExternalMemoryHandleTypeFlags types)
{
	VkExternalMemoryImageCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMAGE_CREATE_INFO, .handleTypes = types,
	};
	const VkImageCreateInfo info = { .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
					 .pNext = &external };
	const VkDeviceImageMemoryRequirements described = { .pCreateInfo = &info };
	VkImageMemoryRequirementsInfo2 asked = { 0 };
	VkMemoryRequirements2 described_needs, needs2;
	VkMemoryRequirements needs;
	VkImage image;

	assert_int_equal(DEVICE(dev, vkCreateImage)(dev, &info, NULL, &image), VK_SUCCESS);
	DEVICE(dev, vkGetImageMemoryRequirements)(dev, image, &needs);
	asked.image = image;
	DEVICE(dev, vkGetImageMemoryRequirements2)(dev, &asked, &needs2);
	DEVICE(dev, vkDestroyImage)(dev, image, NULL);
	DEVICE(dev, vkGetDeviceImageMemoryRequirementsKHR)(dev, &described, &described_needs);
	assert_int_equal(external.handleTypes, types);
	assert_int_equal(needs.memoryTypeBits, needs2.memoryRequirements.memoryTypeBits);
	assert_int_equal(needs.memoryTypeBits, described_needs.memoryRequirements.memoryTypeBits);
	return needs.memoryTypeBits;
}

/* In turns, since the driver gives the same handle again and again. */
static void test_requirements_of_external_objects(void **state)
{
	VkDevice dev = start(&fake_nvidia);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(buffer_types(dev, DMA_BUF), 0xc);
		assert_int_equal(image_types(dev, 0), 0x1f);
		assert_int_equal(image_types(dev, DMA_BUF), 0xc);
		assert_int_equal(buffer_types(dev, 0), 0x1f);
	}
	assert_null(fake_device_proc(dev, "vkGetDeviceImageSparseMemoryRequirements"));
	stop(dev);
	dev = start(&fake_radv);
	assert_int_equal(image_types(dev, DMA_BUF), 0xf);
	assert_int_equal(fake.last_types, DMA_BUF);
	stop(dev);
}

static void test_limit(void **state)
{
	VkDevice dev = start(&fake_lavapipe);
	VkDeviceMemory a, b;

	(void)state;
	assert_int_equal(allocate(dev, LIMIT + 1ull, 0, NULL, &a), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(allocate(dev, UINT64_MAX, 0, NULL, &a), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	assert_int_equal(allocate(dev, LIMIT / 2, 0, NULL, &a), VK_SUCCESS);
	assert_int_equal(allocate(dev, LIMIT / 2 + 1, 0, NULL, &b), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	fake.allocate_result = VK_ERROR_OUT_OF_HOST_MEMORY; /* then it does not count either */
	assert_int_equal(allocate(dev, LIMIT / 2, 0, NULL, &b), VK_ERROR_OUT_OF_HOST_MEMORY);
	fake.allocate_result = VK_SUCCESS;
	assert_int_equal(allocate(dev, LIMIT / 2, 0, NULL, &b), VK_SUCCESS);
	assert_int_equal(counted_bytes(), LIMIT);
	free_memory(dev, a);
	assert_int_equal(allocate(dev, LIMIT / 2, 0, NULL, &a), VK_SUCCESS);
	free_memory(dev, a);
	free_memory(dev, b);
	stop(dev);
	assert_int_equal(counted_bytes(), 0);
}

/* Another process has half; then it is killed, and gives nothing back. */
static void test_limit_of_several_processes(void **state)
{
	VkDevice dev = start(&fake_lavapipe);
	struct gpu_limit_slot *slot = &counted->slots[7];
	const pid_t other = fork();
	VkDeviceMemory memory;

	(void)state;
	if (!other)
		for (;;)
			pause();
	assert_true(other > 0);
	assert_int_equal(slot->pid, 0);
	*slot = (struct gpu_limit_slot){ .pid = other, .bytes = LIMIT / 2 };
	assert_int_equal(allocate(dev, LIMIT / 2 + 1, 0, NULL, &memory),
			 VK_ERROR_OUT_OF_DEVICE_MEMORY);
	slot->bytes = UINT64_MAX; /* whatever another process writes there */
	assert_int_equal(allocate(dev, 4096, 0, NULL, &memory), VK_ERROR_OUT_OF_DEVICE_MEMORY);
	kill(other, SIGKILL);
	assert_int_equal(waitpid(other, NULL, 0), other);
	assert_int_equal(allocate(dev, LIMIT, 0, NULL, &memory), VK_SUCCESS);
	free_memory(dev, memory);
	*slot = (struct gpu_limit_slot){ 0 };
	stop(dev);
}

static VkResult import_signaled(VkDevice dev, VkSemaphore semaphore)
{
	const VkImportSemaphoreFdInfoKHR info = {
		.semaphore = semaphore, .flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT,
		.handleType = VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT, .fd = -1,
	};

	return DEVICE(dev, vkImportSemaphoreFdKHR)(dev, &info);
}

/* Of three waits the second is over: what a device group says of the third goes with it. */
static void test_waits_of_a_device_group(void **state)
{
	const VkPipelineStageFlags stages[3] = { 1, 1, 1 };
	const uint32_t indices[3] = { 5, 6, 7 };
	VkSemaphore waits[3];
	const VkDeviceGroupSubmitInfo group = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_GROUP_SUBMIT_INFO, .waitSemaphoreCount = 3,
		.pWaitSemaphoreDeviceIndices = indices,
	};
	const VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &group,
				      .waitSemaphoreCount = 3, .pWaitSemaphores = waits,
				      .pWaitDstStageMask = stages };
	VkDevice dev = start(&fake_lavapipe);

	(void)state;
	for (uintptr_t i = 0; i < 3; i++)
		waits[i] = (VkSemaphore)(0x10 + i);
	assert_int_equal(import_signaled(dev, waits[1]), VK_SUCCESS);
	assert_int_equal(DEVICE(dev, vkQueueSubmit)(fake_queue(dev), 1, &submit, VK_NULL_HANDLE),
			 VK_SUCCESS);
	assert_int_equal(fake.submit.waitSemaphoreCount, 2);
	assert_ptr_equal(fake.submit_waits[1], waits[2]);
	assert_int_equal(fake.submit_device_count, 2);
	assert_int_equal(fake.submit_devices[1], 7);
	assert_int_equal(group.waitSemaphoreCount, 3);
	assert_ptr_equal(group.pWaitSemaphoreDeviceIndices, indices);
	stop(dev);
}

/* As the jail does; before the layer looks, which it does once. */
static void make_limit(void)
{
	int fd = memfd_create("limit", MFD_CLOEXEC);
	char env[64];

	if (fd < 0 || ftruncate(fd, sizeof(*counted)) < 0)
		abort();
	counted = mmap(NULL, sizeof(*counted), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counted == MAP_FAILED)
		abort();
	snprintf(env, sizeof(env), "%d:%u", fd, LIMIT);
	setenv(GPU_LIMIT_ENV, env, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_types),
		cmocka_unit_test(test_extension_lists),
		cmocka_unit_test(test_extensions_asked_of_the_driver),
		cmocka_unit_test(test_driver_refuses_files),
		cmocka_unit_test(test_external_buffers),
		cmocka_unit_test(test_image_formats),
		cmocka_unit_test(test_host_visible_memory_is_a_file),
		cmocka_unit_test(test_memory_left_behind),
		cmocka_unit_test(test_unknown_structures),
		cmocka_unit_test(test_device_local_export),
		cmocka_unit_test(test_import_into_another_device),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_several_devices),
		cmocka_unit_test(test_requirements_of_external_objects),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_limit_of_several_processes),
		cmocka_unit_test(test_waits_of_a_device_group),
	};

	make_limit();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
