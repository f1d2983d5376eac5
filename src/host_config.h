/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include <stdbool.h>

#include "oci/arena.h"

struct error;

#define HOST_CONFIG_FILE SYSCONFDIR "/krun-gpu/krun-gpu.conf"

/**
 * struct host_config - what the host's administrator says, in HOST_CONFIG_FILE
 *
 * Paths on the host come from here alone: annotations are the container creator's.
 */
struct host_config {
	struct arena arena;	 /* holds the strings */
	const char *kernel;	 /* guest kernel: vmlinux or bzImage; NULL: the installed one */
	const char *kernel_options; /* added to the guest kernel's command line; NULL: none */
	const char *fs_server;	 /* a virtiofsd to use instead of krun-gpu-fs; NULL: ours */
	const char *render_server; /* virgl_render_server; NULL: where virglrenderer installs it */
	const char *driver_bundle; /* drivers to offer to images without; NULL: the installed ones */
	bool guest_console;	 /* keep the guest kernel's console in ROOT/ID/console.log */
	bool software_gpu;	 /* a GPU may be lavapipe */
};

/**
 * host_config_load() - read `key = value` lines; '#' begins a comment
 * @path: a file that is not there is an empty one
 * @cfg:  must be zero; release it whatever the answer
 *
 * Return: 0, or -1 with an error that names the line.
 */
int host_config_load(const char *path, struct host_config *cfg, struct error **err);

void host_config_release(struct host_config *cfg);

#endif
