/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_VIRGL_H
#define SRC_GPU_VIRGL_H

/* Which virglrenderer the host has, and what that can serve. */

#include <stdbool.h>
#include <stddef.h>

#define GPU_VIRGL(major, minor) ((major) * 100 + (minor))
#define GPU_VIRGL_OLD GPU_VIRGL(0, 0) /* older than 1.0 */
#define GPU_VIRGL_UNKNOWN (-1)	      /* its library is in none of the usual places */

/**
 * gpu_virgl_version() - by its library's name
 * @root: put before every path that is looked at: "" on a real host
 *
 * Return: GPU_VIRGL(), of which the newest is taken, GPU_VIRGL_OLD or GPU_VIRGL_UNKNOWN.
 */
int gpu_virgl_version(const char *root);

/**
 * gpu_virgl_serves() - can a virglrenderer of @version serve the Vulkan driver of @kernel?
 * @kernel: the kernel driver's name
 * @why:    what it would need, when it cannot
 *
 * Of a version that is not known it is assumed.
 */
bool gpu_virgl_serves(int version, const char *kernel, char *why, size_t size);

/* What its versions give, and where to have them from: lines to show. */
extern const char gpu_virgl_gives[];

#endif
