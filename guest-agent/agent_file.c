/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * An image decides what its root looks like, so a configured path may lead through symbolic links
 * that point anywhere. All lookups are openat2(2) with RESOLVE_IN_ROOT, where the kernel takes
 * the container's root for "/" and where ".." stops there. What is missing is made one component
 * at a time, each below an fd that was resolved that way, never by a path from the outside.
 */
#include "guest-agent/agent_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define SYMLINKS_MAX 40

int file_write(int dirfd, const char *path, const char *text, struct error **err)
{
	cleanup_close int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return error_set(err, errno, "open %s", path);
	if (write(fd, text, len) != (ssize_t)len)
		return error_set(err, errno, "write `%s` to %s", text, path);
	return 0;
}

int root_open(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	/* -EAGAIN: a rename or mount raced with the lookup of a "..", see openat2(2). */
	do {
		fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : fd;
}

/*
 * Where the last component of @path begins and how long it is; false when there is none that could
 * be made.
 */
static bool path_last(const char *path, size_t *start, size_t *len)
{
	size_t end = strlen(path), from;

	while (end && path[end - 1] == '/')
		end--;
	from = end;
	while (from && path[from - 1] != '/')
		from--;
	*start = from;
	*len = end - from;
	if (!*len || *len > NAME_MAX)
		return false;
	return !(path[from] == '.' && (*len == 1 || (*len == 2 && path[from + 1] == '.')));
}

static int ensure(int root, const char *path, mode_t type, int links);

/* Makes the target of the dangling symbolic link @name in @parent, whose path is @parent_path. */
static int ensure_link_target(int root, int parent, const char *parent_path, const char *name,
			      mode_t type, int links)
{
	cleanup_free char *path = NULL;
	char target[PATH_MAX];
	ssize_t n = readlinkat(parent, name, target, sizeof(target) - 1);

	if (n < 0)
		return errno == EINVAL ? -EEXIST : -errno;
	target[n] = 0;
	if (asprintf(&path, "%s/%s", target[0] == '/' ? "" : parent_path, target) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return strlen(path) < PATH_MAX ? ensure(root, path, type, links + 1) : -ENAMETOOLONG;
}

static int make_one(int parent, const char *name, mode_t type)
{
	int fd;

	if (type == S_IFDIR)
		return mkdirat(parent, name, 0755) < 0 ? -errno : 0;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* Recursive by component; the kernel's PATH_MAX bounds the depth, and the frames are small. */
static int ensure(int root, const char *path, mode_t type, int links)
{
	cleanup_free char *parent_path = NULL, *name = NULL;
	cleanup_close int parent = -1;
	size_t start, len;
	int r = root_open(root, path, O_PATH);

	if (r != -ENOENT)
		return r;
	if (links > SYMLINKS_MAX)
		return -ELOOP;
	if (!path_last(path, &start, &len))
		return -ENOENT;
	parent_path = strndup(path, start);
	name = strndup(path + start, len);
	if (!parent_path || !name)
		return -ENOMEM;
	r = parent = ensure(root, parent_path, S_IFDIR, links);
	if (r < 0)
		return r;
	r = make_one(parent, name, type);
	if (r == -EEXIST)
		return ensure_link_target(root, parent, parent_path, name, type, links);
	return r < 0 ? r : root_open(root, path, O_PATH);
}

int root_ensure(int root, const char *path, mode_t type)
{
	return ensure(root, path, type, 0);
}

int root_ensure_parent(int root, const char *path, const char **name)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -EINVAL;
	if (len >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = 0;
	return root_ensure(root, dir, S_IFDIR);
}
