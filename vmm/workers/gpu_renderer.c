/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * virglrenderer's proxy talks to the render server over one SOCK_SEQPACKET socket, and to each
 * context's process over another that it receives when the context is created. It has no time
 * limits: a driver that hangs would hang the device, and with it the guest's process, beyond
 * killing. So every call is made under a timer. When it fires, the signal handler shuts down the
 * socket the call waits on: the library's receive ends, the call fails, the caller destroys the
 * context, and the server kills the context's process. When the same call is still stuck one grace
 * period later (a process in an uninterruptible wait keeps the other end open), this process ends;
 * the VMM sees the device die.
 *
 * Only this file includes virglrenderer.h.
 */
#include "vmm/workers/gpu_renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <virglrenderer.h>

#include "base/error.h"
#include "base/log.h"

#define CAPSET_VENUS 4
#define GRACE_SECONDS 5
#define WATCHDOG_SIGNAL SIGALRM

/* What the signal handler looks at. */
static struct {
	timer_t timer;
	unsigned int timeout_s;
	int server_sock;
	volatile sig_atomic_t sock;  /* what the call in progress waits on */
	volatile sig_atomic_t fired; /* how often, during this call */
} watchdog = { .server_sock = -1, .sock = -1 };

static struct {
	int server_fd; /* until the library takes it */
	void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence);
	void *data;
} renderer = { .server_fd = -1 };

static void watchdog_fire(int signo)
{
	static const char dead[] = "krun-gpu-gpu: the render server hangs and cannot be cut off\n";
	int saved = errno;

	(void)signo;
	if (watchdog.fired++) {
		(void)!write(STDERR_FILENO, dead, sizeof(dead) - 1);
		_exit(1);
	}
	shutdown((int)watchdog.sock, SHUT_RDWR);
	errno = saved;
}

static int watchdog_init(unsigned int timeout_s, struct error **err)
{
	struct sigaction sa = { .sa_handler = watchdog_fire, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCHDOG_SIGNAL };

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	watchdog.timeout_s = timeout_s;
	if (sigaction(WATCHDOG_SIGNAL, &sa, NULL) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, &watchdog.timer) < 0)
		return error_set(err, errno, "cannot make the render server's watchdog");
	return 0;
}

static void call_begin(int sock)
{
	const struct itimerspec when = { .it_value.tv_sec = watchdog.timeout_s,
					 .it_interval.tv_sec = GRACE_SECONDS };

	watchdog.sock = sock >= 0 ? sock : watchdog.server_sock;
	watchdog.fired = 0;
	timer_settime(watchdog.timer, 0, &when, NULL);
}

static void call_end(const char *what)
{
	const struct itimerspec never = { 0 };

	timer_settime(watchdog.timer, 0, &never, NULL);
	if (watchdog.fired)
		log_error("the render server did not answer for %u s (%s): cut off",
			  watchdog.timeout_s, what);
}

static void renderer_write_fence(void *cookie, uint32_t fence)
{
	/* Only for virglrenderer's own fences, which do not exist without OpenGL. */
	(void)cookie;
	(void)fence;
}

static void renderer_write_context_fence(void *cookie, uint32_t ctx, uint32_t ring, uint64_t fence)
{
	(void)cookie;
	renderer.retired(renderer.data, ctx, ring, fence);
}

static int renderer_get_server_fd(void *cookie, uint32_t version)
{
	int fd = renderer.server_fd;

	(void)cookie;
	if (version != 0)
		return -1;
	renderer.server_fd = -1;
	return fd;
}

static struct virgl_renderer_callbacks renderer_callbacks = {
	.version = 3,
	.write_fence = renderer_write_fence,
	.write_context_fence = renderer_write_context_fence,
	.get_server_fd = renderer_get_server_fd,
};

int gpu_renderer_init(int server_fd, unsigned int timeout_s,
		      void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence),
		      void *data, struct error **err)
{
	const int flags = VIRGL_RENDERER_VENUS | VIRGL_RENDERER_NO_VIRGL |
			  VIRGL_RENDERER_RENDER_SERVER | VIRGL_RENDERER_THREAD_SYNC |
			  VIRGL_RENDERER_ASYNC_FENCE_CB;
	int r, type;
	socklen_t len = sizeof(type);

	/* The library would start a server of its own rather than say that this is no socket. */
	if (getsockopt(server_fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return error_set(err, 0, "the render server's fd is no SOCK_SEQPACKET socket");
	if (watchdog_init(timeout_s, err) < 0)
		return -1;
	watchdog.server_sock = server_fd;
	renderer.server_fd = server_fd;
	renderer.retired = retired;
	renderer.data = data;
	call_begin(server_fd);
	r = virgl_renderer_init(&renderer, flags, &renderer_callbacks);
	call_end("start");
	if (r)
		return error_set(err, 0, "virglrenderer cannot be started (%d)", r);
	return 0;
}

size_t gpu_renderer_capset(uint32_t *version, void *buf, size_t size)
{
	uint32_t max_size = 0;

	virgl_renderer_get_cap_set(CAPSET_VENUS, version, &max_size);
	if (buf && max_size && size >= max_size)
		virgl_renderer_fill_caps(CAPSET_VENUS, *version, buf);
	return max_size;
}

/*
 * The library does not tell a context's socket. It is the first descriptor that creating a context
 * makes, hence the lowest free one: no other thread of this process opens any.
 */
static int lowest_free_fd(void)
{
	int fd = fcntl(watchdog.server_sock, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd;
}

static bool is_seqpacket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

int gpu_renderer_context_create(struct gpu_renderer_context *ctx, uint32_t id, const char *name,
				uint32_t name_len)
{
	int fd = lowest_free_fd();
	int r;

	call_begin(-1);
	r = virgl_renderer_context_create_with_flags(id, CAPSET_VENUS, name_len, name);
	call_end("new context");
	if (r)
		return -EIO;
	ctx->id = id;
	ctx->sock = is_seqpacket(fd) ? fd : -1;
	return 0;
}

void gpu_renderer_context_destroy(struct gpu_renderer_context *ctx)
{
	call_begin(-1);
	virgl_renderer_context_destroy(ctx->id);
	call_end("end of a context");
	ctx->sock = -1;
}

int gpu_renderer_submit(struct gpu_renderer_context *ctx, void *cmd, size_t size)
{
	int r;

	call_begin(ctx->sock);
	r = virgl_renderer_submit_cmd(cmd, (int)ctx->id, (int)(size / 4));
	call_end("submission");
	return r ? -EIO : 0;
}

int gpu_renderer_fence(struct gpu_renderer_context *ctx, uint32_t ring, uint64_t fence)
{
	int r;

	call_begin(ctx->sock);
	r = virgl_renderer_context_create_fence(ctx->id, VIRGL_RENDERER_FENCE_FLAG_MERGEABLE, ring,
						fence);
	call_end("fence");
	return r ? -EIO : 0;
}

int gpu_renderer_blob_create(struct gpu_renderer_context *ctx, uint32_t res, uint64_t blob_id,
			     uint64_t size, uint32_t flags)
{
	const struct virgl_renderer_resource_create_blob_args args = {
		.res_handle = res,
		.ctx_id = ctx->id,
		.blob_mem = VIRGL_RENDERER_BLOB_MEM_HOST3D,
		.blob_flags = flags,
		.blob_id = blob_id,
		.size = size,
	};
	int r;

	call_begin(ctx->sock);
	r = virgl_renderer_resource_create_blob(&args);
	call_end("blob");
	return r ? -EIO : 0;
}

void gpu_renderer_attach(struct gpu_renderer_context *ctx, uint32_t res)
{
	call_begin(ctx->sock);
	virgl_renderer_ctx_attach_resource((int)ctx->id, (int)res);
	call_end("attach");
}

void gpu_renderer_detach(struct gpu_renderer_context *ctx, uint32_t res)
{
	call_begin(ctx->sock);
	virgl_renderer_ctx_detach_resource((int)ctx->id, (int)res);
	call_end("detach");
}

int gpu_renderer_export(uint32_t res, enum gpu_fd_type *type)
{
	uint32_t fd_type = 0;
	int fd = -1;

	if (virgl_renderer_resource_export_blob(res, &fd_type, &fd) || fd < 0)
		return -EINVAL;
	switch (fd_type) {
	case VIRGL_RENDERER_BLOB_FD_TYPE_DMABUF:
		*type = GPU_FD_DMABUF;
		return fd;
	case VIRGL_RENDERER_BLOB_FD_TYPE_SHM:
		*type = GPU_FD_SHM;
		return fd;
	case VIRGL_RENDERER_BLOB_FD_TYPE_OPAQUE:
		*type = GPU_FD_OPAQUE;
		return fd;
	default:
		close(fd);
		return -EINVAL;
	}
}

uint32_t gpu_renderer_map_info(uint32_t res)
{
	uint32_t info = 0;

	if (virgl_renderer_resource_get_map_info((int)res, &info))
		return VIRGL_RENDERER_MAP_CACHE_NONE;
	return info & VIRGL_RENDERER_MAP_CACHE_MASK;
}

void gpu_renderer_unref(uint32_t res)
{
	call_begin(-1);
	virgl_renderer_resource_unref(res);
	call_end("end of a resource");
}
