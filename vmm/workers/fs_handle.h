/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_HANDLE_H
#define VMM_WORKERS_FS_HANDLE_H

/* Open files and directories, by the numbers (fh) that the guest was given for them. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/workers/fs_idtable.h"

struct fs_handles {
	pthread_mutex_t lock;
	struct fs_idtable ids;
	uint32_t max;
};

struct fs_handle {
	struct fs_handles *table; /* borrowed */
	uint64_t fh;
	int fd; /* owned */
	bool dir;
	bool released;	    /* by the guest; freed when the last request is done with it */
	unsigned int users; /* requests at work on it */
	/* Directories: entries read ahead, and where in the directory they end. */
	pthread_mutex_t dir_lock;
	char *buf; /* owned; NULL until the first read */
	size_t buf_len, buf_pos;
	uint64_t next_offset; /* of the entry at buf_pos */
	bool next_valid;
};

void fs_handles_init(struct fs_handles *t, uint32_t max);
void fs_handles_release(struct fs_handles *t);

/** fs_handles_reset() - a new session: close everything */
void fs_handles_reset(struct fs_handles *t);

/** fs_handle_new() - @fd: owned from now on, also on failure; 0, -ENFILE or -ENOMEM */
int fs_handle_new(struct fs_handles *t, int fd, bool dir, uint64_t *fh);

/** fs_handle_get() - in use until fs_handle_put(); NULL: no such handle of that kind */
struct fs_handle *fs_handle_get(struct fs_handles *t, uint64_t fh, bool dir);
void fs_handle_put(struct fs_handle *h);

/** fs_handle_remove() - the guest closed it */
void fs_handle_remove(struct fs_handles *t, uint64_t fh, bool dir);

static inline void cleanup_handle_fn(struct fs_handle **h)
{
	if (*h)
		fs_handle_put(*h);
}
#define cleanup_handle __attribute__((cleanup(cleanup_handle_fn)))

#endif
