/* SPDX-License-Identifier: GPL-2.0-or-later */
/* krun-gpu-gpu: the virtio-gpu device of one container, as a vhost-user back end. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/workers/gpu_device.h"
#include "vmm/workers/gpu_renderer.h"
#include "vmm/workers/gpu_sandbox.h"

struct gpu_options {
	int vhost_user_fd;
	int render_server_fd;
	int watch_fd;
	int stats_fd;
	uint64_t window;
	uint64_t max_bytes;
	unsigned int timeout_s;
	enum log_level log_level;
	enum log_format log_format;
};

static const char usage[] =
	"usage: krun-gpu-gpu --vhost-user-fd=N --render-server-fd=N [--watch-fd=N]\n"
	"                    [--stats-fd=N] [--window=BYTES] [--max-bytes=BYTES]\n"
	"                    [--timeout=SECONDS]\n"
	"                    [--log-level=LEVEL] [--log-format=text|json]\n"
	"Started by krun-gpu. The log goes to standard error.\n";

static int parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
			uint64_t *out, struct error **err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || *out < min || *out > max)
		return error_set(err, 0, "--%s: \"%s\" is no number from %llu to %llu", option,
				 text, (unsigned long long)min, (unsigned long long)max);
	return 0;
}

static int parse_log(struct gpu_options *o, int c, const char *text, struct error **err)
{
	int level;

	if (c == 'f') {
		if (strcmp(text, "json") && strcmp(text, "text"))
			return error_set(err, 0, "--log-format: \"%s\" is not text or json", text);
		o->log_format = !strcmp(text, "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
		return 0;
	}
	level = log_level_parse(text);
	if (level < 0)
		return error_set(err, 0, "--log-level: there is no level \"%s\"", text);
	o->log_level = (enum log_level)level;
	return 0;
}

static int parse_options(struct gpu_options *o, int argc, char **argv, struct error **err)
{
	static const struct option longs[] = {
		{ "vhost-user-fd", required_argument, NULL, 'v' },
		{ "render-server-fd", required_argument, NULL, 'r' },
		{ "watch-fd", required_argument, NULL, 'W' },
		{ "stats-fd", required_argument, NULL, 's' },
		{ "window", required_argument, NULL, 'w' },
		{ "max-bytes", required_argument, NULL, 'm' },
		{ "timeout", required_argument, NULL, 't' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "log-format", required_argument, NULL, 'f' },
		{ 0 },
	};
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", longs, &index)) != -1) {
		const uint64_t max = c == 'w' || c == 'm' ? INT64_MAX : c == 't' ? 86400 : INT_MAX;
		uint64_t n = 0;

		if (c == '?')
			return error_set(err, 0, "%s", usage);
		if (c == 'l' || c == 'f') {
			if (parse_log(o, c, optarg, err) < 0)
				return -1;
			continue;
		}
		if (parse_number(longs[index].name, optarg, c == 't', max, &n, err) < 0)
			return -1;
		if (c == 'v')
			o->vhost_user_fd = (int)n;
		else if (c == 'r')
			o->render_server_fd = (int)n;
		else if (c == 'W')
			o->watch_fd = (int)n;
		else if (c == 's')
			o->stats_fd = (int)n;
		else if (c == 'w')
			o->window = n;
		else if (c == 'm')
			o->max_bytes = n;
		else
			o->timeout_s = (unsigned int)n;
	}
	if (optind < argc || o->vhost_user_fd < 3 || o->render_server_fd < 3)
		return error_set(err, 0, "%s", usage);
	return 0;
}

/* Keeps the sockets, and has nothing else pass to whatever might come after. */
static int close_others(const struct gpu_options *o, struct error **err)
{
	int keep[4] = { o->vhost_user_fd, o->render_server_fd };
	size_t n = 2;

	if (o->watch_fd >= 0)
		keep[n++] = o->watch_fd;
	if (o->stats_fd >= 0)
		keep[n++] = o->stats_fd;
	if (fd_keep_only(keep, n) < 0 || fd_set_cloexec(o->vhost_user_fd, true) < 0 ||
	    fd_set_cloexec(o->render_server_fd, true) < 0)
		return error_set(err, EBADF, "--vhost-user-fd and --render-server-fd must be open");
	return 0;
}

static void prepare_library(void)
{
	/* Its own messages would be neither escaped nor in the log's format. */
	if (!log_enabled(LOG_LEVEL_DEBUG))
		setenv("VIRGL_LOG_LEVEL", "silent", 1);
	signal(SIGPIPE, SIG_IGN);
	/* With a fixed number of arenas malloc() never opens sysfs to count the CPUs, which its
	 * ninth thread does otherwise, and which the sandbox forbids. */
	mallopt(M_ARENA_MAX, 2);
}

static int serve(const struct gpu_options *o, struct error **err)
{
	static struct gpu_device dev;
	const struct gpu_watchdog_config watch = { .server_sock = o->render_server_fd,
						   .watch_sock = o->watch_fd,
						   .timeout_s = o->timeout_s,
						   .waiting = gpu_device_waiting, .data = &dev };
	struct vhu *vhu;
	int r;

	if (close_others(o, err) < 0 || gpu_sandbox_enter_namespaces(err) < 0)
		return -1;
	gpu_device_init(&dev, o->window, o->max_bytes);
	gpu_device_limit_files(&dev, fd_raise_limit());
	if (o->stats_fd >= 0) {
		r = gpu_device_share_stats(&dev, o->stats_fd);
		if (r < 0)
			return error_set(err, -r, "--stats-fd: cannot map it");
		close(o->stats_fd);
	}
	vhu = vhu_create(o->vhost_user_fd, &gpu_device_ops, &dev, err);
	if (!vhu)
		return -1;
	gpu_device_set_vhu(&dev, vhu);
	if (gpu_renderer_init(&watch, gpu_device_fence_passed, &dev, err) < 0)
		return -1;
	if (gpu_device_load_capset(&dev, err) < 0 || gpu_sandbox_seccomp(err) < 0)
		return -1;
	r = vhu_run(vhu);
	gpu_contexts_destroy_all(&dev.contexts);
	vhu_free(vhu);
	gpu_device_release(&dev);
	return r < 0 ? error_set(err, -r, "the VMM broke the vhost-user protocol") : 0;
}

int main(int argc, char **argv)
{
	struct gpu_options o = {
		.vhost_user_fd = -1,
		.render_server_fd = -1,
		.watch_fd = -1,
		.stats_fd = -1,
		.window = 8ull << 30,
		.max_bytes = 64ull << 30,
		.timeout_s = 60,
		.log_level = LOG_LEVEL_WARNING,
	};
	cleanup_error struct error *err = NULL;
	int r = parse_options(&o, argc, argv, &err);

	log_init("krun-gpu-gpu", STDERR_FILENO, o.log_format, o.log_level);
	prepare_library();
	if (!r)
		r = serve(&o, &err);
	if (r < 0)
		log_error("%s", error_msg(err));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
