/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_LIST_H
#define SRC_GPU_LIST_H

/* The host's GPUs, and what each can do in a container: by its DRM nodes, or by NVIDIA's own. */

#include <stddef.h>
#include <sys/types.h>

struct error;

#define GPU_NODES_MAX 4

struct gpu_host_node {
	char path[64];
	dev_t rdev;
};

/* Strings are empty where the host does not tell. */
struct gpu_host {
	char device[512]; /* in sysfs, with the list's root: what its DRM nodes have in common */
	char pci[16];	  /* "0000:01:00.0" */
	char uuid[64];	  /* NVIDIA's, "GPU-…" */
	char name[128];
	char driver[64]; /* the kernel's */
	struct gpu_host_node nodes[GPU_NODES_MAX];
	size_t num_nodes;
	char *icd;	/* manifests of its Vulkan driver as for VK_DRIVER_FILES; NULL: none, and */
	char why[192];	/* why there is none */
};

struct gpu_list {
	struct gpu_host *gpus; /* owned; by PCI address, the others after */
	size_t count;
	char *software; /* manifests of lavapipe, NULL: not installed */
};

/**
 * gpu_list() - find the host's GPUs
 * @root: put before every path that is looked at: "" on a real host
 */
int gpu_list(const char *root, struct gpu_list *list, struct error **err);
void gpu_list_release(struct gpu_list *list);

/**
 * gpu_list_find() - the GPU that @wanted means: its index, its PCI address with or without the
 * domain, its UUID, or a part of its name that no other one's name has; a whole name goes before whole
 * words, and those before any part
 *
 * Return: NULL with an error that says what there is.
 */
const struct gpu_host *gpu_list_find(const struct gpu_list *list, const char *wanted,
				     struct error **err);

#endif
