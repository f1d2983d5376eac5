/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch_internal.h"
#include "spawn.h"

#ifdef HAVE_GPU

#include "gpu_jail.h"
#include "oci/arena.h"

#define GPU_PROGRAM LIBEXECDIR "/krun-gpu-gpu"
#define GPU_VHOST_USER_FD 3
#define GPU_RENDER_SERVER_FD 4

int launch_gpu_choose(struct launch *l, struct error **err)
{
	struct gpu_request req = {
		.count = l->plan.num_gpu_nodes, .software_gpu = l->app->host.software_gpu,
		.annotation = oci_spec_annotation(&l->c.spec, "krun-gpu.device"),
	};
	struct gpu_node *nodes;

	if (!l->plan.gpu)
		return 0;
	nodes = arena_alloc(&l->c.spec.arena, req.count, sizeof(*nodes));
	if (!nodes)
		return error_set(err, ENOMEM, "cannot choose a GPU");
	for (size_t i = 0; i < req.count; i++)
		nodes[i] = (struct gpu_node){ l->plan.gpu_nodes[i].path,
					      makedev(l->plan.gpu_nodes[i].major,
						      l->plan.gpu_nodes[i].minor) };
	req.nodes = nodes;
	return gpu_select(&req, "", &l->gpu, err);
}

static int spawn_render_server(struct launch *l, int server_fd, struct error **err)
{
	const struct gpu_jail jail = { .choice = &l->gpu, .server_fd = server_fd,
				       .log_fd = l->app->log_fd, .cgroup_fd = l->cgroup,
				       .server = l->app->host.render_server };
	pid_t pid;

	if (gpu_render_server_spawn(&jail, &pid, err) < 0)
		return -1;
	l->c.state.workers[l->c.state.num_workers++] = process_ref_of(pid);
	return 0;
}

static int spawn_worker(struct launch *l, int vhost_user, int render_server, struct error **err)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	char window[64], bytes[64], level[64];
	const char *argv[] = { GPU_PROGRAM, "--vhost-user-fd=3", "--render-server-fd=4", window, bytes,
			       level, l->app->log_format == LOG_FORMAT_JSON ? "--log-format=json" :
									      "--log-format=text",
			       NULL };
	struct spawn s = { .argv = argv, .netns_fd = -1, .new_session = true };

	snprintf(window, sizeof(window), "--window=%llu", (unsigned long long)l->size.gpu_window);
	snprintf(bytes, sizeof(bytes), "--max-bytes=%llu", (unsigned long long)l->size.gpu_bytes);
	snprintf(level, sizeof(level), "--log-level=%s", levels[l->app->log_level]);
	s.fds[s.num_fds++] = (struct spawn_fd){ vhost_user, GPU_VHOST_USER_FD };
	s.fds[s.num_fds++] = (struct spawn_fd){ render_server, GPU_RENDER_SERVER_FD };
	if (launch_spawn(l, &s, &l->c.state.workers[l->c.state.num_workers], err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

int launch_gpu(struct launch *l, struct error **err)
{
	cleanup_close int vhost_user = -1, client = -1, server = -1;
	int device[2], render[2];

	if (!l->size.gpu_window)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, device) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->vmm_fds[VMM_FD_GPU] = device[0];
	vhost_user = device[1];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, render) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	client = render[0];
	server = render[1];
	if (spawn_render_server(l, server, err) < 0)
		return -1;
	return spawn_worker(l, vhost_user, client, err);
}

#else

int launch_gpu_choose(struct launch *l, struct error **err)
{
	if (!l->plan.gpu)
		return 0;
	return error_set(err, 0, "%s: this krun-gpu was built without GPU support",
			 l->plan.num_gpu_nodes ? l->plan.gpu_nodes[0].path : "krun-gpu.device");
}

int launch_gpu(struct launch *l, struct error **err)
{
	(void)l;
	(void)err;
	return 0;
}

#endif
