/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define COPY_DEPTH_MAX 200
#define COPY_CHUNK (1u << 20)

struct copy {
	dev_t dev; /* the file system that is copied */
	struct error **err;
};

static int copy_dir(struct copy *c, int from, int to, int depth);

/* Attributes that the target's file system does not know are left behind. */
static int copy_xattrs(int from, int to)
{
	cleanup_free char *names = NULL;
	ssize_t len = flistxattr(from, NULL, 0);

	if (len <= 0)
		return 0;
	names = malloc((size_t)len);
	if (!names)
		return -1;
	len = flistxattr(from, names, (size_t)len);
	for (char *n = names; len > 0 && n < names + len; n += strlen(n) + 1) {
		char value[XATTR_SIZE_MAX];
		ssize_t size = fgetxattr(from, n, value, sizeof(value));

		if (size >= 0 && fsetxattr(to, n, value, (size_t)size, 0) < 0 &&
		    errno != EOPNOTSUPP && errno != EPERM)
			return -1;
	}
	return 0;
}

/* Owner first: chown() clears the set-user-id bits and the file's capabilities. */
static int copy_attributes(int from, int to, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0 ||
	    copy_xattrs(from, to) < 0)
		return -1;
	return futimens(to, times);
}

static int copy_file(struct copy *c, int from_dir, int to_dir, const char *name,
		     const struct stat *st)
{
	cleanup_close int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n;

	if (from < 0 || to < 0)
		return error_set(c->err, errno, "copy %s", name);
	do {
		n = sendfile(to, from, NULL, COPY_CHUNK);
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0 || copy_attributes(from, to, st) < 0)
		return error_set(c->err, errno, "copy %s", name);
	return 0;
}

static int copy_subdir(struct copy *c, int from_dir, int to_dir, const char *name,
		       const struct stat *st, int depth)
{
	cleanup_close int from = openat(from_dir, name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int to = -1;

	if (from < 0 || mkdirat(to_dir, name, 0700) < 0)
		return error_set(c->err, errno, "copy directory %s", name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return error_set(c->err, errno, "copy directory %s", name);
	/* A mount point is copied as the empty directory it covers. */
	if (st->st_dev == c->dev && copy_dir(c, from, to, depth) < 0)
		return error_wrap(c->err, "%s", name);
	if (copy_attributes(from, to, st) < 0)
		return error_set(c->err, errno, "copy directory %s", name);
	return 0;
}

/* Symbolic links, fifos, sockets and device nodes: no contents. */
static int copy_special(struct copy *c, int from_dir, int to_dir, const char *name,
			const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from_dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return error_set(c->err, errno, "copy %s", name);
		target[n] = 0;
		if (symlinkat(target, to_dir, name) < 0)
			return error_set(c->err, errno, "copy %s", name);
	} else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0) {
		return error_set(c->err, errno, "copy %s", name);
	}
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0))
		return error_set(c->err, errno, "copy %s", name);
	return 0;
}

static int copy_entry(struct copy *c, int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(c->err, errno, "copy %s", name);
	if (S_ISDIR(st.st_mode))
		return copy_subdir(c, from, to, name, &st, depth + 1);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name, &st);
	return copy_special(c, from, to, name, &st);
}

static int copy_dir(struct copy *c, int from, int to, int depth)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		error_set(c->err, errno, "read directory");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (depth > COPY_DEPTH_MAX)
		r = error_set(c->err, ELOOP, "too many directories in one another");
	while (r == 0) {
		struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e) {
			if (errno)
				r = error_set(c->err, errno, "read directory");
			break;
		}
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = copy_entry(c, from, to, e->d_name, depth);
	}
	closedir(dir);
	return r;
}

int copy_tree(int from, int to, struct error **err)
{
	struct copy c = { .err = err };
	struct stat st;

	if (fstat(from, &st) < 0)
		return error_set(err, errno, "stat");
	c.dev = st.st_dev;
	if (copy_dir(&c, from, to, 0) < 0)
		return -1;
	if (copy_attributes(from, to, &st) < 0)
		return error_set(err, errno, "copy attributes");
	return 0;
}
