/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_CDI_H
#define SRC_GPU_CDI_H

/* A CDI specification, by which engines know the host's GPUs as krun-gpu/gpu=0 and so on. */

struct error;
struct gpu_list;

#define GPU_CDI_FILE "/etc/cdi/krun-gpu.json"

/** gpu_cdi_text() - the specification, malloc'ed: a device for each usable GPU, and "all" */
char *gpu_cdi_text(const struct gpu_list *list, struct error **err);

/** gpu_cdi_write() - put it at @path, whole or not at all; its directory is made when missing */
int gpu_cdi_write(const struct gpu_list *list, const char *path, struct error **err);

#endif
