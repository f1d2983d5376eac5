/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the cgroup of a container holds the VMM and its workers, all that the
 * container costs the host. The container's own processes are in a cgroup of the guest kernel's.
 * Only the unified hierarchy (cgroup v2) is used.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/arena.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_REMOVE_MS 5000
#define CGROUP_EVENTS_MAX 4096

bool cgroup_available(void)
{
	struct statfs st;

	return !statfs(CGROUP_ROOT, &st) && (unsigned long)st.f_type == CGROUP2_SUPER_MAGIC &&
	       !access(CGROUP_ROOT "/cgroup.procs", W_OK);
}

static bool cgroup_name_is(const char *at, size_t len, const char *name)
{
	return len == strlen(name) && !strncmp(at, name, len);
}

char *cgroup_path(const char *wanted, const char *id, struct arena *arena, struct error **err)
{
	bool named = false;
	char *path;

	if (!wanted || !*wanted)
		wanted = id;
	for (const char *p = wanted; *p; p += strcspn(p, "/")) {
		size_t len;

		p += strspn(p, "/");
		len = strcspn(p, "/");
		if (cgroup_name_is(p, len, "..") || cgroup_name_is(p, len, ".")) {
			error_set(err, 0, "linux.cgroupsPath: %s has a part that is \".\" or \"..\"",
				  wanted);
			return NULL;
		}
		named = named || len;
	}
	if (!named) {
		error_set(err, 0, "linux.cgroupsPath: %s is the root of the hierarchy, not a cgroup "
			  "for a container", wanted);
		return NULL;
	}
	path = arena_printf(arena, "%s/%s", CGROUP_ROOT, wanted + strspn(wanted, "/"));
	if (!path)
		error_set(err, ENOMEM, "linux.cgroupsPath");
	return path;
}

static int cgroup_write(int dirfd, const char *file, const char *text)
{
	cleanup_close int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/*
 * A controller that cannot be enabled is missed, by name, when a limit of it is written; so
 * each is tried alone and nothing is said here.
 */
static void cgroup_enable_controllers(int dirfd)
{
	static const char *const controllers[] = { "+cpu", "+cpuset", "+io", "+memory", "+pids" };

	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++)
		cgroup_write(dirfd, "cgroup.subtree_control", controllers[i]);
}

int cgroup_check_unused(const char *path, struct error **err)
{
	cleanup_close int dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = dirfd < 0 ? -1 : openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = fd < 0 ? NULL : fd_read_file(fd, CGROUP_EVENTS_MAX, NULL);

	if (!text || !strstr(text, "populated 1"))
		return 0;
	return error_set(err, 0, "linux.cgroupsPath: %s has processes already, which would end with "
			 "the container", path);
}

int cgroup_create(const char *path, struct error **err)
{
	cleanup_close int fd = open(CGROUP_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *rest = strdup(path + strlen(CGROUP_ROOT));
	char *save = NULL;

	if (fd < 0 || !rest)
		return error_set(err, errno, "cannot open %s", CGROUP_ROOT);
	for (char *name = strtok_r(rest, "/", &save); name; name = strtok_r(NULL, "/", &save)) {
		int next;

		cgroup_enable_controllers(fd);
		if (mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return error_set(err, errno, "cannot make the cgroup %s", path);
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return error_set(err, errno, "cannot open the cgroup %s", path);
		close(fd);
		fd = next;
	}
	return steal_fd(&fd);
}

int cgroup_move(const char *path, const char *name, pid_t pid, struct error **err)
{
	cleanup_close int parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int child = -1;
	char text[16];
	int r;

	if (parent < 0 || (mkdirat(parent, name, 0755) < 0 && errno != EEXIST))
		return error_set(err, errno, "cannot make the cgroup %s/%s", path, name);
	child = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(text, sizeof(text), "%d", pid);
	r = child < 0 ? -errno : cgroup_write(child, "cgroup.procs", text);
	return r < 0 ? error_set(err, -r, "cannot move the VMM to %s/%s", path, name) : 0;
}

/* Cgroups below ours: nobody makes any, but who does must not keep ours from going. */
static void cgroup_remove_children(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		cleanup_free char *child = NULL;

		if (e->d_type != DT_DIR || *e->d_name == '.')
			continue;
		if (asprintf(&child, "%s/%s", path, e->d_name) < 0) {
			child = NULL;
			continue;
		}
		cgroup_remove_children(child);
		rmdir(child);
	}
	if (dir)
		closedir(dir);
}

int cgroup_remove(const char *path, struct error **err)
{
	const struct timespec pause = { 0, 10 * 1000 * 1000 };
	cleanup_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot open %s", path);
	cgroup_write(fd, "cgroup.kill", "1");
	/* Killed processes leave their cgroup when they are reaped. */
	for (int waited = 0; ; waited += 10) {
		cgroup_remove_children(path);
		if (!rmdir(path) || errno == ENOENT)
			return 0;
		if (errno != EBUSY || waited >= CGROUP_REMOVE_MS)
			return error_set(err, errno, "cannot remove the cgroup %s", path);
		nanosleep(&pause, NULL);
	}
}
