/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "vmm/workers/fs_creds.h"
#include "vmm/workers/fs_ops.h"

/*
 * Theory of operation
 *
 * A request names inodes by node ids and files by handles that we gave out, and at most two names,
 * each a single component. Every path is walked by the guest, one LOOKUP a component, and never
 * through a symlink on the host: links are read by the guest and resolved there. So all that can be
 * reached are the entries of directories that the guest already knows, which begin with the
 * export's root; the root has no ".." because no request can ask for it.
 *
 * Permissions are the guest kernel's business (virtio-fs mounts check them by mode and owner).
 * What the host wants to hold whatever the guest does, such as read-only mounts, it has put into
 * the mounts of the export: the host's kernel refuses then.
 *
 * Names and attributes are cached by the guest for FS_CACHE_SECONDS, file contents until size or
 * time of change are others; the host may change files, and sees what the guest wrote at once,
 * because the guest does not delay its writes. Locks are the guest kernel's: they hold among all
 * processes of one container, and not between containers that share a directory.
 */

#define FS_FEATURES                                                                         \
	(FUSE_ASYNC_READ | FUSE_BIG_WRITES |                                                \
	 FUSE_ATOMIC_O_TRUNC |	  /* O_TRUNC comes with OPEN: one request less */           \
	 FUSE_DONT_MASK |	  /* the umask is ours to apply: default ACLs override it */ \
	 FUSE_AUTO_INVAL_DATA |	  /* cached pages go when size or time changed on the host */ \
	 FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | \
	 FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |                            \
	 FUSE_HANDLE_KILLPRIV_V2 | /* we clear SUID and SGID when told to */                \
	 FUSE_SETXATTR_EXT | FUSE_INIT_EXT |                                                \
	 FUSE_SUBMOUNTS | /* a bind mount has a device number of its own in the guest */     \
	 FUSE_CREATE_SUPP_GROUP)

/* Before 7.36 the flags were 32 bits, and the fields behind them were not there. */
#define FS_INIT_IN_COMPAT offsetof(struct fuse_init_in, flags2)
/* Likewise without FUSE_SETXATTR_EXT (7.33). */
#define FS_SETXATTR_COMPAT offsetof(struct fuse_setxattr_in, setxattr_flags)

int fs_op_init(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_init_in *in = arg;
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION };
	uint64_t flags;

	if (in->major > FUSE_KERNEL_VERSION) /* it will ask again, with our version */
		return fs_reply(r, &out, sizeof(out));
	if (in->major < FUSE_KERNEL_VERSION || in->minor < FS_FUSE_MINOR_MIN) {
		log_warning("the guest speaks FUSE %u.%u: 7.%d or later is needed", in->major,
			    in->minor, FS_FUSE_MINOR_MIN);
		return -EPROTO;
	}
	flags = in->flags;
	if ((in->flags & FUSE_INIT_EXT) && r->len >= FS_INIT_IN_COMPAT + sizeof(uint32_t))
		flags |= (uint64_t)in->flags2 << 32;
	flags &= FS_FEATURES;
	if (!(flags & FUSE_MAX_PAGES) || !(flags & FUSE_DONT_MASK))
		return -EPROTO;
	fs_handles_reset(&s->handles);
	fs_inodes_reset(&s->inodes);
	out.max_readahead = in->max_readahead;
	out.flags = (uint32_t)flags;
	out.flags2 = (uint32_t)(flags >> 32);
	out.max_background = 64;
	out.congestion_threshold = 48;
	out.max_write = FS_MAX_WRITE;
	out.max_pages = FS_MAX_PAGES;
	out.time_gran = 1;
	s->setxattr_ext = flags & FUSE_SETXATTR_EXT;
	s->initialized = true;
	log_debug("FUSE session: 7.%u, features %#llx", in->minor, (unsigned long long)flags);
	return fs_reply(r, &out, sizeof(out));
}

int fs_op_destroy(struct fs_server *s, struct fs_request *r, const void *arg)
{
	(void)arg;
	fs_handles_reset(&s->handles);
	fs_inodes_reset(&s->inodes);
	s->initialized = false;
	return fs_reply_error(r, 0);
}

int fs_op_statfs(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	struct fuse_statfs_out out = { 0 };
	struct statfs st;

	(void)arg;
	if (!inode)
		return -ESTALE;
	if (fstatfs(inode->fd, &st) < 0)
		return -errno;
	out.st.blocks = st.f_blocks;
	out.st.bfree = st.f_bfree;
	out.st.bavail = st.f_bavail;
	out.st.files = st.f_files;
	out.st.ffree = st.f_ffree;
	out.st.bsize = (uint32_t)st.f_bsize;
	out.st.namelen = (uint32_t)st.f_namelen;
	out.st.frsize = (uint32_t)st.f_frsize;
	return fs_reply(r, &out, sizeof(out));
}

int fs_op_syncfs(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = fs_node(s, r);
	cleanup_close int fd = -1;

	(void)arg;
	if (!inode)
		return -ESTALE;
	fd = fs_reopen(s, inode, O_RDONLY);
	if (fd < 0)
		return fd;
	return syncfs(fd) < 0 ? -errno : fs_reply_error(r, 0);
}

/* INTERRUPT: a request that is at work is let finish; there is no reply to this one. */
int fs_op_ignore(struct fs_server *s, struct fs_request *r, const void *arg)
{
	(void)s;
	(void)r;
	(void)arg;
	return 0;
}

struct fs_op_entry {
	fs_op *fn;
	size_t arg_size; /* of the fixed part */
	enum fs_kind kind;
	bool data;	/* file data follows the fixed part: it stays in the chain */
	bool no_reply;	/* the guest expects none, not even an error */
};

#define FS_OP(op, type, kind) { fs_op_##op, sizeof(struct type), kind, false, false }
#define FS_OP0(op, kind) { fs_op_##op, 0, kind, false, false }

static const struct fs_op_entry fs_ops[] = {
	[FUSE_LOOKUP] = FS_OP0(lookup, FS_QUICK),
	[FUSE_FORGET] = { fs_op_forget, sizeof(struct fuse_forget_in), FS_QUICK, false, true },
	[FUSE_GETATTR] = FS_OP(getattr, fuse_getattr_in, FS_QUICK),
	[FUSE_SETATTR] = FS_OP(setattr, fuse_setattr_in, FS_QUICK),
	[FUSE_READLINK] = FS_OP0(readlink, FS_QUICK),
	[FUSE_SYMLINK] = FS_OP0(symlink, FS_QUICK),
	[FUSE_MKNOD] = FS_OP(mknod, fuse_mknod_in, FS_QUICK),
	[FUSE_MKDIR] = FS_OP(mkdir, fuse_mkdir_in, FS_QUICK),
	[FUSE_UNLINK] = FS_OP0(unlink, FS_QUICK),
	[FUSE_RMDIR] = FS_OP0(rmdir, FS_QUICK),
	[FUSE_RENAME] = FS_OP(rename, fuse_rename_in, FS_QUICK),
	[FUSE_LINK] = FS_OP(link, fuse_link_in, FS_QUICK),
	[FUSE_OPEN] = FS_OP(open, fuse_open_in, FS_QUICK),
	[FUSE_READ] = FS_OP(read, fuse_read_in, FS_READ),
	[FUSE_WRITE] = { fs_op_write, sizeof(struct fuse_write_in), FS_QUICK, true, false },
	[FUSE_STATFS] = FS_OP0(statfs, FS_QUICK),
	[FUSE_RELEASE] = FS_OP(release, fuse_release_in, FS_QUICK),
	[FUSE_FSYNC] = FS_OP(fsync, fuse_fsync_in, FS_SLOW),
	[FUSE_SETXATTR] = { fs_op_setxattr, FS_SETXATTR_COMPAT, FS_QUICK, false, false },
	[FUSE_GETXATTR] = FS_OP(getxattr, fuse_getxattr_in, FS_QUICK),
	[FUSE_LISTXATTR] = FS_OP(listxattr, fuse_getxattr_in, FS_QUICK),
	[FUSE_REMOVEXATTR] = FS_OP0(removexattr, FS_QUICK),
	[FUSE_FLUSH] = FS_OP(flush, fuse_flush_in, FS_SLOW),
	[FUSE_INIT] = { fs_op_init, FS_INIT_IN_COMPAT, FS_SESSION, false, false },
	[FUSE_OPENDIR] = FS_OP(opendir, fuse_open_in, FS_QUICK),
	[FUSE_READDIR] = FS_OP(readdir, fuse_read_in, FS_QUICK),
	[FUSE_RELEASEDIR] = FS_OP(releasedir, fuse_release_in, FS_QUICK),
	[FUSE_FSYNCDIR] = FS_OP(fsyncdir, fuse_fsync_in, FS_SLOW),
	[FUSE_CREATE] = FS_OP(create, fuse_create_in, FS_QUICK),
	[FUSE_INTERRUPT] = { fs_op_ignore, sizeof(struct fuse_interrupt_in), FS_QUICK, false,
			     true },
	[FUSE_DESTROY] = FS_OP0(destroy, FS_SESSION),
	[FUSE_BATCH_FORGET] = { fs_op_batch_forget, sizeof(struct fuse_batch_forget_in), FS_QUICK,
				false, true },
	[FUSE_FALLOCATE] = FS_OP(fallocate, fuse_fallocate_in, FS_SLOW),
	[FUSE_READDIRPLUS] = FS_OP(readdirplus, fuse_read_in, FS_QUICK),
	[FUSE_RENAME2] = FS_OP(rename2, fuse_rename2_in, FS_QUICK),
	[FUSE_LSEEK] = FS_OP(lseek, fuse_lseek_in, FS_QUICK),
	[FUSE_COPY_FILE_RANGE] = FS_OP(copy_file_range, fuse_copy_file_range_in, FS_SLOW),
	[FUSE_SYNCFS] = FS_OP(syncfs, fuse_syncfs_in, FS_SLOW),
	[FUSE_TMPFILE] = FS_OP(tmpfile, fuse_create_in, FS_QUICK),
};

static const struct fs_op_entry *fs_op_entry(uint32_t opcode)
{
	if (opcode >= sizeof(fs_ops) / sizeof(fs_ops[0]) || !fs_ops[opcode].fn)
		return NULL;
	return &fs_ops[opcode];
}

enum fs_kind fs_server_kind(const struct fs_request *r)
{
	const struct fs_op_entry *e = fs_op_entry(r->in.opcode);

	if (r->in.opcode == FUSE_WRITE && r->in.len >= FS_LARGE)
		return FS_SLOW;
	return e ? e->kind : FS_QUICK;
}

static int fs_server_dispatch(struct fs_server *s, struct fs_request *r,
			      const struct fs_op_entry *e)
{
	const void *arg;
	int ret;

	if (!s->initialized && e->fn != fs_op_init)
		return -EIO;
	if (!r->len) { /* else it is handled a second time */
		ret = fs_request_read_args(r, e->data ? e->arg_size : fs_request_args_left(r));
		if (ret < 0)
			return ret;
	}
	r->pos = 0;
	arg = fs_arg(r, e->arg_size);
	return arg ? e->fn(s, r, arg) : -EINVAL;
}

int fs_server_handle(struct fs_server *s, struct fs_request *r)
{
	const struct fs_op_entry *e = fs_op_entry(r->in.opcode);
	/* ENOSYS makes the guest's kernel stop asking: for ioctl, access, bmap and the like. */
	int ret = e ? fs_server_dispatch(s, r, e) : -ENOSYS;

	if (ret == -EAGAIN && r->nowait)
		return ret;
	if (ret < 0 && !(e && e->no_reply))
		fs_reply_error(r, ret);
	return 0;
}

int fs_server_init(struct fs_server *s, int root_fd, int proc_fd, uint32_t max_fds,
		   struct error **err)
{
	memset(s, 0, sizeof(*s));
	s->proc_fd = proc_fd;
	/* Files that are open at a time are far fewer than those known. */
	fs_handles_init(&s->handles, max_fds / 4);
	return fs_inodes_init(&s->inodes, root_fd, max_fds - max_fds / 4, err);
}

int fs_server_thread_init(const struct fs_server *s, struct error **err)
{
	if (fs_creds_thread_init(err) < 0)
		return -1;
	/* For the calls on extended attributes, which know paths only: see fs_xattr.c. */
	if (fchdir(s->proc_fd) < 0)
		return error_set(err, errno, "cannot enter /proc/self/fd");
	return 0;
}

void fs_server_release(struct fs_server *s)
{
	fs_handles_release(&s->handles);
	fs_inodes_release(&s->inodes);
	close(s->proc_fd);
}
