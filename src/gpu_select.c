/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gpu_select.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "gpu_list.h"

#define DRIVER_NAME_MAX 64

#if defined(__x86_64__)
#define ICD_ARCH ".x86_64"
#elif defined(__aarch64__)
#define ICD_ARCH ".aarch64"
#else
#error "unknown architecture"
#endif

/* Kernel drivers and the names of their Vulkan drivers' manifests, without suffix. */
static const struct gpu_driver {
	const char *kernel;
	const char *icds[3];
	const char *package;
} gpu_drivers[] = {
	{ "amdgpu", { "radeon_icd" }, "mesa-vulkan-drivers" },
	{ "i915", { "intel_icd", "intel_hasvk_icd" }, "mesa-vulkan-drivers" },
	{ "xe", { "intel_icd" }, "mesa-vulkan-drivers" },
	{ "nouveau", { "nouveau_icd" }, "mesa-vulkan-drivers" },
	{ "nvidia", { "nvidia_icd" }, "nvidia-vulkan-icd" },
	{ "virtio_gpu", { "virtio_icd" }, "mesa-vulkan-drivers" },
	{ "msm_dpu", { "freedreno_icd" }, "mesa-vulkan-drivers" },
	{ "msm-mdss", { "freedreno_icd" }, "mesa-vulkan-drivers" },
	{ "panfrost", { "panfrost_icd" }, "mesa-vulkan-drivers" },
	{ "panthor", { "panfrost_icd" }, "mesa-vulkan-drivers" },
	{ "asahi", { "asahi_icd" }, "mesa-vulkan-drivers" },
	{ "v3d", { "broadcom_icd" }, "mesa-vulkan-drivers" },
};

static const struct gpu_driver gpu_software = { "software", { "lvp_icd" }, "mesa-vulkan-drivers" };

static const char *const icd_dirs[] = {
	"/etc/vulkan/icd.d",
	"/usr/local/share/vulkan/icd.d",
	"/usr/share/vulkan/icd.d",
};

/* Is @file the manifest called @name, for this architecture or for all? */
static bool icd_matches(const char *file, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(file, name, len))
		return false;
	file += len;
	if (!strncmp(file, ICD_ARCH, strlen(ICD_ARCH)))
		file += strlen(ICD_ARCH);
	return !strcmp(file, ".json");
}

/* The absolute path of a manifest, without @root; malloc'ed, NULL when there is none. */
static char *icd_find(const char *root, const char *name)
{
	for (size_t i = 0; i < sizeof(icd_dirs) / sizeof(*icd_dirs); i++) {
		char dir_path[PATH_MAX];
		char *found = NULL;
		struct dirent *entry;
		DIR *dir;

		snprintf(dir_path, sizeof(dir_path), "%s%s", root, icd_dirs[i]);
		dir = opendir(dir_path);
		if (!dir)
			continue;
		while (!found && (entry = readdir(dir)))
			if (icd_matches(entry->d_name, name) &&
			    asprintf(&found, "%s/%s", icd_dirs[i], entry->d_name) < 0)
				found = NULL;
		closedir(dir);
		if (found)
			return found;
	}
	return NULL;
}

/* All manifests of a driver as VK_DRIVER_FILES wants them; NULL when there is none. */
static char *icd_find_all(const char *root, const struct gpu_driver *driver)
{
	char *list = NULL;

	for (size_t i = 0; i < 3 && driver->icds[i]; i++) {
		cleanup_free char *found = icd_find(root, driver->icds[i]);
		cleanup_free char *before = list;

		if (!found) {
			before = NULL;
			continue;
		}
		if (asprintf(&list, "%s%s%s", before ? before : "", before ? ":" : "", found) < 0)
			return NULL;
	}
	return list;
}

/* The name of the kernel driver behind a node; "unknown" when sysfs does not tell. */
static void node_driver(const char *root, const struct gpu_node *node, char *name, size_t size)
{
	char link[PATH_MAX], target[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(name, size, "%s", major(node->rdev) == GPU_NVIDIA_MAJOR ? "nvidia" : "unknown");
	snprintf(link, sizeof(link), "%s/sys/dev/char/%u:%u/device/driver", root,
		 major(node->rdev), minor(node->rdev));
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = 0;
	base = strrchr(target, '/');
	base = base ? base + 1 : target;
	if (strlen(base) < size)
		strcpy(name, base);
}

static const struct gpu_driver *driver_find(const char *kernel)
{
	for (size_t i = 0; i < sizeof(gpu_drivers) / sizeof(*gpu_drivers); i++)
		if (!strcmp(gpu_drivers[i].kernel, kernel))
			return &gpu_drivers[i];
	return NULL;
}

/* Where sysfs has the device of a node; "" when it has not. */
static void node_device(const char *root, const struct gpu_node *node, char out[PATH_MAX])
{
	char link[PATH_MAX];

	snprintf(link, sizeof(link), "%s/sys/dev/char/%u:%u/device", root, major(node->rdev),
		 minor(node->rdev));
	if (!realpath(link, out))
		out[0] = 0;
}

static int devices_add(struct gpu_choice *out, size_t *count, const char *path, struct error **err)
{
	char **grown = reallocarray(out->devices, *count + 2, sizeof(*grown));

	if (grown) {
		out->devices = grown;
		grown[*count] = strdup(path);
		grown[*count + 1] = NULL;
	}
	if (!grown || !grown[*count])
		return error_set(err, ENOMEM, "cannot list GPU devices");
	(*count)++;
	return 0;
}

/* NVIDIA's driver works through nodes of its own, beside or without DRM's: those of all GPUs, and
 * one for each. Which is a DRM node's is in NVIDIA's list. */
static int devices_add_nvidia(const char *root, const struct gpu_node *chosen,
			      struct gpu_choice *out, size_t *count, struct error **err)
{
	static const char *const fixed[] = { "/dev/nvidiactl", "/dev/nvidia-modeset",
					     "/dev/nvidia-uvm" };
	char full[PATH_MAX + 32];
	struct gpu_list list;
	struct stat st;
	int r = 0;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		snprintf(full, sizeof(full), "%s%s", root, fixed[i]);
		if (stat(full, &st) == 0 && devices_add(out, count, fixed[i], err) < 0)
			return -1;
	}
	if (major(chosen->rdev) == GPU_NVIDIA_MAJOR)
		return devices_add(out, count, chosen->path, err);
	if (gpu_list(root, &list, err) < 0)
		return -1;
	for (size_t i = 0; i < list.count && !r; i++) {
		const struct gpu_host *gpu = &list.gpus[i];
		bool same = false;

		for (size_t n = 0; n < gpu->num_nodes; n++)
			same |= gpu->nodes[n].rdev == chosen->rdev;
		for (size_t n = 0; same && n < gpu->num_nodes && !r; n++)
			if (major(gpu->nodes[n].rdev) == GPU_NVIDIA_MAJOR)
				r = devices_add(out, count, gpu->nodes[n].path, err);
	}
	gpu_list_release(&list);
	return r;
}

static int choose_devices(const struct gpu_request *req, const char *root,
			  const struct gpu_node *chosen, struct gpu_choice *out,
			  struct error **err)
{
	char device[PATH_MAX], other[PATH_MAX];
	size_t count = 0;

	node_device(root, chosen, device);
	for (size_t i = 0; i < req->count; i++) {
		/* NVIDIA's own nodes are added below. */
		if (major(req->nodes[i].rdev) == GPU_NVIDIA_MAJOR)
			continue;
		node_device(root, &req->nodes[i], other);
		if (&req->nodes[i] != chosen && (!*device || strcmp(device, other)))
			continue;
		if (devices_add(out, &count, req->nodes[i].path, err) < 0)
			return -1;
	}
	if (!strcmp(out->driver, "nvidia"))
		return devices_add_nvidia(root, chosen, out, &count, err);
	return 0;
}

static int choose(const struct gpu_request *req, const char *root, const struct gpu_node *node,
		  const struct gpu_driver *driver, struct gpu_choice *out, struct error **err)
{
	out->driver = strdup(driver->kernel);
	out->software = driver == &gpu_software;
	if (!out->driver)
		return error_set(err, ENOMEM, "cannot choose a GPU");
	if (node)
		return choose_devices(req, root, node, out, err);
	out->devices = calloc(1, sizeof(*out->devices));
	return out->devices ? 0 : error_set(err, ENOMEM, "cannot choose a GPU");
}

static int select_software(const struct gpu_request *req, const char *root, struct gpu_choice *out,
			   struct error **err)
{
	out->icd = icd_find_all(root, &gpu_software);
	if (!out->icd)
		return error_set(err, 0,
				 "no software Vulkan driver on the host: install lavapipe (Debian "
				 "package: %s)",
				 gpu_software.package);
	return choose(req, root, NULL, &gpu_software, out, err);
}

/* Says what is wrong with the first node, which stands for all. */
static int select_error(const struct gpu_request *req, const char *root, struct error **err)
{
	const struct gpu_node *node = &req->nodes[0];
	const struct gpu_driver *driver;
	char name[DRIVER_NAME_MAX];

	node_driver(root, node, name, sizeof(name));
	driver = driver_find(name);
	if (driver)
		return error_set(err, 0,
				 "no Vulkan driver on the host for %s (kernel driver %s): install "
				 "one that has %s*.json (Debian package: %s)",
				 node->path, name, driver->icds[0], driver->package);
	return error_set(err, 0,
			 "no Vulkan driver on the host for %s (kernel driver %s): install one, or "
			 "allow software rendering with \"software-gpu = yes\" in "
			 "%s/krun-gpu/krun-gpu.conf or the annotation krun-gpu.device=software",
			 node->path, name, SYSCONFDIR);
}

static int select_from_nodes(const struct gpu_request *req, const char *root,
			     struct gpu_choice *out, struct error **err)
{
	for (size_t i = 0; i < req->count; i++) {
		const struct gpu_driver *driver;
		char name[DRIVER_NAME_MAX];

		node_driver(root, &req->nodes[i], name, sizeof(name));
		driver = driver_find(name);
		if (!driver)
			continue;
		out->icd = icd_find_all(root, driver);
		if (out->icd)
			return choose(req, root, &req->nodes[i], driver, out, err);
	}
	if (req->software_gpu)
		return select_software(req, root, out, err);
	return select_error(req, root, err);
}

/* nvidiactl and its like serve all GPUs: which one is meant, they do not say. */
static bool node_is_shared(const struct gpu_node *node)
{
	return major(node->rdev) == GPU_NVIDIA_MAJOR && minor(node->rdev) >= 254;
}

/* Those of @req's nodes that are @gpu's, or when there are none in @req, all of @gpu's. */
static size_t nodes_of_gpu(const struct gpu_request *req, const struct gpu_host *gpu,
			   struct gpu_node nodes[GPU_NODES_MAX])
{
	size_t count = 0;

	for (size_t n = 0; n < gpu->num_nodes; n++) {
		bool given = !req->count;

		for (size_t i = 0; i < req->count; i++)
			given |= req->nodes[i].rdev == gpu->nodes[n].rdev;
		if (given)
			nodes[count++] = (struct gpu_node){ gpu->nodes[n].path,
							    gpu->nodes[n].rdev };
	}
	return count;
}

static int select_named(const struct gpu_request *req, const char *root, struct gpu_choice *out,
			struct error **err)
{
	struct gpu_node nodes[GPU_NODES_MAX];
	struct gpu_request narrowed = { .nodes = nodes };
	const struct gpu_host *gpu;
	struct gpu_list list;
	int r = -1;

	if (gpu_list(root, &list, err) < 0)
		return -1;
	gpu = gpu_list_find(&list, req->annotation, err);
	if (gpu) {
		narrowed.count = nodes_of_gpu(req, gpu, nodes);
		r = narrowed.count ? select_from_nodes(&narrowed, root, out, err) :
				     error_set(err, 0, "annotation krun-gpu.device: %s (%s) is not "
					       "among the devices that the container was given",
					       gpu->name, gpu->pci);
	}
	gpu_list_release(&list);
	return r;
}

int gpu_select(const struct gpu_request *req, const char *root, struct gpu_choice *out,
	       struct error **err)
{
	struct gpu_request own = *req;
	int r;

	*out = (struct gpu_choice){ 0 };
	if (!req->count && !req->annotation)
		return error_set(err, 0, "no GPU device was given");
	/* nvidiactl alone is no GPU, and before the others it would hide them. */
	while (own.count > 1 && node_is_shared(&own.nodes[0])) {
		own.nodes++;
		own.count--;
	}
	if (req->annotation && !strcmp(req->annotation, "software"))
		r = select_software(&own, root, out, err);
	else if (req->annotation)
		r = select_named(&own, root, out, err);
	else
		r = select_from_nodes(&own, root, out, err);
	if (r < 0)
		gpu_choice_release(out);
	return r;
}

char *gpu_driver_manifests(const char *root, const char *kernel, char *why, size_t size)
{
	const struct gpu_driver *driver =
		strcmp(kernel, "software") ? driver_find(kernel) : &gpu_software;
	char *found = driver ? icd_find_all(root, driver) : NULL;

	if (found || !why)
		return found;
	if (driver)
		snprintf(why, size, "its Vulkan driver is missing: install one that has %s*.json "
			 "(Debian package: %s)", driver->icds[0], driver->package);
	else
		snprintf(why, size, "the kernel driver %s has no Vulkan driver", kernel);
	return NULL;
}

void gpu_choice_release(struct gpu_choice *choice)
{
	for (char **d = choice->devices; d && *d; d++)
		free(*d);
	free(choice->devices);
	free(choice->driver);
	free(choice->icd);
	*choice = (struct gpu_choice){ 0 };
}
