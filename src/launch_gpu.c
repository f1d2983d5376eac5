/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/gpu_stats_proto.h"
#include "launch_internal.h"
#include "spawn.h"

#ifdef HAVE_GPU

#include "gpu_jail.h"
#include "oci/arena.h"

#define GPU_PROGRAM LIBEXECDIR "/krun-gpu-gpu"
#define GPU_VHOST_USER_FD 3
#define GPU_RENDER_SERVER_FD 4
#define GPU_WATCH_FD 5
#define GPU_STATS_FD 6

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

static int spawn_render_server(struct launch *l, int server_fd, int watch_fd, struct error **err)
{
	const struct gpu_jail jail = { .choice = &l->gpu, .server_fd = server_fd,
				       .watch_fd = watch_fd, .log_fd = l->app->log_fd,
				       .log_format = l->app->log_format, .cgroup_fd = l->cgroup,
				       .memory = l->size.gpu_bytes,
				       .server = l->app->host.render_server };
	pid_t pid;

	if (gpu_render_server_spawn(&jail, &pid, err) < 0)
		return -1;
	l->c.state.workers[l->c.state.num_workers++] = process_ref_of(pid);
	return 0;
}

static int spawn_worker(struct launch *l, int vhost_user, int render_server, int watch, int stats,
			struct error **err)
{
	static const char *const levels[] = { "error", "warning", "info", "debug" };
	char window[64], bytes[64], level[64];
	const char *argv[] = { GPU_PROGRAM, "--vhost-user-fd=3", "--render-server-fd=4",
			       "--watch-fd=5", "--stats-fd=6", window, bytes, level, l->app->log_format == LOG_FORMAT_JSON ? "--log-format=json" :
									      "--log-format=text",
			       NULL };
	struct spawn s = { .argv = argv, .netns_fd = -1, .new_session = true };

	snprintf(window, sizeof(window), "--window=%llu", (unsigned long long)l->size.gpu_window);
	snprintf(bytes, sizeof(bytes), "--max-bytes=%llu", (unsigned long long)l->size.gpu_bytes);
	snprintf(level, sizeof(level), "--log-level=%s", levels[l->app->log_level]);
	s.fds[s.num_fds++] = (struct spawn_fd){ vhost_user, GPU_VHOST_USER_FD };
	s.fds[s.num_fds++] = (struct spawn_fd){ render_server, GPU_RENDER_SERVER_FD };
	s.fds[s.num_fds++] = (struct spawn_fd){ watch, GPU_WATCH_FD };
	s.fds[s.num_fds++] = (struct spawn_fd){ stats, GPU_STATS_FD };
	if (launch_spawn(l, &s, &l->c.state.workers[l->c.state.num_workers], err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

/* What the worker counts in, for `stats`. It goes with the state directory. */
static int open_stats(const struct launch *l, struct error **err)
{
	int fd = openat(l->c.dirfd, GPU_STATS_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, GPU_STATS_SIZE) == 0)
		return fd;
	error_set(err, errno, "cannot make %s", GPU_STATS_FILE);
	if (fd >= 0)
		close(fd);
	return -1;
}

int launch_gpu(struct launch *l, struct error **err)
{
	cleanup_close int vhost_user = -1, client = -1, server = -1, asks = -1, answers = -1;
	cleanup_close int stats = -1;
	int device[2], render[2], watch[2];

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
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, watch) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	asks = watch[0];
	answers = watch[1];
	if (spawn_render_server(l, server, answers, err) < 0)
		return -1;
	stats = open_stats(l, err);
	return stats < 0 ? -1 : spawn_worker(l, vhost_user, client, asks, stats, err);
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
