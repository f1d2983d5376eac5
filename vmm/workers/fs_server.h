/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_SERVER_H
#define VMM_WORKERS_FS_SERVER_H

/*
 * The FUSE server: what a request asks for, done on the host's file system. It knows nothing of
 * vhost-user; fs_device.c brings the requests. Several threads may be in
 * fs_server_handle().
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/workers/fs_handle.h"
#include "vmm/workers/fs_inode.h"
#include "vmm/workers/fs_request.h"

struct error;

struct fs_server {
	int proc_fd; /* the directory /proc/self/fd and nothing above it; owned */
	struct fs_inodes inodes;
	struct fs_handles handles;
	bool initialized;  /* between INIT and DESTROY */
	bool setxattr_ext; /* negotiated: struct fuse_setxattr_in is whole */
};

/**
 * fs_server_init() - make a server
 * @root_fd: O_PATH of the export, owned from now on
 * @proc_fd: see struct fs_server; owned from now on
 * @max_fds: file descriptors that inodes and open files may take together
 */
int fs_server_init(struct fs_server *s, int root_fd, int proc_fd, uint32_t max_fds,
		   struct error **err);
void fs_server_release(struct fs_server *s);

/** fs_server_thread_init() - what a thread needs before it may call fs_server_handle() */
int fs_server_thread_init(const struct fs_server *s, struct error **err);

/** enum fs_kind - where a request is best run */
enum fs_kind {
	FS_QUICK,   /* does not wait for a disk as a rule */
	FS_READ,    /* can be tried without waiting: nowait */
	FS_SLOW,    /* waits for disks, or moves much data */
	FS_SESSION, /* INIT and DESTROY: must be alone */
};

/** fs_server_kind() - for a request that fs_request_begin() has accepted */
enum fs_kind fs_server_kind(const struct fs_request *r);

/**
 * fs_server_handle() - do what a request asks and write its reply into its chain
 *
 * Return: 0 with r->reply_len set, or -EAGAIN when r->nowait was set and it would have waited:
 * nothing has been done then, and it can be handled again with nowait off.
 */
int fs_server_handle(struct fs_server *s, struct fs_request *r);

#endif
