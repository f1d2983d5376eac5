/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FAKE_VULKAN_H
#define TESTS_UNIT_FAKE_VULKAN_H

/*
 * What stands below the Vulkan layer in its tests: the loader's part of making instances and devices,
 * and a driver that has the memory types and extensions of a given kind, does nothing, and keeps what
 * it was asked last. Asked for something that it never offered it ends the process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vulkan/vulkan.h>

/** struct fake_kind - of driver */
struct fake_kind {
	VkMemoryPropertyFlags types[8];
	uint32_t num_types;
	const char *extensions[8]; /* NULL after the last */
	bool host_buffers;	   /* buffers may lie in memory of host pointers */
	bool file_pages;	   /* which may be those of a file */
	uint32_t host_types;	   /* bit per memory type that takes host pointers */
	VkDeviceSize alignment;	   /* minImportedHostPointerAlignment */
	bool sync_files;	   /* imports them into semaphores */
};

extern const struct fake_kind fake_nvidia;   /* no dma-bufs; large host-pointer alignment */
extern const struct fake_kind fake_radv;     /* dma-bufs of its own; no host pointers of files */
extern const struct fake_kind fake_lavapipe; /* one memory type; no sync files */

/* Structures that an allocation had beside its own. */
struct fake_allocation {
	bool import_pointer, import_fd, export, dedicated, flags, other;
	void *pointer;
	VkDeviceSize size;
	uint32_t type;
};

/** fake - what the driver was asked, and what it is to answer */
extern struct fake {
	const struct fake_kind *kind;
	VkResult allocate_result; /* VK_SUCCESS as a rule */
	struct fake_allocation last;
	unsigned int allocations; /* calls of vkAllocateMemory */
	unsigned int memories, devices; /* that live */
	VkDevice last_device;		/* that memory was allocated of */
	VkExternalMemoryHandleTypeFlags last_types; /* of the last buffer, image, or description */
	const char *enabled[16];
	uint32_t num_enabled;
	VkSubmitInfo submit; /* the first of the last call */
	VkSemaphore submit_waits[4];
	uint32_t submit_devices[4], submit_device_count;
} fake;

/** fake_start() - an instance of the layer's over such a driver, and what the layer resolves */
void fake_start(const struct fake_kind *kind);
void fake_stop(void);
/** fake_device() - vkCreateDevice() through the layer; @names: NULL after the last */
VkResult fake_device(const char *const *names, VkDevice *out);
/** fake_queue() - of @dev */
VkQueue fake_queue(VkDevice dev);
/** fake_physical() - the driver's one physical device */
VkPhysicalDevice fake_physical(void);
/** fake_instance_proc(), fake_device_proc() - what the layer gives for a name */
PFN_vkVoidFunction fake_instance_proc(const char *name);
PFN_vkVoidFunction fake_device_proc(VkDevice dev, const char *name);

#endif
