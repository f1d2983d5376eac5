/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files: OPEN, CREATE, READ, WRITE and what else goes by a file handle. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/workers/fs_creds.h"
#include "vmm/workers/fs_ops.h"

/*
 * What of open()'s flags is meant for the host. O_DIRECT is not: it keeps the guest from caching,
 * which is what matters for two caches in a row, and its alignment rules are the host's disk's,
 * which the guest's program cannot know.
 */
#define FS_OPEN_FLAGS (O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_NOATIME | O_TRUNC)

/* Bytes copied by one COPY_FILE_RANGE: the caller goes on from there. */
#define FS_COPY_MAX (64u << 20)

struct fs_proc_name fs_proc_name(int fd)
{
	struct fs_proc_name name;

	snprintf(name.s, sizeof(name.s), "%d", fd);
	return name;
}

int fs_reopen(const struct fs_server *s, const struct fs_inode *inode, int flags)
{
	const struct fs_proc_name name = fs_proc_name(inode->fd);
	int fd;

	if (inode->type == S_IFLNK)
		return -ELOOP;
	if (inode->type != S_IFREG && inode->type != S_IFDIR)
		return -ENXIO;
	fd = openat(s->proc_fd, name.s, flags | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return fd;
}

/*
 * What the guest may do with an open file. Its cached pages stay when nothing has happened to the
 * file since it was last opened. FLUSH, a request for every close(), is asked for only where it
 * can have something to report.
 */
static uint32_t fs_open_out_flags(struct fs_inode *inode, int fd, int flags)
{
	uint32_t out = (flags & O_ACCMODE) == O_RDONLY ? FOPEN_NOFLUSH : 0;
	struct statx stx;

	if (!(flags & O_TRUNC) && !fs_statx(fd, &stx) && fs_inode_unchanged(inode, &stx))
		out |= FOPEN_KEEP_CACHE;
	return out;
}

int fs_op_open(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_open_in *in = arg;
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	const int flags = (int)in->flags & FS_OPEN_FLAGS;
	const bool kill = in->open_flags & FUSE_OPEN_KILL_SUIDGID;
	struct fuse_open_out out = { 0 };
	int fd, ret;

	if (!inode)
		return -ESTALE;
	if (inode->type == S_IFDIR)
		return -EISDIR;
	if (kill)
		fs_creds_set_fsetid(false);
	fd = fs_reopen(s, inode, flags);
	if (kill)
		fs_creds_set_fsetid(true);
	if (fd < 0)
		return fd;
	out.open_flags = fs_open_out_flags(inode, fd, flags);
	ret = fs_handle_new(&s->handles, fd, false, &out.fh);
	return ret < 0 ? ret : fs_reply(r, &out, sizeof(out));
}

/*
 * Open a file that CREATE has found to be there. It is looked up, and opened only if it is a
 * regular file; it may have come into being behind the guest's back.
 */
static int fs_create_existing(struct fs_server *s, struct fs_inode *dir, const char *name,
			      int flags, struct fuse_entry_out *entry)
{
	cleanup_inode struct fs_inode *inode = NULL;
	int fd, ret = fs_lookup(s, dir, name, entry);

	if (ret < 0)
		return ret;
	inode = fs_inode_get(&s->inodes, entry->nodeid);
	fd = inode ? fs_reopen(s, inode, flags) : -ESTALE;
	if (fd < 0)
		fs_inode_forget(&s->inodes, entry->nodeid, 1);
	return fd;
}

/* Have the guest know a file that was just made, by its open fd. */
static int fs_create_enter(struct fs_server *s, struct fs_inode *dir, int fd,
			   struct fuse_entry_out *entry)
{
	const struct fs_proc_name proc = fs_proc_name(fd);
	int path_fd = openat(s->proc_fd, proc.s, O_PATH | O_CLOEXEC);

	if (path_fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return fs_enter(s, dir, path_fd, entry);
}

/* Reply to CREATE and TMPFILE; takes @fd. */
static int fs_create_reply(struct fs_server *s, struct fs_request *r, int fd,
			   const struct fuse_entry_out *entry)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .entry = *entry };
	int ret = fs_handle_new(&s->handles, fd, false, &out.open.fh);

	if (ret < 0) {
		fs_inode_forget(&s->inodes, entry->nodeid, 1);
		return ret;
	}
	return fs_reply(r, &out, sizeof(out));
}

/* Make the file as the user; the fd, or -errno. */
static int fs_create_new(const struct fs_request *r, const struct fs_inode *dir, const char *name,
			 int flags, const struct fuse_create_in *in)
{
	struct fs_creds creds;
	int fd, ret = fs_arg_creds(r, in->umask, &creds);

	if (!ret)
		ret = fs_creds_assume(&creds);
	if (ret < 0)
		return ret;
	fd = openat(dir->fd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, in->mode & 07777);
	ret = fd < 0 ? -errno : fd;
	fs_creds_restore();
	return ret == -EMFILE ? -ENFILE : ret;
}

int fs_op_create(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_create_in *in = arg;
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	const int flags = (int)in->flags & FS_OPEN_FLAGS;
	struct fuse_entry_out entry;
	cleanup_close int fd = -1;
	const char *name;
	int ret = fs_arg_name(r, &name);

	if (ret < 0)
		return ret;
	if (!dir)
		return -ESTALE;
	/* O_EXCL in any case: only so is it certain that what is opened is a new, regular file. */
	fd = fs_create_new(r, dir, name, (flags & ~O_TRUNC) | O_CREAT | O_EXCL, in);
	if (fd == -EEXIST && !(in->flags & O_EXCL))
		fd = fs_create_existing(s, dir, name, flags, &entry);
	else if (fd >= 0)
		ret = fs_create_enter(s, dir, fd, &entry);
	if (fd < 0 || ret < 0)
		return fd < 0 ? fd : ret;
	return fs_create_reply(s, r, steal_fd(&fd), &entry);
}

int fs_op_tmpfile(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_create_in *in = arg;
	cleanup_inode struct fs_inode *dir = fs_node(s, r);
	const int flags = (int)in->flags & (FS_OPEN_FLAGS | O_EXCL) & ~O_TRUNC;
	struct fuse_entry_out entry;
	cleanup_close int fd = -1;
	int ret;

	if (!dir)
		return -ESTALE;
	if (dir->type != S_IFDIR)
		return -ENOTDIR;
	fd = fs_create_new(r, dir, ".", flags | O_TMPFILE, in);
	if (fd < 0)
		return fd;
	ret = fs_create_enter(s, dir, fd, &entry);
	return ret < 0 ? ret : fs_create_reply(s, r, steal_fd(&fd), &entry);
}

int fs_op_release(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_release_in *in = arg;

	fs_handle_remove(&s->handles, in->fh, false);
	return fs_reply_error(r, 0);
}

static bool fs_at_end(int fd, uint64_t offset)
{
	struct stat st;

	return !fstat(fd, &st) && offset >= (uint64_t)st.st_size;
}

int fs_op_read(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_read_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);
	ssize_t room, n;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	room = fs_reply_begin_data(r, in->size);
	if (room < 0)
		return (int)room;
	n = chain_write_from_fd(&r->chain, h->fd, (off_t)in->offset, (size_t)room,
				r->nowait ? RWF_NOWAIT : 0);
	/*
	 * overlayfs and tmpfs cannot tell whether they would wait. Small reads are done at once
	 * even so: read-ahead makes those that go to the disk large.
	 */
	if (n == -EOPNOTSUPP && r->nowait && room < (ssize_t)FS_LARGE)
		n = chain_write_from_fd(&r->chain, h->fd, (off_t)in->offset, (size_t)room, 0);
	else if (n == -EOPNOTSUPP && r->nowait)
		n = -EAGAIN;
	/* Short of the end: part of it was there without waiting, and the rest is not. */
	if (r->nowait && n >= 0 && n < room && !fs_at_end(h->fd, in->offset + (uint64_t)n))
		n = -EAGAIN;
	return n < 0 ? (int)n : fs_reply_end_data(r, (size_t)n);
}

int fs_op_write(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_write_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);
	const bool kill = in->write_flags & FUSE_WRITE_KILL_SUIDGID;
	struct fuse_write_out out = { 0 };
	ssize_t n;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX || in->size != fs_request_args_left(r))
		return -EINVAL;
	if (kill)
		fs_creds_set_fsetid(false);
	n = chain_read_to_fd(&r->chain, h->fd, (off_t)in->offset, in->size, 0);
	if (kill)
		fs_creds_set_fsetid(true);
	if (n < 0)
		return (int)n;
	out.size = (uint32_t)n;
	return fs_reply(r, &out, sizeof(out));
}

/* close() of a copy reports what a network file system has not said yet. */
int fs_op_flush(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_flush_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);
	int fd;

	if (!h)
		return -EBADF;
	fd = fcntl(h->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return close(fd) < 0 ? -errno : fs_reply_error(r, 0);
}

int fs_op_fsync(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_fsync_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);
	int ret;

	if (!h)
		return -EBADF;
	ret = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd);
	return ret < 0 ? -errno : fs_reply_error(r, 0);
}

int fs_op_lseek(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_lseek_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);
	struct fuse_lseek_out out = { 0 };
	off_t pos;

	if (!h)
		return -EBADF;
	/* The others need no server; the file's position means nothing here. */
	if (in->offset > INT64_MAX || (in->whence != SEEK_DATA && in->whence != SEEK_HOLE))
		return -EINVAL;
	pos = lseek(h->fd, (off_t)in->offset, (int)in->whence);
	if (pos < 0)
		return -errno;
	out.offset = (uint64_t)pos;
	return fs_reply(r, &out, sizeof(out));
}

int fs_op_fallocate(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_fallocate_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, false);

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EINVAL;
	if (fallocate(h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		return -errno;
	return fs_reply_error(r, 0);
}

int fs_op_copy_file_range(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_copy_file_range_in *in = arg;
	cleanup_handle struct fs_handle *from = fs_handle_get(&s->handles, in->fh_in, false);
	cleanup_handle struct fs_handle *to = fs_handle_get(&s->handles, in->fh_out, false);
	struct fuse_write_out out = { 0 };
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;
	ssize_t n;

	if (!from || !to)
		return -EBADF;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags)
		return -EINVAL;
	n = copy_file_range(from->fd, &off_in, to->fd, &off_out,
			    in->len < FS_COPY_MAX ? in->len : FS_COPY_MAX, 0);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	return fs_reply(r, &out, sizeof(out));
}
