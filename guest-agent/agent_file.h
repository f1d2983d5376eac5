/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_FILE_H
#define GUEST_AGENT_AGENT_FILE_H

#include <stdint.h>
#include <sys/types.h>

struct error;

/**
 * file_write() - write a short text to an existing file in one write(), as proc and cgroupfs want
 * @dirfd: as for openat()
 */
int file_write(int dirfd, const char *path, const char *text, struct error **err);

/**
 * root_open() - open a path as the container would see it
 * @root:  O_PATH fd of the container's root
 * @path:  absolute or relative, both from @root; symbolic links and ".." cannot leave it
 * @flags: as for openat(); O_CLOEXEC is added
 *
 * Return: an fd, or -errno. Magic links (proc's fd, exe, root…) are not followed: -ELOOP.
 */
int root_open(int root, const char *path, int flags);

/**
 * root_ensure() - open a mount point as O_PATH, making what is missing of it
 * @root: O_PATH fd of the container's root
 * @path: as for root_open(); a dangling symbolic link has its target made
 * @type: S_IFDIR or S_IFREG: what to make. What exists is opened whatever it is.
 *
 * Return: an fd, or -errno.
 */
int root_ensure(int root, const char *path, mode_t type);

/** root_ensure_parent() - the directory of the last component of @path; *name points into @path */
int root_ensure_parent(int root, const char *path, const char **name);

#endif
