/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_REQUEST_H
#define VMM_WORKERS_FS_REQUEST_H

/*
 * One FUSE request: its header and arguments in a private copy, and its reply. What a guest can
 * change while it is worked on are file contents alone, which go straight between the chain and
 * the file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/virtio/virtqueue.h"
#include "vmm/workers/fs_proto.h"

struct fs_creds;

/* The longest arguments are SETXATTR's: a value of 64 KiB behind a structure and a name. */
#define FS_ARGS_MAX (65536u + 4096u)
#define FS_NAME_MAX 255u

struct fs_request {
	struct virtq_chain chain;
	struct fuse_in_header in;
	size_t len; /* of args, extensions not counted */
	size_t pos; /* what has been read of them */
	size_t ext_len; /* extensions lie at args + len */
	size_t reply_len; /* bytes written into the chain, for the used ring */
	bool nowait; /* answer -EAGAIN rather than wait for a disk: the request is run again */
	/* For its owner. */
	unsigned int queue;
	struct fs_request *next;
	_Alignas(8) char args[FS_ARGS_MAX + 1];
};

/**
 * fs_request_begin() - take in the header of what chain holds
 *
 * Return: 0, or -EPROTO when there is no whole header or its length is not the chain's: such a
 * request has nobody to answer to.
 */
int fs_request_begin(struct fs_request *r);

/** fs_request_read_args() - copy @len bytes of arguments (at most FS_ARGS_MAX); 0 or -EINVAL */
int fs_request_read_args(struct fs_request *r, size_t len);

/** fs_request_args_left() - bytes of arguments in the chain, not read yet */
size_t fs_request_args_left(const struct fs_request *r);

/** fs_arg() - the next @size bytes of the arguments, NULL when there are fewer */
const void *fs_arg(struct fs_request *r, size_t size);

/** fs_arg_str() - the next string, @max bytes at most, not empty; 0, -EINVAL or -ENAMETOOLONG */
int fs_arg_str(struct fs_request *r, size_t max, const char **str);

/**
 * fs_arg_name() - the next string, which is one component of a path
 *
 * Never "." or "..", never with a slash: what is handed to the kernel with it stays in that
 * directory. Return: 0, -EINVAL or -ENAMETOOLONG.
 */
int fs_arg_name(struct fs_request *r, const char **name);

/** fs_arg_creds() - whom to create a file for, from header and extensions; 0 or -EINVAL */
int fs_arg_creds(const struct fs_request *r, mode_t umask, struct fs_creds *creds);

/** fs_reply() - answer with success and @len bytes; 0 */
int fs_reply(struct fs_request *r, const void *data, size_t len);

/** fs_reply_error() - answer with an error; @error is -errno, or 0 for success without data */
int fs_reply_error(struct fs_request *r, int error);

/**
 * fs_reply_begin_data() - leave room for the header: data is then written into the chain
 *
 * Return: bytes of data that fit, at most @max; or -EINVAL when not even a header does.
 */
ssize_t fs_reply_begin_data(struct fs_request *r, size_t max);

/** fs_reply_end_data() - put the header before @len bytes of data; 0 */
int fs_reply_end_data(struct fs_request *r, size_t len);

#endif
