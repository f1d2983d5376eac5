/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading directories. Entries are read ahead into the handle's buffer; the offset of an entry is
 * what the host's file system says, so that seekdir() in the guest means the same on the host.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/workers/fs_ops.h"

#define FS_DIR_BUFFER 32768u

/* What getdents64() fills the buffer with. */
struct fs_dirent {
	uint64_t ino;
	uint64_t offset; /* of the next entry */
	uint16_t reclen;
	uint8_t type;
	char name[];
};

int fs_op_opendir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	struct fuse_open_out out = { 0 };
	int fd, ret;

	(void)arg;
	if (!inode)
		return -ESTALE;
	if (inode->type != S_IFDIR)
		return -ENOTDIR;
	fd = fs_reopen(s, inode, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	ret = fs_handle_new(&s->handles, fd, true, &out.fh);
	return ret < 0 ? ret : fs_reply(r, &out, sizeof(out));
}

int fs_op_releasedir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_release_in *in = arg;

	fs_handle_remove(&s->handles, in->fh, true);
	return fs_reply_error(r, 0);
}

int fs_op_fsyncdir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_fsync_in *in = arg;
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, true);
	int ret;

	if (!h)
		return -EBADF;
	ret = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd);
	return ret < 0 ? -errno : fs_reply_error(r, 0);
}

/* Begin at @offset, with what is read ahead if that is where it begins. */
static int fs_dir_seek(struct fs_handle *h, uint64_t offset)
{
	if (!h->buf) {
		h->buf = malloc(FS_DIR_BUFFER);
		if (!h->buf)
			return -ENOMEM;
	}
	/* At 0 a directory is read anew: rewinddir() has to show what was added. */
	if (h->next_valid && h->next_offset == offset && offset)
		return 0;
	h->next_valid = false;
	h->buf_len = h->buf_pos = 0;
	if (lseek(h->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	h->next_offset = offset;
	h->next_valid = true;
	return 0;
}

/* The entry at the current place, NULL with *error 0 at the end. It stays current. */
static const struct fs_dirent *fs_dir_current(struct fs_handle *h, int *error)
{
	long n;

	*error = 0;
	if (h->buf_pos < h->buf_len)
		return (const struct fs_dirent *)(h->buf + h->buf_pos);
	n = syscall(SYS_getdents64, h->fd, h->buf, FS_DIR_BUFFER);
	h->buf_pos = 0;
	h->buf_len = n > 0 ? (size_t)n : 0;
	if (n < 0)
		*error = -errno;
	return n > 0 ? (const struct fs_dirent *)h->buf : NULL;
}

static void fs_dir_advance(struct fs_handle *h, const struct fs_dirent *d)
{
	h->next_offset = d->offset;
	h->buf_pos += d->reclen;
}

static bool fs_dir_is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/*
 * Write one entry into the chain; false when it does not fit into the @room left. With @dir given
 * (READDIRPLUS) the entry is looked up as well. Where that fails, and for "." and "..", it goes
 * without: node id 0.
 */
static bool fs_dir_emit(struct fs_server *s, struct fs_request *r, struct fs_inode *dir,
			const struct fs_dirent *d, size_t room, size_t *used)
{
	static const char padding[8];
	const size_t name_len = strlen(d->name);
	const size_t head = dir ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
	const size_t size = FUSE_DIRENT_ALIGN(head + name_len);
	const struct fuse_dirent out = { .ino = d->ino, .off = d->offset, .type = d->type,
					 .namelen = (uint32_t)name_len };
	struct fuse_entry_out entry = { .attr = { .ino = d->ino, .mode = DTTOIF(d->type) } };

	if (size > room - *used)
		return false;
	if (dir) {
		if (!fs_dir_is_dot(d->name) && fs_lookup(s, dir, d->name, &entry) < 0)
			entry.nodeid = 0;
		chain_write(&r->chain, &entry, sizeof(entry));
	}
	chain_write(&r->chain, &out, sizeof(out));
	chain_write(&r->chain, d->name, name_len);
	chain_write(&r->chain, padding, size - head - name_len);
	*used += size;
	return true;
}

/* Lock of the handle held. */
static int fs_dir_fill(struct fs_server *s, struct fs_request *r, struct fs_handle *h,
		       struct fs_inode *dir, const struct fuse_read_in *in)
{
	ssize_t room = fs_reply_begin_data(r, in->size);
	const struct fs_dirent *d;
	size_t used = 0;
	int error = room < 0 ? (int)room : fs_dir_seek(h, in->offset);

	if (error < 0)
		return error;
	while ((d = fs_dir_current(h, &error)) && fs_dir_emit(s, r, dir, d, (size_t)room, &used))
		fs_dir_advance(h, d);
	if (d && !used)
		return -EINVAL; /* not even one fits: an empty answer would mean the end */
	return error < 0 && !used ? error : fs_reply_end_data(r, used);
}

static int fs_dir_read(struct fs_server *s, struct fs_request *r, const struct fuse_read_in *in,
		       struct fs_inode *dir)
{
	cleanup_handle struct fs_handle *h = fs_handle_get(&s->handles, in->fh, true);
	int ret;

	if (!h)
		return -EBADF;
	if (in->offset > INT64_MAX)
		return -EINVAL;
	pthread_mutex_lock(&h->dir_lock);
	ret = fs_dir_fill(s, r, h, dir, in);
	pthread_mutex_unlock(&h->dir_lock);
	return ret;
}

int fs_op_readdir(struct fs_server *s, struct fs_request *r, const void *arg)
{
	return fs_dir_read(s, r, arg, NULL);
}

int fs_op_readdirplus(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *dir = fs_node(s, r);

	return dir ? fs_dir_read(s, r, arg, dir) : -ESTALE;
}
