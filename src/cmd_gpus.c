/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "gpu_list.h"
#include "oci/json_out.h"

static int gpus_option(void *data, int key, const char *value, struct error **err)
{
	(void)key;
	if (strcmp(value, "json") && strcmp(value, "table"))
		return error_set(err, 0, "--format: expected table or json, not %s", value);
	*(bool *)data = !strcmp(value, "json");
	return 0;
}

static void json_optional(struct json_out *out, const char *key, const char *value)
{
	if (value && *value)
		json_out_string(out, key, value);
}

static void json_gpu(struct json_out *out, const struct gpu_host *gpu, size_t index)
{
	json_out_open(out, NULL);
	json_out_uint(out, "index", index);
	json_out_string(out, "name", gpu->name);
	json_optional(out, "pci", gpu->pci);
	json_optional(out, "uuid", gpu->uuid);
	json_out_string(out, "driver", gpu->driver);
	json_out_open_list(out, "nodes");
	for (size_t i = 0; i < gpu->num_nodes; i++)
		json_out_string(out, NULL, gpu->nodes[i].path);
	json_out_close_list(out);
	json_out_bool(out, "usable", gpu->icd);
	json_optional(out, "vulkanDriver", gpu->icd);
	json_optional(out, "why", gpu->why);
	json_out_close(out);
}

static int gpus_json(const struct gpu_list *list, struct error **err)
{
	cleanup_free char *text = NULL;
	struct json_out out;

	json_out_begin(&out, true);
	json_out_open(&out, NULL);
	json_out_open_list(&out, "gpus");
	for (size_t i = 0; i < list->count; i++)
		json_gpu(&out, &list->gpus[i], i);
	json_out_close_list(&out);
	json_out_open(&out, "software");
	json_out_bool(&out, "usable", list->software);
	json_optional(&out, "vulkanDriver", list->software);
	json_out_close(&out);
	json_out_close(&out);
	text = json_out_end(&out);
	if (!text)
		return error_set(err, ENOMEM, "cannot write the list");
	fputs(text, stdout);
	return 0;
}

static void gpus_table(const struct gpu_list *list)
{
	printf("%-9s %-13s %-11s %s\n", "INDEX", "PCI", "DRIVER", "NAME, NODES, AND WHAT IT CAN DO");
	for (size_t i = 0; i < list->count; i++) {
		const struct gpu_host *gpu = &list->gpus[i];

		printf("%-9zu %-13s %-11s %s\n", i, gpu->pci[0] ? gpu->pci : "-", gpu->driver,
		       gpu->name);
		printf("%36s", "");
		for (size_t n = 0; n < gpu->num_nodes; n++)
			printf("%s%s", n ? " " : "", gpu->nodes[n].path);
		if (gpu->uuid[0])
			printf(" %s", gpu->uuid);
		printf("\n%36s%s%s\n", "", gpu->icd ? "Vulkan in containers" : "not in containers: ",
		       gpu->icd ? "" : gpu->why);
	}
	printf("%-9s %-13s %-11s %s\n", "software", "-", "-",
	       list->software ? "lavapipe, on the processor" :
				"lavapipe is not installed (Debian package: mesa-vulkan-drivers)");
}

int cmd_gpus(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "format", 'f', "FORMAT", "table or json" },
		{ 0 },
	};
	static const struct command cmd = {
		"gpus", "", "List the host's GPUs. The value of the annotation krun-gpu.device is an "
		"index, a PCI address, a UUID or a part of a name from here, or software.",
		options, 0, 0,
	};
	struct gpu_list list;
	bool json = false;
	int first = command_parse(&cmd, argc, argv, gpus_option, &json, err);
	int r = 0;

	(void)app;
	if (first <= 0)
		return first;
	if (gpu_list("", &list, err) < 0)
		return -1;
	if (json)
		r = gpus_json(&list, err);
	else
		gpus_table(&list);
	gpu_list_release(&list);
	if (r < 0)
		return -1;
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}
