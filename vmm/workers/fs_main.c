/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-fs: the virtio-fs server of one container. It is given a connected vhost-user socket
 * and the directory to export, and ends when the other end of the socket does.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vmm/workers/fs_device.h"
#include "vmm/workers/fs_sandbox.h"
#include "vmm/workers/fs_server.h"

/* Fds that are not files of the guest's: the log, the socket, memory, eventfds of the queues. */
#define FS_FDS_OF_OURS 64u

struct fs_options {
	int sock;
	const char *export;
	int log_fd;
	int log_level;
	enum log_format log_format;
};

static void fs_usage(void)
{
	fputs("usage: krun-gpu-fs [OPTION]... --export DIR\n"
	      "Serve DIR to a virtual machine over virtio-fs (vhost-user back end).\n\n"
	      "  --export DIR          what the guest sees\n"
	      "  --vhost-user-fd N     connected socket of the front end (default: 3)\n"
	      "  --log-fd N            where messages go (default: 2)\n"
	      "  --log-level LEVEL     error, warning, info or debug (default: warning)\n"
	      "  --log-format FORMAT   text or json (default: text)\n",
	      stdout);
}

/* A file descriptor's number, or -1. */
static int fs_parse_fd(const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	return errno || *end || end == text || n < 0 || n > 1 << 20 ? -1 : (int)n;
}

static int fs_parse_option(struct fs_options *o, int option)
{
	switch (option) {
	case 'v':
		o->sock = fs_parse_fd(optarg);
		return o->sock < 0 ? -1 : 0;
	case 'e':
		o->export = optarg;
		return 0;
	case 'f':
		o->log_fd = fs_parse_fd(optarg);
		return o->log_fd < 0 ? -1 : 0;
	case 'l':
		o->log_level = log_level_parse(optarg);
		return o->log_level < 0 ? -1 : 0;
	case 'j':
		o->log_format = strcmp(optarg, "json") ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
		return strcmp(optarg, "json") && strcmp(optarg, "text") ? -1 : 0;
	default:
		return -1;
	}
}

/* 0, or -1 after a message. Ends the process for --help. */
static int fs_parse_options(struct fs_options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "vhost-user-fd", required_argument, NULL, 'v' },
		{ "export", required_argument, NULL, 'e' },
		{ "log-fd", required_argument, NULL, 'f' },
		{ "log-level", required_argument, NULL, 'l' },
		{ "log-format", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'h') {
			fs_usage();
			exit(EXIT_SUCCESS);
		}
		if (option == '?' || fs_parse_option(o, option) < 0) {
			if (option != '?')
				fprintf(stderr, "krun-gpu-fs: invalid value: %s\n", optarg);
			return -1;
		}
	}
	if (!o->export || optind != argc) {
		fputs("krun-gpu-fs: give --export DIR, and no arguments (see --help)\n", stderr);
		return -1;
	}
	return 0;
}

/* Everything up to the first byte that a guest could have chosen. */
static struct fs_device *fs_start(const struct fs_options *o, struct fs_server *server,
				  struct error **err)
{
	int keep[] = { o->sock, o->log_fd };
	uint32_t max_fds;
	int root, proc;

	if (fd_keep_only(keep, 2) < 0) {
		error_set(err, errno, "cannot close inherited file descriptors");
		return NULL;
	}
	max_fds = fd_raise_limit();
	root = fs_sandbox_enter_export(o->export, &proc, err);
	if (root < 0 || fs_sandbox_drop_rights(err) < 0)
		return NULL;
	if (max_fds < 4 * FS_FDS_OF_OURS) {
		error_set(err, 0, "RLIMIT_NOFILE of %u is too low to serve files", max_fds);
		return NULL;
	}
	if (fs_server_init(server, root, proc, max_fds - FS_FDS_OF_OURS, err) < 0 ||
	    fs_server_thread_init(server, err) < 0)
		return NULL;
	return fs_device_create(o->sock, server, err);
}

int main(int argc, char **argv)
{
	struct fs_options o = { .sock = 3, .log_fd = 2, .log_level = LOG_LEVEL_WARNING };
	static struct fs_server server;
	struct error *err = NULL;
	struct fs_device *dev;
	int r;

	if (fs_parse_options(&o, argc, argv) < 0)
		return EXIT_FAILURE;
	log_init("krun-gpu-fs", o.log_fd, o.log_format, (enum log_level)o.log_level);
	dev = fs_start(&o, &server, &err);
	if (!dev || fs_sandbox_seccomp(&err) < 0) {
		log_error("%s", error_msg(err));
		error_free(&err);
		return EXIT_FAILURE;
	}
	r = fs_device_run(dev);
	if (r < 0)
		log_error("the vhost-user connection broke: %s", strerror(-r));
	fs_device_free(dev);
	fs_server_release(&server);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
