/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file server. Between fork and exec it assembles the export in a mount namespace of its own
 * (oci/oci_export.c); the server then pivots into it. Our own server is given one end of a socket
 * pair; a virtiofsd that the host's configuration names wants to accept a connection.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "launch_internal.h"
#include "oci/oci_export.h"
#include "spawn.h"

#define FS_PROGRAM LIBEXECDIR "/krun-gpu-fs"
#define FS_FD 3
#define FS_SOCKET "fs.sock"

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

/*
 * With a read-only root the guest cannot make missing mount points: they are made here, before it
 * becomes so. What lies below an earlier mount is that mount's matter. One that cannot be made
 * here is reported by the agent, which finds it missing.
 */
static void make_mount_points(const struct launch *l, int rootfd)
{
	for (size_t i = 0; i < l->plan.num_mounts; i++) {
		const struct agent_mount *m = &l->plan.mounts[i];
		bool directory = true, covered = false;
		struct stat st;
		int r;

		for (size_t j = 0; j < i; j++)
			covered = covered || is_below(m->destination, l->plan.mounts[j].destination);
		if (covered)
			continue;
		if (m->kind == AGENT_MOUNT_EXPORT) {
			const char *path = l->plan.exports[atoi(m->source)].path;

			directory = !path || stat(path, &st) < 0 || S_ISDIR(st.st_mode);
		}
		r = oci_export_make_mount_point(rootfd, m->destination, directory);
		if (r < 0)
			log_info("cannot make the mount point %s: %s", m->destination, strerror(-r));
	}
}

/* Runs in the forked child that becomes the file server. */
static int fs_prepare(void *data, struct error **err)
{
	const struct launch *l = data;
	cleanup_free char *dir = NULL;
	cleanup_close int rootfd = -1;
	struct oci_export ex = {
		.rootfs = l->c.state.rootfs, .readonly = l->c.spec.root_readonly,
		.mounts = l->plan.exports, .num_mounts = l->plan.num_exports,
	};

	if (asprintf(&dir, "%s/%s/%s", l->app->root, l->opts->id, OCI_EXPORT_DIR) < 0) {
		dir = NULL;
		return error_set(err, ENOMEM, "cannot assemble the export");
	}
	ex.dir = dir;
	/* The kernel in libkrunfw takes no initramfs. */
	if (l->krunfw) {
		ex.agent = AGENT_PROGRAM;
		ex.agent_name = AGENT_FS_AGENT;
		ex.newroot_name = AGENT_FS_NEWROOT;
	}
	if (ex.readonly) {
		rootfd = open(ex.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (rootfd < 0)
			return error_set(err, errno, "cannot open %s", ex.rootfs);
		make_mount_points(l, rootfd);
	}
	return oci_export_assemble(&ex, err);
}

static const char *fs_log_format(const struct app *app)
{
	return app->log_format == LOG_FORMAT_JSON ? "json" : "text";
}

static const char *fs_log_level(const struct app *app)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	return names[app->log_level];
}

static int fs_spawn(struct launch *l, const char *const *argv, int sock, struct error **err)
{
	struct spawn s = { .argv = argv, .netns_fd = -1, .new_session = true,
			   .prepare = fs_prepare, .data = l };

	s.fds[s.num_fds++] = (struct spawn_fd){ sock, FS_FD };
	if (launch_spawn(l, &s, &l->c.state.workers[l->c.state.num_workers], err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

static int fs_spawn_ours(struct launch *l, const char *dir, struct error **err)
{
	const char *argv[] = { FS_PROGRAM, "--vhost-user-fd", "3", "--export", dir, "--log-format",
			       fs_log_format(l->app), "--log-level", fs_log_level(l->app), NULL };
	cleanup_close int theirs = -1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->vmm_fds[VMM_FD_FS] = pair[0];
	theirs = pair[1];
	return fs_spawn(l, argv, theirs, err);
}

static int fs_spawn_virtiofsd(struct launch *l, const char *dir, struct error **err)
{
	const char *argv[] = { l->app->host.fs_server, "--fd=3", "--shared-dir", dir,
			       "--sandbox=chroot", "--cache=auto", "--xattr", "--posix-acl",
			       "--announce-submounts", NULL };
	cleanup_close int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", l->c.dirfd, FS_SOCKET);
	if (listener < 0 || sock < 0 ||
	    bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(listener, 1) < 0 ||
	    connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "cannot make a socket for %s", l->app->host.fs_server);
	unlinkat(l->c.dirfd, FS_SOCKET, 0);
	l->vmm_fds[VMM_FD_FS] = steal_fd(&sock);
	return fs_spawn(l, argv, listener, err);
}

int launch_fs(struct launch *l, struct error **err)
{
	cleanup_free char *dir = NULL;

	if (mkdirat(l->c.dirfd, OCI_EXPORT_DIR, 0700) < 0)
		return error_set(err, errno, "cannot make %s", OCI_EXPORT_DIR);
	if (asprintf(&dir, "%s/%s/%s", l->app->root, l->opts->id, OCI_EXPORT_DIR) < 0) {
		dir = NULL;
		return error_set(err, ENOMEM, "cannot start the file server");
	}
	return l->app->host.fs_server ? fs_spawn_virtiofsd(l, dir, err) :
					fs_spawn_ours(l, dir, err);
}
