/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The requests that change directories, and READLINK. All of them act on (directory fd, name), the
 * name being a single component: the kernel does not follow a symlink that is in its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmm/workers/fs_creds.h"
#include "vmm/workers/fs_ops.h"

/* Make a file as the user, then have the guest know it: what @make answers is 0 or -1. */
struct fs_make {
	const char *name, *target;
	mode_t mode;
	dev_t dev;
	int (*make)(int dir_fd, const struct fs_make *m);
};

static int fs_create_node(struct fs_server *s, struct fs_request *r, const struct fs_make *m,
			  mode_t mask)
{
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	struct fuse_entry_out entry;
	struct fs_creds creds;
	int ret = fs_arg_creds(r, mask, &creds);

	if (ret < 0)
		return ret;
	if (!dir)
		return -ESTALE;
	ret = fs_creds_assume(&creds);
	if (ret < 0)
		return ret;
	ret = m->make(dir->fd, m) < 0 ? -errno : 0;
	fs_creds_restore();
	if (!ret)
		ret = fs_lookup(s, dir, m->name, &entry);
	return ret < 0 ? ret : fs_reply(r, &entry, sizeof(entry));
}

/* The kernel's new_decode_dev(). */
static dev_t fs_decode_dev(uint32_t dev)
{
	return makedev((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

static int fs_make_node(int dir_fd, const struct fs_make *m)
{
	return mknodat(dir_fd, m->name, m->mode, m->dev);
}

int fs_op_mknod(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_mknod_in *in = arg;
	struct fs_make m = { .mode = in->mode, .dev = fs_decode_dev(in->rdev),
			     .make = fs_make_node };
	int ret = fs_arg_name(r, &m.name);

	return ret < 0 ? ret : fs_create_node(s, r, &m, in->umask);
}

static int fs_make_dir(int dir_fd, const struct fs_make *m)
{
	return mkdirat(dir_fd, m->name, m->mode);
}

int fs_op_mkdir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_mkdir_in *in = arg;
	struct fs_make m = { .mode = in->mode & 07777, .make = fs_make_dir };
	int ret = fs_arg_name(r, &m.name);

	return ret < 0 ? ret : fs_create_node(s, r, &m, in->umask);
}

static int fs_make_symlink(int dir_fd, const struct fs_make *m)
{
	return symlinkat(m->target, dir_fd, m->name);
}

int fs_op_symlink(struct fs_server *s, struct fs_request *r, const void *arg)
{
	struct fs_make m = { .make = fs_make_symlink };
	int ret = fs_arg_name(r, &m.name);

	(void)arg;
	if (!ret)
		ret = fs_arg_str(r, PATH_MAX - 1, &m.target);
	return ret < 0 ? ret : fs_create_node(s, r, &m, 0);
}

int fs_op_readlink(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	char target[PATH_MAX];
	ssize_t n;

	(void)arg;
	if (!inode)
		return -ESTALE;
	if (inode->type != S_IFLNK)
		return -EINVAL;
	n = readlinkat(inode->fd, "", target, sizeof(target));
	if (n < 0)
		return -errno;
	return n == sizeof(target) ? -ENAMETOOLONG : fs_reply(r, target, (size_t)n);
}

int fs_op_link(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_link_in *in = arg;
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	cleanup_inode struct fs_inode *inode = fs_inode_get(&s->inodes, in->oldnodeid);
	struct fuse_entry_out entry;
	struct fs_proc_name old;
	const char *name;
	int ret = fs_arg_name(r, &name);

	if (ret < 0)
		return ret;
	if (!dir || !inode)
		return -ESTALE;
	old = fs_proc_name(inode->fd);
	/* What is followed is the link of /proc/self/fd, to the very inode; a symlink is not. */
	if (linkat(s->proc_fd, old.s, dir->fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	ret = fs_lookup(s, dir, name, &entry);
	return ret < 0 ? ret : fs_reply(r, &entry, sizeof(entry));
}

static int fs_remove(struct fs_server *s, struct fs_request *r, int flags)
{
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	const char *name;
	int ret = fs_arg_name(r, &name);

	if (ret < 0)
		return ret;
	if (!dir)
		return -ESTALE;
	return unlinkat(dir->fd, name, flags) < 0 ? -errno : fs_reply_error(r, 0);
}

int fs_op_unlink(struct fs_server *s, struct fs_request *r, const void *arg)
{
	(void)arg;
	return fs_remove(s, r, 0);
}

int fs_op_rmdir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	(void)arg;
	return fs_remove(s, r, AT_REMOVEDIR);
}

static int fs_rename(struct fs_server *s, struct fs_request *r, uint64_t new_nodeid, uint32_t flags)
{
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	cleanup_inode struct fs_inode *new_dir = fs_inode_get(&s->inodes, new_nodeid);
	const char *name, *new_name;
	int ret = fs_arg_name(r, &name);

	if (!ret)
		ret = fs_arg_name(r, &new_name);
	if (ret < 0)
		return ret;
	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (!dir || !new_dir)
		return -ESTALE;
	if (renameat2(dir->fd, name, new_dir->fd, new_name, flags) < 0)
		return -errno;
	return fs_reply_error(r, 0);
}

int fs_op_rename(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_rename_in *in = arg;

	return fs_rename(s, r, in->newdir, 0);
}

int fs_op_rename2(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_rename2_in *in = arg;

	return fs_rename(s, r, in->newdir, in->flags);
}
