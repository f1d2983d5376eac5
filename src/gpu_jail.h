/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_GPU_JAIL_H
#define SRC_GPU_JAIL_H

/* Starts virgl_render_server, the one process that may touch the GPU, with no more in reach. */

#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"

struct error;
struct gpu_choice;

struct gpu_jail {
	const struct gpu_choice *choice;
	int server_fd;	   /* its end of a SOCK_SEQPACKET socketpair; stays the caller's */
	int watch_fd;	   /* where the worker asks after it (base/gpu_watch_proto.h), or -1 */
	int log_fd;	   /* what becomes its standard error */
	enum log_format log_format;
	int cgroup_fd;	   /* a cgroup v2 directory to start it in, or -1 */
	uint64_t memory;   /* bytes that the guest may map; 0: no limit. In all it may have twice that,
			    * host-visible, and mapped or not */
	const char *server; /* the program; NULL: where virglrenderer installs it */
	const char *layer;  /* directory of the Vulkan layer; NULL: the installed one */
};

/** gpu_render_server_path() - where virglrenderer installed it, or NULL */
const char *gpu_render_server_path(void);

/**
 * gpu_render_server_spawn() - start the render server
 * @pid: out; the server's parent, a child of the caller, and the first process of a pid namespace:
 *       when it or the server ends, all of that end
 *
 * It ends by itself when the other end of @server_fd is closed. Returns when the program has been
 * executed; an error names the step in the jail that failed.
 */
int gpu_render_server_spawn(const struct gpu_jail *jail, pid_t *pid, struct error **err);

#endif
