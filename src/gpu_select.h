/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_SELECT_H
#define SRC_GPU_SELECT_H

/* Which of the host's Vulkan drivers serves a container that was given GPU device nodes. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

#define GPU_NVIDIA_MAJOR 195

/* A device node that the container was given, as it is on the host. */
struct gpu_node {
	const char *path;
	dev_t rdev;
};

struct gpu_request {
	const struct gpu_node *nodes; /* those in /dev/dri, or NVIDIA's own */
	size_t count;
	bool software_gpu;	/* the host's configuration says software-gpu = yes */
	const char *annotation; /* value of the annotation krun-gpu.device, or NULL */
};

struct gpu_choice {
	char *driver;	/* kernel driver, or "software" */
	char *icd;	/* the drivers' manifests, absolute, a colon between two; VK_DRIVER_FILES */
	bool software;	/* lavapipe */
	char **devices; /* NULL-terminated: device nodes the render server is to have */
};

/**
 * gpu_select() - choose the GPU and its Vulkan driver
 * @root: put before every path that is looked at: "" on a real host; tests have a tree of their own
 * @out:  filled on success; the paths in it are without @root
 *
 * The first node whose kernel driver has a Vulkan driver on this host is taken, with the other
 * given nodes of the same GPU. With the annotation it is the GPU which that names (gpu_list_find()):
 * it must be among the given nodes, but when none was given at all its own are taken. Software is
 * taken when the annotation says "software", or when there is no such node and the host's
 * configuration allows it. The error names the node, its kernel driver and what is missing.
 */
int gpu_select(const struct gpu_request *req, const char *root, struct gpu_choice *out,
	       struct error **err);

void gpu_choice_release(struct gpu_choice *choice);

/**
 * gpu_driver_manifests() - the Vulkan driver of a kernel driver, as VK_DRIVER_FILES wants it
 * @kernel: its name; "software" means lavapipe
 * @why:    gets a sentence on what is missing, when there is none; may be NULL
 *
 * Return: malloc'ed, or NULL.
 */
char *gpu_driver_manifests(const char *root, const char *kernel, char *why, size_t size);

#endif
