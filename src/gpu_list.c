/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A GPU with a kernel driver of DRM's has nodes in /sys/class/drm, card and renderD, which lead to
 * one device. NVIDIA's driver has its own list in /proc/driver/nvidia/gpus, by PCI address, and
 * nodes of its own; on servers it is often the only list. What both know is one GPU, with the nodes
 * of both. Names come from NVIDIA's list or from pci.ids.
 */
#include "gpu_list.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "gpu_select.h"
#include "gpu_virgl.h"

#define NVIDIA_GPUS "/proc/driver/nvidia/gpus"

static const char *const pci_ids[] = { "/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids" };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "0000:01:00.0" */
static bool is_pci_address(const char *text)
{
	unsigned int domain, bus, slot, function;
	int end = 0;

	return sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &end) == 4 &&
	       !text[end] && end == 12;
}

/* The first line of a small file, "" when it cannot be read. */
static void read_line(const char *root, const char *path, char *line, size_t size)
{
	char full[PATH_MAX];
	FILE *f;

	line[0] = 0;
	snprintf(full, sizeof(full), "%s%s", root, path);
	f = fopen(full, "re");
	if (!f)
		return;
	if (!fgets(line, (int)size, f))
		line[0] = 0;
	fclose(f);
	line[strcspn(line, "\n")] = 0;
}

static struct gpu_host *list_add(struct gpu_list *list, struct error **err)
{
	struct gpu_host *grown = reallocarray(list->gpus, list->count + 1, sizeof(*grown));

	if (!grown) {
		error_set(err, ENOMEM, "cannot list the GPUs");
		return NULL;
	}
	list->gpus = grown;
	memset(&grown[list->count], 0, sizeof(*grown));
	return &grown[list->count++];
}

static void add_node(struct gpu_host *gpu, const char *path, dev_t rdev)
{
	struct gpu_host_node *node = &gpu->nodes[gpu->num_nodes];

	if (gpu->num_nodes == GPU_NODES_MAX || strlen(path) >= sizeof(node->path))
		return;
	strcpy(node->path, path);
	node->rdev = rdev;
	gpu->num_nodes++;
}

/* The names that pci.ids has for "10de" and "2335"; false when it has none for the device. */
static bool pci_name_in(const char *path, const char *vendor, const char *device, char *out,
			size_t size)
{
	char line[256], maker[128] = "";
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (isxdigit((unsigned char)line[0])) {
			if (maker[0])
				break; /* the next vendor: no such device */
			if (!strncmp(line, vendor, 4) && strlen(line) > 6)
				snprintf(maker, sizeof(maker), "%.60s", line + 6);
		} else if (maker[0] && line[0] == '\t' && !strncmp(line + 1, device, 4) &&
			   strlen(line) > 7) {
			snprintf(out, size, "%s %.60s", maker, line + 7);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

static void name_by_pci(const char *root, struct gpu_host *gpu)
{
	char path[128], vendor[16], device[16], ids[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor", gpu->pci);
	read_line(root, path, vendor, sizeof(vendor));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/device", gpu->pci);
	read_line(root, path, device, sizeof(device));
	if (strlen(vendor) != 6 || strlen(device) != 6)
		return;
	for (size_t i = 0; i < sizeof(pci_ids) / sizeof(*pci_ids); i++) {
		snprintf(ids, sizeof(ids), "%s%s", root, pci_ids[i]);
		if (pci_name_in(ids, vendor + 2, device + 2, gpu->name, sizeof(gpu->name)))
			return;
	}
	snprintf(gpu->name, sizeof(gpu->name), "PCI device %s:%s", vendor + 2, device + 2);
}

static void driver_of(struct gpu_host *gpu)
{
	char link[PATH_MAX], target[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "%s/driver", gpu->device);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	snprintf(gpu->driver, sizeof(gpu->driver), "%.60s", n > 0 ? base_name(target) : "unknown");
}

/* One entry of /sys/class/drm: "card0" or "renderD128", not a connector. */
static int add_drm(const char *root, const char *entry, struct gpu_list *list, struct error **err)
{
	char path[PATH_MAX], device[PATH_MAX], number[32], node[64];
	struct gpu_host *gpu = NULL;
	unsigned int major, minor;

	if (strchr(entry, '-') || strlen(entry) > 32)
		return 0;
	snprintf(path, sizeof(path), "/sys/class/drm/%s/dev", entry);
	read_line(root, path, number, sizeof(number));
	snprintf(path, sizeof(path), "%s/sys/class/drm/%s/device", root, entry);
	if (sscanf(number, "%u:%u", &major, &minor) != 2 || !realpath(path, device) ||
	    strlen(device) >= sizeof(gpu->device))
		return 0;
	for (size_t i = 0; i < list->count && !gpu; i++)
		if (!strcmp(list->gpus[i].device, device))
			gpu = &list->gpus[i];
	if (!gpu) {
		gpu = list_add(list, err);
		if (!gpu)
			return -1;
		strcpy(gpu->device, device);
		driver_of(gpu);
		if (is_pci_address(base_name(device))) {
			strcpy(gpu->pci, base_name(device));
			name_by_pci(root, gpu);
		}
	}
	snprintf(node, sizeof(node), "/dev/dri/%s", entry);
	add_node(gpu, node, makedev(major, minor));
	return 0;
}

/* Calls @fn with every name in a directory, in no order; a missing one is an empty one. */
static int each_entry(const char *root, const char *path, struct gpu_list *list,
		      int (*fn)(const char *root, const char *entry, struct gpu_list *list,
				struct error **err),
		      struct error **err)
{
	char full[PATH_MAX];
	struct dirent *entry;
	int r = 0;
	DIR *dir;

	snprintf(full, sizeof(full), "%s%s", root, path);
	dir = opendir(full);
	while (dir && !r && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = fn(root, entry->d_name, list, err);
	if (dir)
		closedir(dir);
	return r;
}

/* "Model: \t\t NVIDIA H200" */
static bool take_field(const char *line, const char *key, char *out, size_t size)
{
	const size_t len = strlen(key);

	if (strncmp(line, key, len) || line[len] != ':')
		return false;
	line += len + 1;
	line += strspn(line, " \t");
	snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

static int add_nvidia(const char *root, const char *entry, struct gpu_list *list,
		      struct error **err)
{
	char path[PATH_MAX], line[256], number[16] = "", node[64];
	struct gpu_host *gpu = NULL;
	FILE *f;

	if (!is_pci_address(entry))
		return 0;
	for (size_t i = 0; i < list->count && !gpu; i++)
		if (!strcmp(list->gpus[i].pci, entry))
			gpu = &list->gpus[i];
	if (!gpu)
		gpu = list_add(list, err);
	if (!gpu)
		return -1;
	strcpy(gpu->pci, entry);
	strcpy(gpu->driver, "nvidia");
	snprintf(path, sizeof(path), "%s" NVIDIA_GPUS "/%s/information", root, entry);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!take_field(line, "Model", gpu->name, sizeof(gpu->name)) &&
		    !take_field(line, "GPU UUID", gpu->uuid, sizeof(gpu->uuid)))
			take_field(line, "Device Minor", number, sizeof(number));
	if (f)
		fclose(f);
	if (!isdigit((unsigned char)number[0]))
		return 0;
	snprintf(node, sizeof(node), "/dev/nvidia%lu", strtoul(number, NULL, 10));
	add_node(gpu, node, makedev(GPU_NVIDIA_MAJOR, (unsigned int)strtoul(number, NULL, 10)));
	return 0;
}

/* By PCI address; what has none comes last, by its first node. */
static int compare_gpus(const void *a, const void *b)
{
	const struct gpu_host *x = a, *y = b;
	int r = (!x->pci[0]) - (!y->pci[0]);

	if (!r)
		r = strcmp(x->pci, y->pci);
	return r ? r : strcmp(x->nodes[0].path, y->nodes[0].path);
}

static int compare_nodes(const void *a, const void *b)
{
	return strcmp(((const struct gpu_host_node *)a)->path,
		      ((const struct gpu_host_node *)b)->path);
}

int gpu_list(const char *root, struct gpu_list *list, struct error **err)
{
	const int virgl = gpu_virgl_version(root);

	*list = (struct gpu_list){ 0 };
	if (each_entry(root, "/sys/class/drm", list, add_drm, err) < 0 ||
	    each_entry(root, NVIDIA_GPUS, list, add_nvidia, err) < 0) {
		gpu_list_release(list);
		return -1;
	}
	for (size_t i = 0; i < list->count; i++) {
		struct gpu_host *gpu = &list->gpus[i];

		qsort(gpu->nodes, gpu->num_nodes, sizeof(gpu->nodes[0]), compare_nodes);
		if (!gpu->name[0])
			snprintf(gpu->name, sizeof(gpu->name), "%.100s", base_name(gpu->device));
		gpu->icd = gpu_driver_manifests(root, gpu->driver, gpu->why, sizeof(gpu->why));
		if (gpu->icd && !gpu_virgl_serves(virgl, gpu->driver, gpu->why, sizeof(gpu->why))) {
			free(gpu->icd);
			gpu->icd = NULL;
		}
	}
	if (list->count)
		qsort(list->gpus, list->count, sizeof(*list->gpus), compare_gpus);
	list->software = gpu_driver_manifests(root, "software", NULL, 0);
	return 0;
}

void gpu_list_release(struct gpu_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->gpus[i].icd);
	free(list->gpus);
	free(list->software);
	*list = (struct gpu_list){ 0 };
}

static bool gpu_is(const struct gpu_host *gpu, const char *wanted)
{
	/* nvidia-smi writes a domain with eight digits. */
	if (strlen(wanted) == 16 && !strncmp(wanted, "0000", 4) && is_pci_address(wanted + 4))
		wanted += 4;
	return (gpu->pci[0] && !strcasecmp(gpu->pci, wanted)) ||
	       (gpu->pci[0] && !strncmp(gpu->pci, "0000:", 5) &&
		!strcasecmp(gpu->pci + 5, wanted)) ||
	       (gpu->uuid[0] && !strcasecmp(gpu->uuid, wanted));
}

/* How well a name is meant: 3 all of it, 2 whole words ("L4" beside "L40"), 1 a part, 0 not. */
static int name_match(const char *name, const char *wanted)
{
	const size_t len = strlen(wanted);
	int best = 0;

	if (!strcasecmp(name, wanted))
		return 3;
	for (const char *at = name; (at = strcasestr(at, wanted)); at++) {
		const bool begins = at == name || !isalnum((unsigned char)at[-1]);

		if (begins && !isalnum((unsigned char)at[len]))
			return 2;
		best = 1;
	}
	return best;
}

static const struct gpu_host *find_by_name(const struct gpu_list *list, const char *wanted,
					   struct error **err)
{
	const struct gpu_host *found = NULL;
	bool several = false;
	int best = 0;

	for (size_t i = 0; i < list->count; i++) {
		int match = name_match(list->gpus[i].name, wanted);

		if (!match || match < best)
			continue;
		several = match == best;
		best = match;
		found = &list->gpus[i];
	}
	if (several) {
		error_set(err, 0, "annotation krun-gpu.device: \"%s\" is part of the name of more "
			  "than one GPU: say its PCI address (krun-gpu gpus)", wanted);
		return NULL;
	}
	if (!found)
		error_set(err, 0, "annotation krun-gpu.device: the host has no GPU \"%s\": krun-gpu "
			  "gpus lists those it has", wanted);
	return found;
}

const struct gpu_host *gpu_list_find(const struct gpu_list *list, const char *wanted,
				     struct error **err)
{
	char *end;
	unsigned long index;

	for (size_t i = 0; i < list->count; i++)
		if (gpu_is(&list->gpus[i], wanted))
			return &list->gpus[i];
	index = strtoul(wanted, &end, 10);
	if (isdigit((unsigned char)wanted[0]) && !*end) {
		if (index < list->count)
			return &list->gpus[index];
		error_set(err, 0, "annotation krun-gpu.device: there is no GPU %s, the host has %zu",
			  wanted, list->count);
		return NULL;
	}
	if (!wanted[0]) {
		error_set(err, 0, "annotation krun-gpu.device is empty");
		return NULL;
	}
	return find_by_name(list, wanted, err);
}
