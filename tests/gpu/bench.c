/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast is this machine's Vulkan? A product of two matrices, which is the device's work alone,
 * and a stream of the smallest dispatches, each waited for, which is everything but that.
 *
 * Usage: bench [SIZE [DISPATCHES [IDLE-SECONDS]]]    (1024, 10000 and 0 when not said)
 *
 * Prints, and exits with 0 when all results were right:
 *   matrix SIZE SECONDS                    the best of five, its submission and wait included
 *   dispatch COUNT MEAN MEDIAN P99         microseconds of vkQueueSubmit + vkWaitForFences
 * Then it keeps its device for IDLE-SECONDS, in which nothing need be done for it.
 */
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#include "count.comp.h"
#include "matrix.comp.h"

#define MATRIX_RUNS 5
#define SAMPLES 64 /* elements of the product that are checked */
#define TILE 16u
#define NEVER UINT64_MAX

enum { A, B, C, BUFFERS };

struct bench {
	VkPhysicalDevice phys;
	VkDevice dev;
	VkQueue queue;
	uint32_t family;
	VkCommandPool pool;
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkDescriptorSet set;
	VkFence fence;
	float *map[BUFFERS]; /* host-visible */
	uint32_t n;
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

#define VK(call)                                               \
	do {                                                   \
		VkResult vk_r_ = (call);                       \
		if (vk_r_ != VK_SUCCESS)                       \
			fail("%s: VkResult %d", #call, vk_r_); \
	} while (0)

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void choose_device(struct bench *b)
{
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					.apiVersion = VK_API_VERSION_1_1 };
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
					    .pApplicationInfo = &app };
	VkPhysicalDeviceProperties props;
	uint32_t count = 1;
	VkInstance instance;
	VkResult r;

	VK(vkCreateInstance(&info, NULL, &instance));
	r = vkEnumeratePhysicalDevices(instance, &count, &b->phys);
	if ((r != VK_SUCCESS && r != VK_INCOMPLETE) || !count)
		fail("no device (%d)", r);
	vkGetPhysicalDeviceProperties(b->phys, &props);
	printf("device %s\n", props.deviceName);
}

static void create_device(struct bench *b)
{
	VkQueueFamilyProperties families[16];
	const float priority = 1;
	VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					  .queueCount = 1, .pQueuePriorities = &priority };
	const VkDeviceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
					  .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue };
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	uint32_t count = 16;

	vkGetPhysicalDeviceQueueFamilyProperties(b->phys, &count, families);
	while (b->family < count && !(families[b->family].queueFlags & VK_QUEUE_COMPUTE_BIT))
		b->family++;
	if (b->family == count)
		fail("no compute queue");
	queue.queueFamilyIndex = pool.queueFamilyIndex = b->family;
	VK(vkCreateDevice(b->phys, &info, NULL, &b->dev));
	vkGetDeviceQueue(b->dev, b->family, 0, &b->queue);
	VK(vkCreateCommandPool(b->dev, &pool, NULL, &b->pool));
	VK(vkCreateFence(b->dev, &fence, NULL, &b->fence));
}

static uint32_t memory_type(struct bench *b, uint32_t bits)
{
	const VkMemoryPropertyFlags want = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					   VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
	VkPhysicalDeviceMemoryProperties p;

	vkGetPhysicalDeviceMemoryProperties(b->phys, &p);
	for (uint32_t i = 0; i < p.memoryTypeCount; i++)
		if (bits & 1u << i && (p.memoryTypes[i].propertyFlags & want) == want)
			return i;
	fail("no host-visible memory");
}

static VkBuffer create_buffer(struct bench *b, VkDeviceSize size, float **map)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
					  .size = size,
					  .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT };
	VkMemoryAllocateInfo alloc = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkMemoryRequirements need;
	VkDeviceMemory memory;
	VkBuffer buffer;

	VK(vkCreateBuffer(b->dev, &info, NULL, &buffer));
	vkGetBufferMemoryRequirements(b->dev, buffer, &need);
	alloc.allocationSize = need.size;
	alloc.memoryTypeIndex = memory_type(b, need.memoryTypeBits);
	VK(vkAllocateMemory(b->dev, &alloc, NULL, &memory));
	VK(vkBindBufferMemory(b->dev, buffer, memory, 0));
	VK(vkMapMemory(b->dev, memory, 0, VK_WHOLE_SIZE, 0, (void **)map));
	return buffer;
}

static void create_set(struct bench *b)
{
	const VkDescriptorPoolSize room = { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, BUFFERS };
	const VkDescriptorPoolCreateInfo pool_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &room,
	};
	VkDescriptorSetLayoutBinding bindings[BUFFERS];
	const VkDescriptorSetLayoutCreateInfo layout_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = BUFFERS, .pBindings = bindings,
	};
	const VkPushConstantRange push = { VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(uint32_t) };
	VkPipelineLayoutCreateInfo pipeline_info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1, .pSetLayouts = &b->set_layout,
		.pushConstantRangeCount = 1, .pPushConstantRanges = &push,
	};
	VkDescriptorSetAllocateInfo set_info = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorSetCount = 1, .pSetLayouts = &b->set_layout,
	};

	for (uint32_t i = 0; i < BUFFERS; i++)
		bindings[i] = (VkDescriptorSetLayoutBinding){
			i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL
		};
	VK(vkCreateDescriptorSetLayout(b->dev, &layout_info, NULL, &b->set_layout));
	VK(vkCreatePipelineLayout(b->dev, &pipeline_info, NULL, &b->layout));
	VK(vkCreateDescriptorPool(b->dev, &pool_info, NULL, &set_info.descriptorPool));
	VK(vkAllocateDescriptorSets(b->dev, &set_info, &b->set));
}

static void create_buffers(struct bench *b)
{
	const VkDeviceSize size = (VkDeviceSize)b->n * b->n * sizeof(float);

	for (uint32_t i = 0; i < BUFFERS; i++) {
		VkDescriptorBufferInfo buffer = { create_buffer(b, size, &b->map[i]), 0, size };
		const VkWriteDescriptorSet write = {
			.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
			.dstSet = b->set, .dstBinding = i, .descriptorCount = 1,
			.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.pBufferInfo = &buffer,
		};

		vkUpdateDescriptorSets(b->dev, 1, &write, 0, NULL);
	}
	for (size_t i = 0; i < (size_t)b->n * b->n; i++) {
		b->map[A][i] = (float)(rand() % 2001 - 1000) / 1000.0f;
		b->map[B][i] = (float)(rand() % 2001 - 1000) / 1000.0f;
		b->map[C][i] = NAN;
	}
}

static VkPipeline create_pipeline(struct bench *b, const uint32_t *spirv, size_t size)
{
	const VkShaderModuleCreateInfo module_info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size, .pCode = spirv,
	};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT, .pName = "main" },
		.layout = b->layout,
	};
	VkPipeline pipeline;

	VK(vkCreateShaderModule(b->dev, &module_info, NULL, &info.stage.module));
	VK(vkCreateComputePipelines(b->dev, VK_NULL_HANDLE, 1, &info, NULL, &pipeline));
	return pipeline;
}

static VkCommandBuffer record(struct bench *b, VkPipeline pipeline, uint32_t groups)
{
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = b->pool, .commandBufferCount = 1,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	VkCommandBuffer cmd;

	VK(vkAllocateCommandBuffers(b->dev, &info, &cmd));
	VK(vkBeginCommandBuffer(cmd, &begin));
	vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
	vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, b->layout, 0, 1, &b->set, 0,
				NULL);
	vkCmdPushConstants(cmd, b->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(b->n), &b->n);
	vkCmdDispatch(cmd, groups, groups, 1);
	VK(vkEndCommandBuffer(cmd));
	return cmd;
}

/* Seconds from the submission to the end of the wait for it. */
static double run(struct bench *b, VkCommandBuffer cmd)
{
	const VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
				      .commandBufferCount = 1, .pCommandBuffers = &cmd };
	double start = now();

	VK(vkQueueSubmit(b->queue, 1, &submit, b->fence));
	VK(vkWaitForFences(b->dev, 1, &b->fence, VK_TRUE, NEVER));
	start = now() - start;
	VK(vkResetFences(b->dev, 1, &b->fence));
	return start;
}

static void check_product(struct bench *b)
{
	for (int i = 0; i < SAMPLES; i++) {
		const uint32_t row = (uint32_t)rand() % b->n, column = (uint32_t)rand() % b->n;
		const float got = b->map[C][(size_t)row * b->n + column];
		double sum = 0;

		for (uint32_t k = 0; k < b->n; k++)
			sum += (double)b->map[A][(size_t)row * b->n + k] *
			       (double)b->map[B][(size_t)k * b->n + column];
		if (!(fabs((double)got - sum) < 1e-3 * (double)b->n))
			fail("element %u, %u is %g, not %g", row, column, (double)got, sum);
	}
}

static void bench_matrix(struct bench *b)
{
	VkPipeline pipeline = create_pipeline(b, matrix_spirv, sizeof(matrix_spirv));
	VkCommandBuffer cmd = record(b, pipeline, b->n / TILE);
	double best = INFINITY;

	for (int i = 0; i < MATRIX_RUNS; i++) {
		double t = run(b, cmd);

		best = t < best ? t : best;
	}
	check_product(b);
	printf("matrix %u %.6f\n", b->n, best);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void bench_dispatch(struct bench *b, uint32_t count)
{
	VkPipeline pipeline = create_pipeline(b, count_spirv, sizeof(count_spirv));
	VkCommandBuffer cmd = record(b, pipeline, 1);
	double *took = calloc(count, sizeof(*took)), sum = 0;
	uint32_t counted;

	if (!took)
		fail("out of memory");
	memset(b->map[C], 0, sizeof(uint32_t));
	for (uint32_t i = 0; i < count; i++)
		sum += took[i] = run(b, cmd);
	memcpy(&counted, b->map[C], sizeof(counted));
	if (counted != count)
		fail("of %u dispatches %u have run", count, counted);
	qsort(took, count, sizeof(*took), compare);
	printf("dispatch %u %.1f %.1f %.1f\n", count, sum / count * 1e6, took[count / 2] * 1e6,
	       took[count - 1 - count / 100] * 1e6);
	free(took);
}

int main(int argc, char **argv)
{
	struct bench b = { .n = argc > 1 ? (uint32_t)atoi(argv[1]) : 1024 };
	const uint32_t dispatches = argc > 2 ? (uint32_t)atoi(argv[2]) : 10000;

	if (!b.n || b.n % TILE || b.n > 16384 || !dispatches)
		fail("usage: bench [SIZE [DISPATCHES [IDLE-SECONDS]]]; SIZE by %us", TILE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	choose_device(&b);
	create_device(&b);
	create_set(&b);
	create_buffers(&b);
	bench_matrix(&b);
	bench_dispatch(&b, dispatches);
	VK(vkDeviceWaitIdle(b.dev));
	if (argc > 3)
		sleep((unsigned int)atoi(argv[3]));
	vkDestroyDevice(b.dev, NULL);
	return 0;
}
