/* SPDX-License-Identifier: GPL-2.0-or-later */
/* GETATTR and SETATTR. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/workers/fs_creds.h"
#include "vmm/workers/fs_ops.h"

/* Larger ones are data, which are read in many pieces, each of which would ask first. */
#define FS_SMALL_FILE (1u << 20)

int fs_statx(int fd, struct statx *stx)
{
	const int flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;

	return statx(fd, "", flags, FS_STATX_MASK, stx) < 0 ? -errno : 0;
}

/* The kernel's new_encode_dev(). */
static uint32_t fs_encode_dev(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffu) << 12);
}

void fs_attr_fill(struct fuse_attr *attr, const struct statx *stx, bool submount)
{
	*attr = (struct fuse_attr){
		.ino = stx->stx_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = (uint64_t)stx->stx_atime.tv_sec,
		.mtime = (uint64_t)stx->stx_mtime.tv_sec,
		.ctime = (uint64_t)stx->stx_ctime.tv_sec,
		.atimensec = stx->stx_atime.tv_nsec,
		.mtimensec = stx->stx_mtime.tv_nsec,
		.ctimensec = stx->stx_ctime.tv_nsec,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = stx->stx_uid,
		.gid = stx->stx_gid,
		.rdev = fs_encode_dev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.blksize = stx->stx_blksize,
		.flags = submount ? FUSE_ATTR_SUBMOUNT : 0,
	};
}

uint64_t fs_attr_seconds(const struct statx *stx)
{
	const bool mounted = stx->stx_attributes & STATX_ATTR_MOUNT_ROOT;

	return mounted && S_ISREG(stx->stx_mode) && stx->stx_size <= FS_SMALL_FILE ?
		       0 : FS_CACHE_SECONDS;
}

static int fs_reply_attr(struct fs_request *r, const struct fs_inode *inode)
{
	struct fuse_attr_out out = { 0 };
	struct statx stx;
	int ret = fs_statx(inode->fd, &stx);

	if (ret < 0)
		return ret;
	out.attr_valid = fs_attr_seconds(&stx);
	fs_attr_fill(&out.attr, &stx, false);
	return fs_reply(r, &out, sizeof(out));
}

int fs_op_getattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = fs_node(s, r);

	(void)arg;
	return inode ? fs_reply_attr(r, inode) : -ESTALE;
}

static int fs_chown(const struct fs_inode *inode, const struct fuse_setattr_in *in)
{
	const uid_t uid = in->valid & FATTR_UID ? in->uid : (uid_t)-1;
	const gid_t gid = in->valid & FATTR_GID ? in->gid : (gid_t)-1;

	return fchownat(inode->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
											   : 0;
}

static int fs_chmod(const struct fs_server *s, const struct fs_inode *inode, mode_t mode)
{
	const struct fs_proc_name name = fs_proc_name(inode->fd);

	return fchmodat(s->proc_fd, name.s, mode & 07777, 0) < 0 ? -errno : 0;
}

static int fs_truncate(struct fs_server *s, const struct fs_inode *inode,
		       const struct fuse_setattr_in *in)
{
	cleanup_handle struct fs_handle *h = NULL;
	cleanup_close int fd = -1;
	int ret;

	if (in->size > INT64_MAX)
		return -EFBIG;
	if (in->valid & FATTR_FH) {
		h = fs_handle_get(&s->handles, in->fh, false);
		if (!h)
			return -EBADF;
	} else {
		fd = fs_reopen(s, inode, O_WRONLY);
		if (fd < 0)
			return fd;
	}
	if (in->valid & FATTR_KILL_SUIDGID)
		fs_creds_set_fsetid(false);
	ret = ftruncate(h ? h->fd : fd, (off_t)in->size) < 0 ? -errno : 0;
	if (in->valid & FATTR_KILL_SUIDGID)
		fs_creds_set_fsetid(true);
	return ret;
}

static int fs_utimens(const struct fs_inode *inode, const struct fuse_setattr_in *in)
{
	struct timespec ts[2] = { { 0, UTIME_OMIT }, { 0, UTIME_OMIT } };

	if (in->atimensec > 999999999 || in->mtimensec > 999999999)
		return -EINVAL;
	if (in->valid & FATTR_ATIME_NOW)
		ts[0].tv_nsec = UTIME_NOW;
	else if (in->valid & FATTR_ATIME)
		ts[0] = (struct timespec){ (time_t)in->atime, in->atimensec };
	if (in->valid & FATTR_MTIME_NOW)
		ts[1].tv_nsec = UTIME_NOW;
	else if (in->valid & FATTR_MTIME)
		ts[1] = (struct timespec){ (time_t)in->mtime, in->mtimensec };
	return utimensat(inode->fd, "", ts, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int fs_op_setattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_setattr_in *in = arg;
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	int ret = 0;

	if (!inode)
		return -ESTALE;
	/* Owner before mode: chown() clears SUID and SGID, which the mode may ask for. */
	if (in->valid & (FATTR_UID | FATTR_GID))
		ret = fs_chown(inode, in);
	if (!ret && (in->valid & FATTR_MODE))
		ret = fs_chmod(s, inode, in->mode);
	if (!ret && (in->valid & FATTR_SIZE))
		ret = fs_truncate(s, inode, in);
	if (!ret && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
		ret = fs_utimens(inode, in);
	return ret < 0 ? ret : fs_reply_attr(r, inode);
}
