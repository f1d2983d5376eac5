/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does this machine's Vulkan compute correctly? Uploads a buffer through host-visible memory,
 * hashes each element by its index on the device, adds the results up there, and checks both,
 * element by element, on the CPU. The work is done in several submissions, each with a fence.
 *
 * Usage: compute [MIB [DEVICE-NAME-PART]]      (64 MiB when not said)
 * Prints "ok BYTES DEVICE" and exits with 0, or says what is wrong and exits with 1.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vulkan.h>

#include "hash.comp.h"
#include "reduce.comp.h"

#define SUBMISSIONS 4
#define WORKGROUPS 512
#define FENCE_TIMEOUT_NS (600ull * 1000000000ull)

struct buffer {
	VkBuffer handle;
	VkDeviceMemory memory;
	VkDeviceSize size;
	uint32_t *map; /* host-visible buffers */
};

struct kernel {
	VkShaderModule module;
	VkPipeline pipeline;
	VkDescriptorSet set;
};

struct compute {
	VkInstance instance;
	VkPhysicalDevice phys;
	VkPhysicalDeviceProperties props;
	VkPhysicalDeviceMemoryProperties memory;
	VkDevice dev;
	VkQueue queue;
	uint32_t family;
	VkCommandPool pool;
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkDescriptorPool sets;
	struct kernel hash, reduce;
	struct buffer source, result, sums; /* where the device likes them */
	struct buffer staging;		    /* host-visible: source on the way in, result out */
	struct buffer sums_host;
	uint32_t count; /* elements */
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("compute: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

#define VK(call)                                             \
	do {                                                 \
		VkResult vk_r_ = (call);                     \
		if (vk_r_ != VK_SUCCESS)                     \
			fail("%s: VkResult %d", #call, vk_r_); \
	} while (0)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint32_t source_value(uint32_t i)
{
	return i * 2654435761u + 12345u;
}

static uint32_t expected_value(uint32_t i)
{
	uint32_t x = source_value(i);

	x ^= i * 0x9e3779b9u;
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	return x;
}

static void instance_create(struct compute *c)
{
	const VkApplicationInfo app = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "krun-gpu compute test",
		.apiVersion = VK_API_VERSION_1_1,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &app,
	};

	VK(vkCreateInstance(&info, NULL, &c->instance));
}

static void device_choose(struct compute *c, const char *name)
{
	VkPhysicalDevice list[16];
	uint32_t count = 16;

	VK(vkEnumeratePhysicalDevices(c->instance, &count, list));
	for (uint32_t i = 0; i < count; i++) {
		vkGetPhysicalDeviceProperties(list[i], &c->props);
		if (name && !strstr(c->props.deviceName, name))
			continue;
		c->phys = list[i];
		vkGetPhysicalDeviceMemoryProperties(c->phys, &c->memory);
		return;
	}
	fail("no Vulkan device%s%s", name ? " whose name has " : "", name ? name : "");
}

static void device_create(struct compute *c)
{
	VkQueueFamilyProperties families[16];
	uint32_t count = 16;
	const float priority = 1.0f;
	VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
	};

	vkGetPhysicalDeviceQueueFamilyProperties(c->phys, &count, families);
	while (c->family < count && !(families[c->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
		c->family++;
	if (c->family == count)
		fail("%s has no compute queue", c->props.deviceName);
	queue.queueFamilyIndex = c->family;
	VK(vkCreateDevice(c->phys, &info, NULL, &c->dev));
	vkGetDeviceQueue(c->dev, c->family, 0, &c->queue);
}

static uint32_t memory_type(const struct compute *c, uint32_t allowed, VkMemoryPropertyFlags want,
			    VkMemoryPropertyFlags like)
{
	uint32_t found = UINT32_MAX;

	for (uint32_t i = 0; i < c->memory.memoryTypeCount; i++) {
		VkMemoryPropertyFlags flags = c->memory.memoryTypes[i].propertyFlags;

		if (!(allowed & (1u << i)) || (flags & want) != want)
			continue;
		if ((flags & like) == like)
			return i;
		if (found == UINT32_MAX)
			found = i;
	}
	if (found == UINT32_MAX)
		fail("no memory type with flags %#x", want);
	return found;
}

static void buffer_create(struct compute *c, struct buffer *b, VkDeviceSize size, bool host)
{
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
			 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	VkMemoryAllocateInfo alloc = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkMemoryRequirements req;
	void *map;

	b->size = size;
	VK(vkCreateBuffer(c->dev, &info, NULL, &b->handle));
	vkGetBufferMemoryRequirements(c->dev, b->handle, &req);
	alloc.allocationSize = req.size;
	alloc.memoryTypeIndex =
		host ? memory_type(c, req.memoryTypeBits,
				   VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
				   VK_MEMORY_PROPERTY_HOST_CACHED_BIT) :
		       memory_type(c, req.memoryTypeBits, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	VK(vkAllocateMemory(c->dev, &alloc, NULL, &b->memory));
	VK(vkBindBufferMemory(c->dev, b->handle, b->memory, 0));
	if (host) {
		VK(vkMapMemory(c->dev, b->memory, 0, VK_WHOLE_SIZE, 0, &map));
		b->map = map;
	}
}

static void buffer_destroy(struct compute *c, struct buffer *b)
{
	vkDestroyBuffer(c->dev, b->handle, NULL);
	vkFreeMemory(c->dev, b->memory, NULL);
}

static void layouts_create(struct compute *c)
{
	const VkDescriptorSetLayoutBinding bindings[2] = {
		{ 0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
		{ 1, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL },
	};
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = 2,
		.pBindings = bindings,
	};
	const VkPushConstantRange range = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 2 * sizeof(uint32_t) };
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &c->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range,
	};
	const VkDescriptorPoolSize size = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 4 };
	const VkDescriptorPoolCreateInfo sets = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 2,
		.poolSizeCount = 1,
		.pPoolSizes = &size,
	};
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = c->family,
	};

	VK(vkCreateDescriptorSetLayout(c->dev, &set, NULL, &c->set_layout));
	VK(vkCreatePipelineLayout(c->dev, &layout, NULL, &c->layout));
	VK(vkCreateDescriptorPool(c->dev, &sets, NULL, &c->sets));
	VK(vkCreateCommandPool(c->dev, &pool, NULL, &c->pool));
}

static void kernel_create(struct compute *c, struct kernel *k, const uint32_t *code, size_t size,
			  const struct buffer *first, const struct buffer *second)
{
	const VkShaderModuleCreateInfo module = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size,
		.pCode = code,
	};
	VkComputePipelineCreateInfo pipeline = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
			   .pName = "main" },
		.layout = c->layout,
	};
	const VkDescriptorSetAllocateInfo alloc = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = c->sets,
		.descriptorSetCount = 1,
		.pSetLayouts = &c->set_layout,
	};
	const VkDescriptorBufferInfo buffers[2] = { { first->handle, 0, VK_WHOLE_SIZE },
						    { second->handle, 0, VK_WHOLE_SIZE } };
	VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.descriptorCount = 2,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = buffers,
	};

	VK(vkCreateShaderModule(c->dev, &module, NULL, &k->module));
	pipeline.stage.module = k->module;
	VK(vkCreateComputePipelines(c->dev, VK_NULL_HANDLE, 1, &pipeline, NULL, &k->pipeline));
	VK(vkAllocateDescriptorSets(c->dev, &alloc, &k->set));
	write.dstSet = k->set;
	vkUpdateDescriptorSets(c->dev, 1, &write, 0, NULL);
}

static VkCommandBuffer commands_begin(struct compute *c)
{
	const VkCommandBufferAllocateInfo alloc = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = c->pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	VkCommandBuffer cb;

	VK(vkAllocateCommandBuffers(c->dev, &alloc, &cb));
	VK(vkBeginCommandBuffer(cb, &begin));
	return cb;
}

static VkFence commands_submit(struct compute *c, VkCommandBuffer cb)
{
	const VkFenceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	const VkSubmitInfo submit = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &cb,
	};
	VkFence fence;

	VK(vkEndCommandBuffer(cb));
	VK(vkCreateFence(c->dev, &info, NULL, &fence));
	VK(vkQueueSubmit(c->queue, 1, &submit, fence));
	return fence;
}

static void fence_wait(struct compute *c, VkFence fence)
{
	VkResult r = vkWaitForFences(c->dev, 1, &fence, VK_TRUE, FENCE_TIMEOUT_NS);

	if (r != VK_SUCCESS)
		fail("waiting for a fence: VkResult %d", r);
	vkDestroyFence(c->dev, fence, NULL);
}

static void record_barrier(VkCommandBuffer cb)
{
	const VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT,
	};

	vkCmdPipelineBarrier(cb, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT,
			     VK_PIPELINE_STAGE_ALL_COMMANDS_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
			     &barrier, 0, NULL, 0, NULL);
}

static void record_kernel(struct compute *c, VkCommandBuffer cb, const struct kernel *k,
			  uint32_t first, uint32_t count)
{
	const uint32_t range[2] = { first, count };

	vkCmdBindPipeline(cb, VK_PIPELINE_BIND_POINT_COMPUTE, k->pipeline);
	vkCmdBindDescriptorSets(cb, VK_PIPELINE_BIND_POINT_COMPUTE, c->layout, 0, 1, &k->set, 0,
				NULL);
	vkCmdPushConstants(cb, c->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(range), range);
	vkCmdDispatch(cb, WORKGROUPS, 1, 1);
	record_barrier(cb);
}

static void upload(struct compute *c)
{
	const VkBufferCopy all = { 0, 0, c->source.size };
	VkCommandBuffer cb = commands_begin(c);

	for (uint32_t i = 0; i < c->count; i++)
		c->staging.map[i] = source_value(i);
	record_barrier(cb);
	vkCmdCopyBuffer(cb, c->staging.handle, c->source.handle, 1, &all);
	vkCmdFillBuffer(cb, c->sums.handle, 0, VK_WHOLE_SIZE, 0);
	vkCmdFillBuffer(cb, c->result.handle, 0, VK_WHOLE_SIZE, 0xdeadbeef);
	record_barrier(cb);
	fence_wait(c, commands_submit(c, cb));
}

/* All submissions are queued before the first fence is waited for. */
static void run(struct compute *c)
{
	VkFence fences[SUBMISSIONS];
	uint32_t each = c->count / SUBMISSIONS;

	for (uint32_t n = 0; n < SUBMISSIONS; n++) {
		VkCommandBuffer cb = commands_begin(c);
		uint32_t count = n == SUBMISSIONS - 1 ? c->count - n * each : each;

		record_kernel(c, cb, &c->hash, n * each, count);
		record_kernel(c, cb, &c->reduce, n * each, count);
		fences[n] = commands_submit(c, cb);
	}
	for (uint32_t n = 0; n < SUBMISSIONS; n++)
		fence_wait(c, fences[n]);
}

static void download(struct compute *c)
{
	const VkBufferCopy all = { 0, 0, c->result.size };
	const VkBufferCopy sums = { 0, 0, c->sums.size };
	VkCommandBuffer cb = commands_begin(c);

	memset(c->staging.map, 0, (size_t)c->staging.size);
	record_barrier(cb);
	vkCmdCopyBuffer(cb, c->result.handle, c->staging.handle, 1, &all);
	vkCmdCopyBuffer(cb, c->sums.handle, c->sums_host.handle, 1, &sums);
	record_barrier(cb);
	fence_wait(c, commands_submit(c, cb));
}

static void check(const struct compute *c)
{
	uint32_t sum = 0, device_sum = 0;

	for (uint32_t i = 0; i < c->count; i++) {
		uint32_t want = expected_value(i);

		if (c->staging.map[i] != want)
			fail("element %u is %#x and should be %#x", i, c->staging.map[i], want);
		sum += want;
	}
	for (uint32_t i = 0; i < WORKGROUPS; i++)
		device_sum += c->sums_host.map[i];
	if (device_sum != sum)
		fail("the sum is %#x and should be %#x", device_sum, sum);
}

static void setup(struct compute *c, const char *name)
{
	VkDeviceSize size = (VkDeviceSize)c->count * sizeof(uint32_t);

	instance_create(c);
	device_choose(c, name);
	device_create(c);
	layouts_create(c);
	buffer_create(c, &c->source, size, false);
	buffer_create(c, &c->result, size, false);
	buffer_create(c, &c->sums, WORKGROUPS * sizeof(uint32_t), false);
	buffer_create(c, &c->staging, size, true);
	buffer_create(c, &c->sums_host, c->sums.size, true);
	kernel_create(c, &c->hash, hash_spirv, sizeof(hash_spirv), &c->source, &c->result);
	kernel_create(c, &c->reduce, reduce_spirv, sizeof(reduce_spirv), &c->sums, &c->result);
}

static void kernel_destroy(struct compute *c, struct kernel *k)
{
	vkDestroyPipeline(c->dev, k->pipeline, NULL);
	vkDestroyShaderModule(c->dev, k->module, NULL);
}

static void teardown(struct compute *c)
{
	kernel_destroy(c, &c->hash);
	kernel_destroy(c, &c->reduce);
	buffer_destroy(c, &c->source);
	buffer_destroy(c, &c->result);
	buffer_destroy(c, &c->sums);
	buffer_destroy(c, &c->staging);
	buffer_destroy(c, &c->sums_host);
	vkDestroyDescriptorPool(c->dev, c->sets, NULL);
	vkDestroyCommandPool(c->dev, c->pool, NULL);
	vkDestroyPipelineLayout(c->dev, c->layout, NULL);
	vkDestroyDescriptorSetLayout(c->dev, c->set_layout, NULL);
	vkDestroyDevice(c->dev, NULL);
	vkDestroyInstance(c->instance, NULL);
}

int main(int argc, char **argv)
{
	static struct compute c;
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 64;
	double t[6];

	if (argc > 3 || !mib || mib > 4096) {
		fputs("usage: compute [MIB [DEVICE-NAME-PART]]\n", stderr);
		return 2;
	}
	c.count = (uint32_t)(mib << 18);
	t[0] = now();
	setup(&c, argc > 2 ? argv[2] : NULL);
	t[1] = now();
	upload(&c);
	t[2] = now();
	run(&c);
	t[3] = now();
	download(&c);
	t[4] = now();
	check(&c);
	teardown(&c);
	t[5] = now();
	printf("setup %.3f s, upload %.3f s, compute %.3f s, download %.3f s, check %.3f s\n",
	       t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3], t[5] - t[4]);
	printf("ok %lu %s\n", mib << 20, c.props.deviceName);
	return 0;
}
