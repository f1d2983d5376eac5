/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gpu_cdi.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "gpu_list.h"
#include "oci/json_out.h"

static void cdi_nodes(struct json_out *out, const struct gpu_host *gpu)
{
	for (size_t i = 0; i < gpu->num_nodes; i++) {
		json_out_open(out, NULL);
		json_out_string(out, "path", gpu->nodes[i].path);
		json_out_close(out);
	}
}

static void cdi_device(struct json_out *out, const char *name, const struct gpu_host *first,
		       size_t count)
{
	json_out_open(out, NULL);
	json_out_string(out, "name", name);
	json_out_open(out, "containerEdits");
	json_out_open_list(out, "deviceNodes");
	for (size_t i = 0; i < count; i++)
		if (first[i].icd)
			cdi_nodes(out, &first[i]);
	json_out_close_list(out);
	json_out_close(out);
	json_out_close(out);
}

char *gpu_cdi_text(const struct gpu_list *list, struct error **err)
{
	struct json_out out;
	size_t usable = 0;
	char *text;

	for (size_t i = 0; i < list->count; i++)
		usable += list->gpus[i].icd != NULL;
	if (!usable) {
		error_set(err, 0, "there is no GPU for a CDI specification: krun-gpu gpus says why");
		return NULL;
	}
	json_out_begin(&out, true);
	json_out_open(&out, NULL);
	/* The first version in which a device's name may begin with a digit. */
	json_out_string(&out, "cdiVersion", "0.5.0");
	json_out_string(&out, "kind", "krun-gpu/gpu");
	json_out_open_list(&out, "devices");
	for (size_t i = 0; i < list->count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%zu", i);
		if (list->gpus[i].icd)
			cdi_device(&out, name, &list->gpus[i], 1);
	}
	cdi_device(&out, "all", list->gpus, list->count);
	json_out_close_list(&out);
	json_out_close(&out);
	text = json_out_end(&out);
	if (!text)
		error_set(err, ENOMEM, "cannot write a CDI specification");
	return text;
}

int gpu_cdi_write(const struct gpu_list *list, const char *path, struct error **err)
{
	cleanup_free char *text = gpu_cdi_text(list, err);
	char dir[PATH_MAX], part[PATH_MAX];
	cleanup_close int fd = -1;
	size_t len;

	if (!text)
		return -1;
	if (snprintf(part, sizeof(part), "%s.part", path) >= (int)sizeof(part))
		return error_set(err, ENAMETOOLONG, "%s", path);
	snprintf(dir, sizeof(dir), "%s", path);
	if (mkdir(dirname(dir), 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "cannot make %s", dir);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	len = strlen(text);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 ||
	    rename(part, path) < 0)
		return error_set(err, errno, "cannot write %s", path);
	return 0;
}
