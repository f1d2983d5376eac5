/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "step.comp.h"

#define PATIENCE_NS (300ull * 1000000000ull)
#define LOCAL_SIZE 64u

void kit_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", kit_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

VkInstance kit_instance(void)
{
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					.pApplicationName = kit_name,
					.apiVersion = VK_API_VERSION_1_2 };
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
					    .pApplicationInfo = &app };
	VkInstance instance;

	VK(vkCreateInstance(&info, NULL, &instance));
	return instance;
}

/* A request for all queues of each family that computes, with room for KIT_MAX_QUEUES in all. */
static uint32_t device_queues(struct kit_device *dev, VkDeviceQueueCreateInfo *out)
{
	static const float priorities[KIT_MAX_QUEUES];
	VkQueueFamilyProperties families[KIT_MAX_QUEUES];
	uint32_t count = KIT_MAX_QUEUES, n = 0;

	vkGetPhysicalDeviceQueueFamilyProperties(dev->phys, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t room = KIT_MAX_QUEUES - dev->num_queues;
		uint32_t queues = families[i].queueCount < room ? families[i].queueCount : room;

		if (!queues || !(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
			continue;
		out[n++] = (VkDeviceQueueCreateInfo){
			.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueFamilyIndex = i,
			.queueCount = queues, .pQueuePriorities = priorities,
		};
		while (queues--)
			dev->queues[dev->num_queues++].family = i;
	}
	if (!n)
		kit_fail("%s has no compute queue", dev->name);
	return n;
}

static void device_create(struct kit_device *dev)
{
	const VkPhysicalDeviceVulkan12Features v12 = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	VkDeviceQueueCreateInfo queues[KIT_MAX_QUEUES];
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &v12,
		.queueCreateInfoCount = device_queues(dev, queues), .pQueueCreateInfos = queues,
	};

	VK(vkCreateDevice(dev->phys, &info, NULL, &dev->handle));
	for (uint32_t i = 0, index = 0; i < dev->num_queues; i++) {
		index = i && dev->queues[i].family == dev->queues[i - 1].family ? index + 1 : 0;
		vkGetDeviceQueue(dev->handle, dev->queues[i].family, index, &dev->queues[i].handle);
	}
}

static void device_pipeline(struct kit_device *dev)
{
	const VkDescriptorSetLayoutBinding binding = { 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
						       VK_SHADER_STAGE_COMPUTE_BIT, NULL };
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = 1, .pBindings = &binding,
	};
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 2 * sizeof(uint32_t) };
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1, .pSetLayouts = &dev->set_layout,
		.pushConstantRangeCount = 1, .pPushConstantRanges = &push,
	};
	const VkShaderModuleCreateInfo module = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(step_spirv), .pCode = step_spirv,
	};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main" },
	};

	VK(vkCreateDescriptorSetLayout(dev->handle, &set, NULL, &dev->set_layout));
	VK(vkCreatePipelineLayout(dev->handle, &layout, NULL, &dev->layout));
	VK(vkCreateShaderModule(dev->handle, &module, NULL, &info.stage.module));
	info.layout = dev->layout;
	VK(vkCreateComputePipelines(dev->handle, VK_NULL_HANDLE, 1, &info, NULL, &dev->step));
	vkDestroyShaderModule(dev->handle, info.stage.module, NULL);
}

void kit_device_open(VkInstance instance, struct kit_device *dev)
{
	VkPhysicalDeviceProperties props;
	uint32_t one = 1;
	VkResult r;

	memset(dev, 0, sizeof(*dev));
	r = vkEnumeratePhysicalDevices(instance, &one, &dev->phys);
	if ((r != VK_SUCCESS && r != VK_INCOMPLETE) || !one)
		kit_fail("no Vulkan device (%d)", r);
	vkGetPhysicalDeviceProperties(dev->phys, &props);
	memcpy(dev->name, props.deviceName, sizeof(dev->name));
	device_create(dev);
	device_pipeline(dev);
}

void kit_device_close(struct kit_device *dev)
{
	vkDestroyPipeline(dev->handle, dev->step, NULL);
	vkDestroyPipelineLayout(dev->handle, dev->layout, NULL);
	vkDestroyDescriptorSetLayout(dev->handle, dev->set_layout, NULL);
	vkDestroyDevice(dev->handle, NULL);
}

uint32_t kit_host_type(const struct kit_device *dev, uint32_t allowed)
{
	const VkMemoryPropertyFlags want = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	VkPhysicalDeviceMemoryProperties p;

	vkGetPhysicalDeviceMemoryProperties(dev->phys, &p);
	for (uint32_t i = 0; i < p.memoryTypeCount; i++)
		if (allowed & 1u << i && (p.memoryTypes[i].propertyFlags & want) == want)
			return i;
	kit_fail("%s has no host-visible memory", dev->name);
}

static void work_buffer(struct kit_work *work)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
					  .size = KIT_VALUES * sizeof(uint32_t),
					  .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT };
	VkMemoryAllocateInfo alloc = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkDevice dev = work->dev->handle;
	VkMemoryRequirements need;
	void *map;

	VK(vkCreateBuffer(dev, &info, NULL, &work->buffer));
	vkGetBufferMemoryRequirements(dev, work->buffer, &need);
	alloc.allocationSize = need.size;
	alloc.memoryTypeIndex = kit_host_type(work->dev, need.memoryTypeBits);
	VK(vkAllocateMemory(dev, &alloc, NULL, &work->memory));
	VK(vkBindBufferMemory(dev, work->buffer, work->memory, 0));
	VK(vkMapMemory(dev, work->memory, 0, VK_WHOLE_SIZE, 0, &map));
	memset(map, 0, (size_t)info.size);
	work->values = map;
}

static void work_set(struct kit_work *work)
{
	const VkDescriptorPoolSize room = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1 };
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &room,
	};
	VkDescriptorSetAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorSetCount = 1, .pSetLayouts = &work->dev->set_layout,
	};
	const VkDescriptorBufferInfo buffer = { work->buffer, 0, VK_WHOLE_SIZE };
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = &buffer,
	};

	VK(vkCreateDescriptorPool(work->dev->handle, &pool, NULL, &work->sets));
	info.descriptorPool = work->sets;
	VK(vkAllocateDescriptorSets(work->dev->handle, &info, &work->set));
	write.dstSet = work->set;
	vkUpdateDescriptorSets(work->dev->handle, 1, &write, 0, NULL);
}

void kit_work_open(struct kit_device *dev, struct kit_work *work)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	const VkSemaphoreCreateInfo semaphore = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
						  .pNext = &type };
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };

	memset(work, 0, sizeof(*work));
	work->dev = dev;
	for (uint32_t i = 0; i < dev->num_queues; i++) {
		pool.queueFamilyIndex = dev->queues[i].family;
		VK(vkCreateCommandPool(dev->handle, &pool, NULL, &work->pools[i]));
	}
	work_buffer(work);
	work_set(work);
	VK(vkCreateSemaphore(dev->handle, &semaphore, NULL, &work->timeline));
}

void kit_work_close(struct kit_work *work)
{
	VkDevice dev = work->dev->handle;

	vkDestroySemaphore(dev, work->timeline, NULL);
	vkDestroyDescriptorPool(dev, work->sets, NULL);
	vkDestroyBuffer(dev, work->buffer, NULL);
	vkFreeMemory(dev, work->memory, NULL);
	for (uint32_t i = 0; i < work->dev->num_queues; i++)
		vkDestroyCommandPool(dev, work->pools[i], NULL);
}

/* What was written on either side before is seen after it, on either side. */
static void record_barrier(VkCommandBuffer cmd)
{
	const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
					    VK_PIPELINE_STAGE_HOST_BIT;
	const VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_HOST_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
				 VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT,
	};

	vkCmdPipelineBarrier(cmd, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static VkCommandBuffer record_step(struct kit_work *work, uint32_t queue, uint32_t number)
{
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = work->pools[queue], .commandBufferCount = 1,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	const uint32_t push[2] = { KIT_VALUES, number };
	const struct kit_device *dev = work->dev;
	VkCommandBuffer cmd;

	VK(vkAllocateCommandBuffers(dev->handle, &info, &cmd));
	VK(vkBeginCommandBuffer(cmd, &begin));
	record_barrier(cmd);
	vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, dev->step);
	vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, dev->layout, 0, 1, &work->set,
				0, NULL);
	vkCmdPushConstants(cmd, dev->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), push);
	vkCmdDispatch(cmd, KIT_VALUES / LOCAL_SIZE, 1, 1);
	record_barrier(cmd);
	VK(vkEndCommandBuffer(cmd));
	return cmd;
}

void kit_step_submit(struct kit_work *work, uint32_t queue, uint32_t number)
{
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	const uint64_t wait = number, signal = number + 1ull;
	const VkTimelineSemaphoreSubmitInfo values = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = 1, .pWaitSemaphoreValues = &wait,
		.signalSemaphoreValueCount = 1, .pSignalSemaphoreValues = &signal,
	};
	const VkCommandBuffer cmd = record_step(work, queue, number);
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .pNext = &values,
		.waitSemaphoreCount = 1, .pWaitSemaphores = &work->timeline,
		.pWaitDstStageMask = &stage, .commandBufferCount = 1, .pCommandBuffers = &cmd,
		.signalSemaphoreCount = 1, .pSignalSemaphores = &work->timeline,
	};

	VK(vkQueueSubmit(work->dev->queues[queue].handle, 1, &submit, VK_NULL_HANDLE));
}

static uint32_t step_value(uint32_t value, uint32_t i, uint32_t number)
{
	return value * 1664525u + i + number;
}

void kit_step_host(struct kit_work *work, uint32_t number)
{
	kit_wait(work, number);
	for (uint32_t i = 0; i < KIT_VALUES; i++)
		work->values[i] = step_value(work->values[i], i, number);
	kit_signal(work, number + 1ull);
}

void kit_signal(struct kit_work *work, uint64_t value)
{
	const VkSemaphoreSignalInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
					     .semaphore = work->timeline, .value = value };

	VK(vkSignalSemaphore(work->dev->handle, &info));
}

void kit_wait(struct kit_work *work, uint64_t value)
{
	const VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
					   .semaphoreCount = 1, .pSemaphores = &work->timeline,
					   .pValues = &value };

	VK(vkWaitSemaphores(work->dev->handle, &info, PATIENCE_NS));
}

void kit_check(const struct kit_work *work, uint32_t steps)
{
	for (uint32_t i = 0; i < KIT_VALUES; i++) {
		uint32_t want = 0;

		for (uint32_t n = 1; n <= steps; n++)
			want = step_value(want, i, n);
		if (work->values[i] != want)
			kit_fail("element %u is %#x after %u steps and should be %#x", i,
				 work->values[i], steps, want);
	}
}
