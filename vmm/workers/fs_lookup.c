/* SPDX-License-Identifier: GPL-2.0-or-later */
/* LOOKUP and FORGET: how the guest comes to know files, and that it no longer does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/workers/fs_ops.h"

struct fs_inode *fs_node(struct fs_server *s, const struct fs_request *r)
{
	return fs_inode_get(&s->inodes, r->in.nodeid);
}

int fs_enter(struct fs_server *s, struct fs_inode *dir, int fd, struct fuse_entry_out *entry)
{
	struct statx stx;
	uint64_t nodeid;
	int r = fs_statx(fd, &stx);

	if (r < 0) {
		close(fd);
		return r;
	}
	r = fs_inode_enter(&s->inodes, fd, &stx, &nodeid);
	if (r < 0)
		return r;
	memset(entry, 0, sizeof(*entry));
	entry->nodeid = nodeid;
	entry->entry_valid = FS_CACHE_SECONDS;
	entry->attr_valid = fs_attr_seconds(&stx);
	fs_attr_fill(&entry->attr, &stx, stx.stx_mnt_id != dir->mnt_id);
	return 0;
}

int fs_lookup(struct fs_server *s, struct fs_inode *dir, const char *name,
	      struct fuse_entry_out *entry)
{
	/*
	 * The name is a single component that is not "..", and O_NOFOLLOW stays on a symlink: this
	 * cannot leave the directory. The kernel is told so all the same.
	 */
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir->fd, name, &how, sizeof(how));

	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return fs_enter(s, dir, fd, entry);
}

int fs_op_lookup(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	struct fuse_entry_out entry;
	const char *name;
	int ret = fs_arg_name(r, &name);

	(void)arg;
	if (ret < 0)
		return ret;
	if (!dir)
		return -ESTALE;
	ret = fs_lookup(s, dir, name, &entry);
	return ret < 0 ? ret : fs_reply(r, &entry, sizeof(entry));
}

int fs_op_forget(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_forget_in *in = arg;

	fs_inode_forget(&s->inodes, r->in.nodeid, in->nlookup);
	return 0;
}

int fs_op_batch_forget(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_batch_forget_in *in = arg;

	for (uint32_t i = 0; i < in->count; i++) {
		const struct fuse_forget_one *one = fs_arg(r, sizeof(*one));

		if (!one)
			return -EINVAL;
		fs_inode_forget(&s->inodes, one->nodeid, one->nlookup);
	}
	return 0;
}
