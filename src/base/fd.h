/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/**
 * fd_read_full() - read exactly @len bytes, restarting after EINTR and short reads
 *
 * Return: 1 when all was read, 0 at end of file before the first byte, -errno otherwise
 * (-EPROTO when the file ended in between).
 */
int fd_read_full(int fd, void *buf, size_t len);

/** fd_write_full() - write exactly @len bytes; 0 or -errno. Blocking fds only. */
int fd_write_full(int fd, const void *buf, size_t len);

/**
 * fd_read_file() - the whole of an open file, with a NUL behind it
 * @fd:   positioned at its start
 * @max:  refused (EFBIG) when longer
 * @len:  out, may be NULL
 *
 * Return: malloc'ed, NULL with errno set.
 */
char *fd_read_file(int fd, size_t max, size_t *len);

/** fd_is_null() - is this the null device? */
bool fd_is_null(int fd);

/** fd_set_nonblock() - set or clear O_NONBLOCK; 0 or -errno */
int fd_set_nonblock(int fd, bool on);

/** fd_set_cloexec() - set or clear FD_CLOEXEC; 0 or -errno */
int fd_set_cloexec(int fd, bool on);

/** fd_raise_limit() - allow as many fds as the hard limit does; that number */
uint32_t fd_raise_limit(void);

/**
 * fd_keep_only() - close every file descriptor from 3 up but those listed
 * @keep:  array of fds, in any order, sorted in place
 * @count: its length
 *
 * Return: 0 or -errno.
 */
int fd_keep_only(int *keep, size_t count);

#endif
