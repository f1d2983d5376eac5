/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Draws a scene (triangles with depth and blending in four samples a pixel, resolved) and writes it
 * as a PNG, so that what two ways to one driver draw can be compared byte by byte.
 *
 * Usage: picture FILE.png
 * Prints "ok WIDTH HEIGHT COLOURS DEVICE" and exits with 0.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "picture.frag.h"
#include "picture.vert.h"

#define WIDTH 320u
#define HEIGHT 240u
#define VERTICES (3 * 48)
#define SAMPLES VK_SAMPLE_COUNT_4_BIT
#define COLOUR VK_FORMAT_R8G8B8A8_UNORM
#define DEPTH VK_FORMAT_D32_SFLOAT

struct image {
	VkImage handle;
	VkDeviceMemory memory;
	VkImageView view;
};

struct picture {
	VkPhysicalDevice phys;
	VkPhysicalDeviceProperties props;
	VkDevice dev;
	VkQueue queue;
	VkCommandBuffer cmd;
	struct image colour, depth, resolved;
	VkRenderPass pass;
	VkFramebuffer frame;
	VkPipeline pipeline;
	VkBuffer buffer;
	const uint8_t *pixels; /* of buffer, in host-visible memory */
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("picture: ", stderr);
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

static void create_device(struct picture *p)
{
	const VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
					.apiVersion = VK_API_VERSION_1_1 };
	const VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
					    .pApplicationInfo = &app };
	const float priority = 1;
	VkDeviceQueueCreateInfo queue = { .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
					  .queueCount = 1, .pQueuePriorities = &priority };
	const VkDeviceCreateInfo dev = { .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
					 .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue };
	VkCommandPoolCreateInfo pool = { .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO };
	VkCommandBufferAllocateInfo cmd = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandBufferCount = 1,
	};
	VkQueueFamilyProperties families[16];
	uint32_t count = 1, family = 0, num_families = 16;
	VkInstance instance;
	VkResult r;

	VK(vkCreateInstance(&info, NULL, &instance));
	r = vkEnumeratePhysicalDevices(instance, &count, &p->phys);
	if ((r != VK_SUCCESS && r != VK_INCOMPLETE) || !count)
		fail("no device (%d)", r);
	vkGetPhysicalDeviceProperties(p->phys, &p->props);
	vkGetPhysicalDeviceQueueFamilyProperties(p->phys, &num_families, families);
	while (family < num_families && !(families[family].queueFlags & VK_QUEUE_GRAPHICS_BIT))
		family++;
	if (family == num_families)
		fail("no graphics queue");
	queue.queueFamilyIndex = pool.queueFamilyIndex = family;
	VK(vkCreateDevice(p->phys, &dev, NULL, &p->dev));
	vkGetDeviceQueue(p->dev, family, 0, &p->queue);
	VK(vkCreateCommandPool(p->dev, &pool, NULL, &cmd.commandPool));
	VK(vkAllocateCommandBuffers(p->dev, &cmd, &p->cmd));
}

static VkDeviceMemory allocate(struct picture *p, const VkMemoryRequirements *need,
			       VkMemoryPropertyFlags flags)
{
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
				      .allocationSize = need->size };
	VkPhysicalDeviceMemoryProperties types;
	VkDeviceMemory memory;

	vkGetPhysicalDeviceMemoryProperties(p->phys, &types);
	while (info.memoryTypeIndex < types.memoryTypeCount &&
	       (!(need->memoryTypeBits & 1u << info.memoryTypeIndex) ||
		(types.memoryTypes[info.memoryTypeIndex].propertyFlags & flags) != flags))
		info.memoryTypeIndex++;
	if (info.memoryTypeIndex == types.memoryTypeCount)
		fail("no memory with flags %#x", flags);
	VK(vkAllocateMemory(p->dev, &info, NULL, &memory));
	return memory;
}

static void create_image(struct picture *p, struct image *image, VkFormat format,
			 VkSampleCountFlagBits samples, VkImageUsageFlags usage)
{
	const VkImageCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO, .imageType = VK_IMAGE_TYPE_2D,
		.format = format, .extent = { WIDTH, HEIGHT, 1 }, .mipLevels = 1,
		.arrayLayers = 1, .samples = samples, .usage = usage,
	};
	VkImageViewCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.viewType = VK_IMAGE_VIEW_TYPE_2D, .format = format,
		.subresourceRange = { format == DEPTH ? VK_IMAGE_ASPECT_DEPTH_BIT :
							VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1 },
	};
	VkMemoryRequirements need;

	VK(vkCreateImage(p->dev, &info, NULL, &image->handle));
	vkGetImageMemoryRequirements(p->dev, image->handle, &need);
	image->memory = allocate(p, &need, 0);
	VK(vkBindImageMemory(p->dev, image->handle, image->memory, 0));
	view.image = image->handle;
	VK(vkCreateImageView(p->dev, &view, NULL, &image->view));
}

static void create_buffer(struct picture *p)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
					  .size = WIDTH * HEIGHT * 4,
					  .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT };
	VkMemoryRequirements need;
	VkDeviceMemory memory;

	VK(vkCreateBuffer(p->dev, &info, NULL, &p->buffer));
	vkGetBufferMemoryRequirements(p->dev, p->buffer, &need);
	memory = allocate(p, &need, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
					    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
	VK(vkBindBufferMemory(p->dev, p->buffer, memory, 0));
	VK(vkMapMemory(p->dev, memory, 0, VK_WHOLE_SIZE, 0, (void **)&p->pixels));
}

#define ATTACHMENT(f, s, load, last)                                              \
	{                                                                         \
		.format = (f), .samples = (s), .loadOp = (load),                  \
		.storeOp = VK_ATTACHMENT_STORE_OP_STORE,                          \
		.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,                 \
		.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,               \
		.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED, .finalLayout = (last), \
	}

static void create_pass(struct picture *p)
{
	const VkImageLayout colour_layout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL;
	const VkImageLayout depth_layout = VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL;
	const VkAttachmentDescription attachments[] = {
		ATTACHMENT(COLOUR, SAMPLES, VK_ATTACHMENT_LOAD_OP_CLEAR, colour_layout),
		ATTACHMENT(DEPTH, SAMPLES, VK_ATTACHMENT_LOAD_OP_CLEAR, depth_layout),
		ATTACHMENT(COLOUR, VK_SAMPLE_COUNT_1_BIT, VK_ATTACHMENT_LOAD_OP_DONT_CARE,
			   VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL),
	};
	const VkAttachmentReference colour = { 0, colour_layout }, depth = { 1, depth_layout },
				    resolve = { 2, colour_layout };
	const VkSubpassDescription subpass = {
		.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS, .colorAttachmentCount = 1,
		.pColorAttachments = &colour, .pResolveAttachments = &resolve,
		.pDepthStencilAttachment = &depth,
	};
	const VkSubpassDependency after = {
		.srcSubpass = 0, .dstSubpass = VK_SUBPASS_EXTERNAL,
		.srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
		.dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT,
		.srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT,
	};
	const VkRenderPassCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO, .attachmentCount = 3,
		.pAttachments = attachments, .subpassCount = 1, .pSubpasses = &subpass,
		.dependencyCount = 1, .pDependencies = &after,
	};
	const VkImageView views[] = { p->colour.view, p->depth.view, p->resolved.view };
	VkFramebufferCreateInfo frame = {
		.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO, .attachmentCount = 3,
		.pAttachments = views, .width = WIDTH, .height = HEIGHT, .layers = 1,
	};

	VK(vkCreateRenderPass(p->dev, &info, NULL, &p->pass));
	frame.renderPass = p->pass;
	VK(vkCreateFramebuffer(p->dev, &frame, NULL, &p->frame));
}

static VkPipelineShaderStageCreateInfo stage(struct picture *p, VkShaderStageFlagBits which,
					     const uint32_t *spirv, size_t size)
{
	const VkShaderModuleCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size, .pCode = spirv,
	};
	VkPipelineShaderStageCreateInfo s = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		.stage = which, .pName = "main",
	};

	VK(vkCreateShaderModule(p->dev, &info, NULL, &s.module));
	return s;
}

static void create_pipeline(struct picture *p)
{
	const VkPipelineShaderStageCreateInfo stages[] = {
		stage(p, VK_SHADER_STAGE_VERTEX_BIT, picture_vert_spirv, sizeof(picture_vert_spirv)),
		stage(p, VK_SHADER_STAGE_FRAGMENT_BIT, picture_frag_spirv,
		      sizeof(picture_frag_spirv)),
	};
	const VkPipelineVertexInputStateCreateInfo vertex = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
	};
	const VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
	};
	const VkViewport port = { 0, 0, WIDTH, HEIGHT, 0, 1 };
	const VkRect2D scissor = { { 0, 0 }, { WIDTH, HEIGHT } };
	const VkPipelineViewportStateCreateInfo viewport = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO, .viewportCount = 1,
		.pViewports = &port, .scissorCount = 1, .pScissors = &scissor,
	};
	const VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
		.cullMode = VK_CULL_MODE_NONE, .lineWidth = 1,
	};
	const VkPipelineMultisampleStateCreateInfo samples = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = SAMPLES,
	};
	const VkPipelineDepthStencilStateCreateInfo depth = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
		.depthTestEnable = VK_TRUE, .depthWriteEnable = VK_TRUE,
		.depthCompareOp = VK_COMPARE_OP_LESS,
	};
	const VkPipelineColorBlendAttachmentState attachment = {
		.blendEnable = VK_TRUE, .srcColorBlendFactor = VK_BLEND_FACTOR_CONSTANT_ALPHA,
		.dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_CONSTANT_ALPHA,
		.srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE, .colorWriteMask = 0xf,
	};
	const VkPipelineColorBlendStateCreateInfo blend = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.attachmentCount = 1, .pAttachments = &attachment, .blendConstants = { 0, 0, 0, .8f },
	};
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
	};
	VkGraphicsPipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO, .stageCount = 2,
		.pStages = stages, .pVertexInputState = &vertex, .pInputAssemblyState = &assembly,
		.pViewportState = &viewport, .pRasterizationState = &raster,
		.pMultisampleState = &samples, .pDepthStencilState = &depth,
		.pColorBlendState = &blend, .renderPass = p->pass,
	};

	VK(vkCreatePipelineLayout(p->dev, &layout, NULL, &info.layout));
	VK(vkCreateGraphicsPipelines(p->dev, VK_NULL_HANDLE, 1, &info, NULL, &p->pipeline));
}

static void draw(struct picture *p)
{
	const VkClearValue clear[] = { { .color.float32 = { .1f, .1f, .2f, 1 } },
				       { .depthStencil = { 1, 0 } },
				       { .color.float32 = { 0 } } };
	const VkRenderPassBeginInfo pass = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO, .renderPass = p->pass,
		.framebuffer = p->frame, .renderArea = { { 0, 0 }, { WIDTH, HEIGHT } },
		.clearValueCount = 3, .pClearValues = clear,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
	};
	const VkBufferImageCopy copy = {
		.imageSubresource = { VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1 },
		.imageExtent = { WIDTH, HEIGHT, 1 },
	};
	const VkMemoryBarrier to_host = { .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
					  .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
					  .dstAccessMask = VK_ACCESS_HOST_READ_BIT };
	const VkSubmitInfo submit = { .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
				      .commandBufferCount = 1, .pCommandBuffers = &p->cmd };

	VK(vkBeginCommandBuffer(p->cmd, &begin));
	vkCmdBeginRenderPass(p->cmd, &pass, VK_SUBPASS_CONTENTS_INLINE);
	vkCmdBindPipeline(p->cmd, VK_PIPELINE_BIND_POINT_GRAPHICS, p->pipeline);
	vkCmdDraw(p->cmd, VERTICES, 1, 0, 0);
	vkCmdEndRenderPass(p->cmd);
	vkCmdCopyImageToBuffer(p->cmd, p->resolved.handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
			       p->buffer, 1, &copy);
	vkCmdPipelineBarrier(p->cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0,
			     1, &to_host, 0, NULL, 0, NULL);
	VK(vkEndCommandBuffer(p->cmd));
	VK(vkQueueSubmit(p->queue, 1, &submit, VK_NULL_HANDLE));
	VK(vkQueueWaitIdle(p->queue));
}

static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t len)
{
	crc = ~crc;
	while (len--) {
		crc ^= *data++;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static uint8_t *put32(uint8_t *at, uint32_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (uint8_t)(value >> shift);
	return at;
}

static void chunk(FILE *f, const char *type, const uint8_t *data, size_t len)
{
	uint8_t word[4];
	uint32_t crc = crc32(crc32(0, (const uint8_t *)type, 4), data, len);

	put32(word, (uint32_t)len);
	fwrite(word, 1, 4, f);
	fwrite(type, 1, 4, f);
	fwrite(data, 1, len, f);
	put32(word, crc);
	fwrite(word, 1, 4, f);
}

/* The rows as PNG wants them, a zero before each, in zlib's format without compression. */
static uint8_t *zlib_rows(const uint8_t *pixels, size_t *len)
{
	const size_t row = WIDTH * 4, raw = HEIGHT * (row + 1);
	uint8_t *out = malloc(raw + 5 * HEIGHT + 6), *at = out;
	uint32_t a = 1, b = 0;

	if (!out)
		fail("out of memory");
	*at++ = 0x78;
	*at++ = 0x01;
	for (uint32_t y = 0; y < HEIGHT; y++) {
		const uint16_t size = (uint16_t)(row + 1);

		*at++ = y + 1 == HEIGHT;
		*at++ = (uint8_t)size;
		*at++ = (uint8_t)(size >> 8);
		*at++ = (uint8_t)~size;
		*at++ = (uint8_t)(~size >> 8);
		*at = 0;
		memcpy(at + 1, pixels + y * row, row);
		for (size_t i = 0; i < size; i++) {
			a = (a + at[i]) % 65521;
			b = (b + a) % 65521;
		}
		at += size;
	}
	at = put32(at, b << 16 | a);
	*len = (size_t)(at - out);
	return out;
}

static void write_png(const char *path, const uint8_t *pixels)
{
	static const uint8_t magic[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	uint8_t header[13] = { [8] = 8, [9] = 6 }; /* 8 bits, RGBA */
	FILE *f = fopen(path, "wb");
	uint8_t *rows;
	size_t len;

	if (!f)
		fail("cannot write %s", path);
	put32(put32(header, WIDTH), HEIGHT);
	rows = zlib_rows(pixels, &len);
	fwrite(magic, 1, sizeof(magic), f);
	chunk(f, "IHDR", header, sizeof(header));
	chunk(f, "IDAT", rows, len);
	chunk(f, "IEND", NULL, 0);
	free(rows);
	if (ferror(f) || fclose(f))
		fail("cannot write %s", path);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 4);
}

/* How many colours: an empty picture has one. */
static unsigned int count_colours(const uint8_t *pixels)
{
	uint8_t (*sorted)[4] = malloc(WIDTH * HEIGHT * 4);
	unsigned int n = 1;

	if (!sorted)
		fail("out of memory");
	memcpy(sorted, pixels, WIDTH * HEIGHT * 4);
	qsort(sorted, WIDTH * HEIGHT, 4, compare);
	for (uint32_t i = 1; i < WIDTH * HEIGHT; i++)
		n += memcmp(sorted[i - 1], sorted[i], 4) != 0;
	free(sorted);
	return n;
}

int main(int argc, char **argv)
{
	const VkImageUsageFlags attachment = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
	struct picture p = { 0 };

	if (argc != 2)
		fail("usage: picture FILE.png");
	create_device(&p);
	create_image(&p, &p.colour, COLOUR, SAMPLES, attachment);
	create_image(&p, &p.depth, DEPTH, SAMPLES, VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT);
	create_image(&p, &p.resolved, COLOUR, VK_SAMPLE_COUNT_1_BIT,
		     attachment | VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
	create_buffer(&p);
	create_pass(&p);
	create_pipeline(&p);
	draw(&p);
	write_png(argv[1], p.pixels);
	printf("ok %u %u %u %s\n", WIDTH, HEIGHT, count_colours(p.pixels), p.props.deviceName);
	vkDestroyDevice(p.dev, NULL);
	return 0;
}
