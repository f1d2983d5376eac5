/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_KIT_H
#define TESTS_GPU_KIT_H

/*
 * What test programs need of Vulkan before they can test: devices with all of their queues, timeline
 * semaphores, host-visible memory, and steps of a computation (step.comp) whose order shows in the
 * result. Whatever fails ends the program with a sentence, by kit_fail().
 */

#include <stdint.h>
#include <vulkan/vulkan.h>

#define KIT_VALUES 4096u /* elements of what kit_step_submit() works on */
#define KIT_MAX_QUEUES 16

/** kit_name - the program's, for messages; each program defines it */
extern const char kit_name[];

void __attribute__((noreturn, format(printf, 1, 2))) kit_fail(const char *fmt, ...);

#define VK(call)                                                   \
	do {                                                       \
		VkResult vk_r_ = (call);                           \
		if (vk_r_ != VK_SUCCESS)                           \
			kit_fail("%s: VkResult %d", #call, vk_r_); \
	} while (0)

struct kit_queue {
	VkQueue handle;
	uint32_t family;
};

struct kit_device {
	VkPhysicalDevice phys;
	VkDevice handle;
	struct kit_queue queues[KIT_MAX_QUEUES]; /* those that compute */
	uint32_t num_queues;
	VkDescriptorSetLayout set_layout;
	VkPipelineLayout layout;
	VkPipeline step;
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
};

/** struct kit_work - values and a timeline of a thread's: step N waits for N, and signals N + 1 */
struct kit_work {
	struct kit_device *dev;
	VkCommandPool pools[KIT_MAX_QUEUES]; /* of the queues' families */
	VkBuffer buffer;
	VkDeviceMemory memory;
	volatile uint32_t *values; /* mapped */
	VkDescriptorPool sets;
	VkDescriptorSet set;
	VkSemaphore timeline; /* 0 at first */
};

VkInstance kit_instance(void);
/** kit_device_open() - the instance's first device, with all queues that compute */
void kit_device_open(VkInstance instance, struct kit_device *dev);
void kit_device_close(struct kit_device *dev);
/** kit_host_type() - a memory type of @allowed that is host-visible and coherent */
uint32_t kit_host_type(const struct kit_device *dev, uint32_t allowed);

void kit_work_open(struct kit_device *dev, struct kit_work *work);
void kit_work_close(struct kit_work *work);
/** kit_step_submit() - @number on a queue; the caller sees to it that nobody else uses that now */
void kit_step_submit(struct kit_work *work, uint32_t queue, uint32_t number);
/** kit_step_host() - do step @number here, when those before it are done */
void kit_step_host(struct kit_work *work, uint32_t number);
/** kit_signal() - set the timeline to @value */
void kit_signal(struct kit_work *work, uint64_t value);
/** kit_wait() - until the timeline is at @value */
void kit_wait(struct kit_work *work, uint64_t value);
/** kit_check() - the values are what @steps steps, from 1 on, make of zeros */
void kit_check(const struct kit_work *work, uint32_t steps);

#endif
