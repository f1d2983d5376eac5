/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does the Vulkan layer import sync files into semaphores where the driver cannot? To be run on such a
 * driver, lavapipe, with the layer between (VK_INSTANCE_LAYERS, VK_LAYER_PATH); no Venus.
 *
 * Usage: semaphore
 * Prints "ok", or what was wrong.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#define SOON 100000000ull /* ns: what has nothing to wait for is over by then */
#define LATE 10000000000ull
#define SYNC_FD VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT

static VkPhysicalDevice phys;
static VkDevice dev;
static VkQueue queue;
static VkSemaphore binary, timeline;
static VkFence fence;
static PFN_vkImportSemaphoreFdKHR import_fd;

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "semaphore: %s\n", what);
	exit(1);
}

#define VK(call) check((call) == VK_SUCCESS, #call)

static void open_device(void)
{
	static const char *const names[] = { "VK_KHR_external_semaphore_fd" };
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					.apiVersion = VK_API_VERSION_1_3 };
	const VkInstanceCreateInfo instance_info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app,
	};
	const float priority = 1;
	const VkDeviceQueueCreateInfo queue_info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1,
		.pQueuePriorities = &priority,
	};
	const VkPhysicalDeviceVulkan13Features v13 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
		.synchronization2 = VK_TRUE,
	};
	const VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.pNext = (void *)&v13, .timelineSemaphore = VK_TRUE,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &v12,
		.queueCreateInfoCount = 1, .pQueueCreateInfos = &queue_info,
		.enabledExtensionCount = 1, .ppEnabledExtensionNames = names,
	};
	VkInstance instance;
	uint32_t one = 1;
	VkResult r;

	VK(vkCreateInstance(&instance_info, NULL, &instance));
	r = vkEnumeratePhysicalDevices(instance, &one, &phys);
	check((r == VK_SUCCESS || r == VK_INCOMPLETE) && one == 1, "no device");
	VK(vkCreateDevice(phys, &info, NULL, &dev));
	vkGetDeviceQueue(dev, 0, 0, &queue);
	import_fd = (PFN_vkImportSemaphoreFdKHR)vkGetDeviceProcAddr(dev, "vkImportSemaphoreFdKHR");
	check(import_fd, "no vkImportSemaphoreFdKHR");
}

static void make_objects(void)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO };
	const VkFenceCreateInfo fence_info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };

	VK(vkCreateSemaphore(dev, &info, NULL, &binary));
	info.pNext = &type;
	VK(vkCreateSemaphore(dev, &info, NULL, &timeline));
	VK(vkCreateFence(dev, &fence_info, NULL, &fence));
}

static VkResult import(int fd)
{
	const VkImportSemaphoreFdInfoKHR info = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR, .semaphore = binary,
		.flags = VK_SEMAPHORE_IMPORT_TEMPORARY_BIT, .handleType = SYNC_FD, .fd = fd,
	};

	return import_fd(dev, &info);
}

static bool done(uint64_t ns)
{
	VkResult r = vkWaitForFences(dev, 1, &fence, VK_TRUE, ns);

	check(r == VK_SUCCESS || r == VK_TIMEOUT, "vkWaitForFences");
	if (r == VK_SUCCESS)
		VK(vkResetFences(dev, 1, &fence));
	return r == VK_SUCCESS;
}

static void reach(uint64_t value)
{
	const VkSemaphoreSignalInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
					     .semaphore = timeline, .value = value };

	VK(vkSignalSemaphore(dev, &info));
}

static void check_properties(void)
{
	const VkPhysicalDeviceExternalSemaphoreInfo info = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
		.handleType = SYNC_FD,
	};
	VkExternalSemaphoreProperties props = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES,
	};

	vkGetPhysicalDeviceExternalSemaphoreProperties(phys, &info, &props);
	check(props.externalSemaphoreFeatures == VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT,
	      "a sync file is importable, and no more");
	check(import(0) == VK_ERROR_INVALID_EXTERNAL_HANDLE, "a real file is refused");
}

/* The import is good for one wait; then the semaphore is its own again. */
static void check_once(void)
{
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	const VkSubmitInfo wait = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .waitSemaphoreCount = 1,
				    .pWaitSemaphores = &binary, .pWaitDstStageMask = &stage };
	const VkSubmitInfo signal = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
				      .signalSemaphoreCount = 1, .pSignalSemaphores = &binary };

	VK(import(-1));
	VK(import(-1)); /* in place of the first */
	VK(vkQueueSubmit(queue, 1, &wait, fence));
	check(done(LATE), "vkQueueSubmit: the imported payload was waited for");
	VK(vkQueueSubmit(queue, 1, &signal, VK_NULL_HANDLE));
	VK(vkQueueSubmit(queue, 1, &wait, fence));
	check(done(LATE), "the semaphore's own payload");
}

/* Of two waits the other one stays, with its value. */
static void check_others_stay(void)
{
	const VkSemaphore waits[] = { binary, timeline };
	const VkPipelineStageFlags stages[] = { VK_PIPELINE_STAGE_TRANSFER_BIT,
						VK_PIPELINE_STAGE_ALL_COMMANDS_BIT };
	const uint64_t values[] = { 77, 1 };
	const VkTimelineSemaphoreSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = 2, .pWaitSemaphoreValues = values,
	};
	const VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &info,
				      .waitSemaphoreCount = 2, .pWaitSemaphores = waits,
				      .pWaitDstStageMask = stages };

	VK(import(-1));
	VK(vkQueueSubmit(queue, 1, &submit, fence));
	check(info.waitSemaphoreValueCount == 2 && info.pWaitSemaphoreValues == values,
	      "the application's structures are as they were");
	check(!done(SOON), "vkQueueSubmit: the timeline was not waited for");
	reach(1);
	check(done(LATE), "vkQueueSubmit: the timeline's value was lost");
}

static void check_submit2(void)
{
	const VkSemaphoreSubmitInfo waits[] = {
		{ .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, .semaphore = timeline, .value = 2,
		  .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT },
		{ .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO, .semaphore = binary,
		  .stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT },
	};
	const VkSubmitInfo2 submits[] = {
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2 },
		{ .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2, .waitSemaphoreInfoCount = 2,
		  .pWaitSemaphoreInfos = waits },
	};

	VK(import(-1));
	VK(vkQueueSubmit2(queue, 2, submits, fence));
	check(!done(SOON), "vkQueueSubmit2: the timeline was not waited for");
	reach(2);
	check(done(LATE), "vkQueueSubmit2: the imported payload was waited for");
}

int main(void)
{
	open_device();
	make_objects();
	check_properties();
	check_once();
	check_others_stay();
	check_submit2();
	/* An import that nothing waited for goes with its semaphore. */
	VK(import(-1));
	vkDestroySemaphore(dev, binary, NULL);
	vkDestroyDevice(dev, NULL);
	puts("ok");
	return 0;
}
