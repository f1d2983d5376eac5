/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_OPS_H
#define VMM_WORKERS_FS_OPS_H

/*
 * The handlers of FUSE's requests, for fs_server.c's table, and what they have in common. Each is
 * given the fixed part of its arguments (of the size that the table says), and answers 0 when it
 * has replied, or -errno for the error to reply with.
 */

#include "vmm/workers/fs_server.h"

struct fs_creds;

typedef int fs_op(struct fs_server *s, struct fs_request *r, const void *arg);

/* fs_server.c */
fs_op fs_op_init, fs_op_destroy, fs_op_statfs, fs_op_syncfs, fs_op_ignore;
/* fs_lookup.c */
fs_op fs_op_lookup, fs_op_forget, fs_op_batch_forget;
/* fs_attr.c */
fs_op fs_op_getattr, fs_op_setattr;
/* fs_namespace.c */
fs_op fs_op_mknod, fs_op_mkdir, fs_op_symlink, fs_op_readlink, fs_op_link, fs_op_unlink,
	fs_op_rmdir, fs_op_rename, fs_op_rename2;
/* fs_file.c */
fs_op fs_op_open, fs_op_create, fs_op_tmpfile, fs_op_read, fs_op_write, fs_op_flush, fs_op_release,
	fs_op_fsync, fs_op_lseek, fs_op_fallocate, fs_op_copy_file_range;
/* fs_dir.c */
fs_op fs_op_opendir, fs_op_readdir, fs_op_readdirplus, fs_op_releasedir, fs_op_fsyncdir;
/* fs_xattr.c */
fs_op fs_op_setxattr, fs_op_getxattr, fs_op_listxattr, fs_op_removexattr;

#define FS_STATX_MASK (STATX_BASIC_STATS | STATX_MNT_ID)

/* Reads and writes from this size on gain by being done on another thread: bytes. */
#define FS_LARGE (64u << 10)

/* How long the guest may believe names and attributes: the host may change the files, too. */
#define FS_CACHE_SECONDS 1

/**
 * fs_attr_seconds() - how long the guest may go by what it was told of a file's size and times
 *
 * Not at all where a small file is itself a bind mount: engines write /etc/hosts and /etc/resolv.conf
 * when the guest has seen them already, and again when networks change.
 */
uint64_t fs_attr_seconds(const struct statx *stx);

/* fs_attr.c */

/** fs_statx() - attributes of a file by an fd; 0 or -errno */
int fs_statx(int fd, struct statx *stx);

/** fs_attr_fill() - @submount: the file is the root of another mount than its directory */
void fs_attr_fill(struct fuse_attr *attr, const struct statx *stx, bool submount);

/* fs_lookup.c */

/** fs_node() - the inode that the request is for, in use; NULL: unknown */
struct fs_inode *fs_node(struct fs_server *s, const struct fs_request *r);

/** fs_lookup() - find @name in @dir and count a lookup of it; 0 or -errno */
int fs_lookup(struct fs_server *s, struct fs_inode *dir, const char *name,
	      struct fuse_entry_out *entry);

/** fs_enter() - as fs_lookup(), for an O_PATH fd, which is owned from now on */
int fs_enter(struct fs_server *s, struct fs_inode *dir, int fd, struct fuse_entry_out *entry);

/* fs_file.c */

/** struct fs_proc_name - an fd's name in /proc/self/fd, for calls that take no O_PATH fd */
struct fs_proc_name {
	char s[12];
};
struct fs_proc_name fs_proc_name(int fd);

/**
 * fs_reopen() - open an inode for reading or writing
 *
 * Only regular files and directories are ever opened: opening a FIFO would wait, opening a device
 * or a socket would reach something outside the export. Return: fd or -errno.
 */
int fs_reopen(const struct fs_server *s, const struct fs_inode *inode, int flags);

#endif
