/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of a program that asks for more host-visible memory than it may have? It gets an error
 * that says so, and goes on with what it has: one block freed can be had again, and the device computes.
 * The blocks are never touched, so that a host that makes memory when it is used has to give little.
 *
 * Usage: exhaust [OPTION]...
 *   --at-most MIB    the error has to come before there is more (1048576 when not said)
 *   --at-least MIB   and not before there is that much
 *   --unmapped       the blocks are allocated and bound to buffers, not mapped
 *   --single MIB     one block of that size first, which has to succeed
 *   --hold           keep all of it, print "held MIB", and wait to be killed
 *   --vtest          VK_ERROR_MEMORY_MAP_FAILED will do: Mesa gives no other over vtest
 * Prints "ok MIB DEVICE", MIB having been had, or what was wrong.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kit.h"

#define BLOCK_MIB 256u
#define MAX_BLOCKS 4096u
#define STEPS 16u
#define PATIENCE_MS 10000u

const char kit_name[] = "exhaust";

struct block {
	VkBuffer buffer;
	VkDeviceMemory memory;
};

static struct options {
	unsigned long at_most, at_least, single;
	bool unmapped, vtest, hold;
} options = { .at_most = 1ul << 20 };

static void block_free(const struct kit_device *dev, struct block *b)
{
	vkDestroyBuffer(dev->handle, b->buffer, NULL);
	vkFreeMemory(dev->handle, b->memory, NULL);
}

/* VK_SUCCESS, or one of the two errors that say that there is no more; nothing is left then. */
static VkResult block_make(const struct kit_device *dev, uint64_t mib, struct block *b)
{
	const VkBufferCreateInfo info = { .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
					  .size = mib << 20,
					  .usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT };
	VkMemoryAllocateInfo alloc = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
	VkMemoryRequirements need;
	const char *call = "vkAllocateMemory";
	void *map;
	VkResult r;

	VK(vkCreateBuffer(dev->handle, &info, NULL, &b->buffer));
	vkGetBufferMemoryRequirements(dev->handle, b->buffer, &need);
	alloc.allocationSize = need.size;
	alloc.memoryTypeIndex = kit_host_type(dev, need.memoryTypeBits);
	b->memory = VK_NULL_HANDLE;
	r = vkAllocateMemory(dev->handle, &alloc, NULL, &b->memory);
	if (r == VK_SUCCESS) {
		call = options.unmapped ? "vkBindBufferMemory" : "vkMapMemory";
		r = options.unmapped ? vkBindBufferMemory(dev->handle, b->buffer, b->memory, 0) :
				       vkMapMemory(dev->handle, b->memory, 0, VK_WHOLE_SIZE, 0, &map);
	}
	if (r == VK_SUCCESS)
		return r;
	if (r != VK_ERROR_OUT_OF_HOST_MEMORY && r != VK_ERROR_OUT_OF_DEVICE_MEMORY &&
	    !(options.vtest && r == VK_ERROR_MEMORY_MAP_FAILED))
		kit_fail("%s: VkResult %d, which does not say that memory is short", call, r);
	block_free(dev, b);
	return r;
}

/*
 * Where one was freed. A guest's kernel gives its place in the window back when the device has answered,
 * a moment after vkFreeMemory().
 */
static VkResult block_make_again(const struct kit_device *dev, uint64_t mib, struct block *b)
{
	VkResult r = block_make(dev, mib, b);

	for (unsigned int i = 0; r != VK_SUCCESS && i < PATIENCE_MS / 10; i++) {
		usleep(10000);
		r = block_make(dev, mib, b);
	}
	return r;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "at-most", required_argument, NULL, 'm' },
		{ "at-least", required_argument, NULL, 'l' },
		{ "single", required_argument, NULL, 's' },
		{ "unmapped", no_argument, NULL, 'u' },
		{ "hold", no_argument, NULL, 'h' },
		{ "vtest", no_argument, NULL, 'v' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'm': options.at_most = strtoul(optarg, NULL, 10); break;
		case 'l': options.at_least = strtoul(optarg, NULL, 10); break;
		case 's': options.single = strtoul(optarg, NULL, 10); break;
		case 'u': options.unmapped = true; break;
		case 'h': options.hold = true; break;
		case 'v': options.vtest = true; break;
		default: kit_fail("see the head of tests/gpu/exhaust.c");
		}
	}
	if (optind != argc)
		kit_fail("see the head of tests/gpu/exhaust.c");
}

static void make_single(const struct kit_device *dev)
{
	struct block b;

	if (!options.single)
		return;
	VK(block_make(dev, options.single, &b));
	block_free(dev, &b);
	VK(block_make_again(dev, options.single, &b));
	block_free(dev, &b);
}

static void compute(struct kit_device *dev)
{
	struct kit_work work;

	kit_work_open(dev, &work);
	kit_signal(&work, 1);
	for (uint32_t n = 1; n <= STEPS; n++)
		kit_step_submit(&work, 0, n);
	kit_wait(&work, STEPS + 1);
	kit_check(&work, STEPS);
	kit_work_close(&work);
}

int main(int argc, char **argv)
{
	static struct block blocks[MAX_BLOCKS];
	const VkInstance instance = kit_instance();
	struct kit_device dev;
	uint32_t n = 0;

	parse(argc, argv);
	kit_device_open(instance, &dev);
	make_single(&dev);
	/* What was single has been freed. */
	while (n < MAX_BLOCKS && (n ? block_make : block_make_again)(&dev, BLOCK_MIB, &blocks[n]) ==
					 VK_SUCCESS)
		if (++n * BLOCK_MIB > options.at_most)
			kit_fail("%u MiB, and still no error", n * BLOCK_MIB);
	if (!n || n * BLOCK_MIB < options.at_least)
		kit_fail("an error at %u MiB already", n * BLOCK_MIB);
	if (options.hold) {
		printf("held %u\n", n * BLOCK_MIB);
		fflush(stdout);
		pause();
	}
	block_free(&dev, &blocks[n - 1]);
	VK(block_make_again(&dev, BLOCK_MIB, &blocks[n - 1]));
	block_free(&dev, &blocks[n - 1]); /* room for what the computation needs */
	compute(&dev);
	printf("ok %u %s\n", n * BLOCK_MIB, dev.name);
	while (--n)
		block_free(&dev, &blocks[n - 1]);
	kit_device_close(&dev);
	vkDestroyInstance(instance, NULL);
	return 0;
}
