/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_WATCH_H
#define SRC_GPU_WATCH_H

/* The first process of the render server's jail, the server's parent (gpu_watch.c). */

#include <sys/types.h>

/**
 * gpu_watch_run() - look after the server until it ends; never returns
 * @server: the server, a child
 * @sock:   to krun-gpu-gpu (base/gpu_watch_proto.h), or -1
 */
void gpu_watch_run(pid_t server, int sock) __attribute__((noreturn));

#endif
