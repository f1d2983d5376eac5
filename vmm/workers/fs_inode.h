/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_INODE_H
#define VMM_WORKERS_FS_INODE_H

/*
 * The inodes that the guest knows. Each is an O_PATH fd, found by node id, and by (mount, device,
 * inode number) when it is looked up again: hard links are one inode, the same directory in two
 * bind mounts is two, since one may be read-only. The fd keeps the host's inode from being freed,
 * so the key cannot come to mean another file, and an unlinked file can still be reached.
 *
 * Fds are what limits the table: one for every inode in the guest's cache. Past @max, lookups fail
 * with ENFILE until the guest forgets some.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "vmm/workers/fs_idtable.h"

struct fs_inodes;
struct error;

struct fs_inode {
	struct fs_inodes *table; /* borrowed */
	struct fs_inode *next;	 /* in its hash bucket */
	uint64_t nodeid;
	uint64_t dev, ino, mnt_id; /* the key */
	int fd;			   /* O_PATH, owned */
	mode_t type;		   /* S_IFMT part of the mode: never changes */
	uint64_t nlookup;	   /* the guest's references */
	unsigned int users;	   /* requests at work on it */
	/* What the file was like when it was last opened: see fs_inode_unchanged(). */
	struct statx_timestamp seen_mtime, seen_ctime;
	uint64_t seen_size;
	bool seen;
};

struct fs_inodes {
	pthread_mutex_t lock; /* of all that is here, and of every inode's counts and seen_* */
	struct fs_idtable ids;
	struct fs_inode **buckets; /* owned; num_buckets is a power of two */
	uint32_t num_buckets;
	uint32_t max;
	bool warned;
};

/**
 * fs_inodes_init() - make the table with its root, node id 1
 * @root_fd: O_PATH, owned from now on
 * @max:     inodes at most
 */
int fs_inodes_init(struct fs_inodes *t, int root_fd, uint32_t max, struct error **err);
void fs_inodes_release(struct fs_inodes *t);

/** fs_inodes_reset() - a new session: forget everything but the root */
void fs_inodes_reset(struct fs_inodes *t);

/** fs_inode_get() - the inode of a node id, in use until fs_inode_put(); NULL: unknown */
struct fs_inode *fs_inode_get(struct fs_inodes *t, uint64_t nodeid);
void fs_inode_put(struct fs_inode *inode);

/**
 * fs_inode_enter() - the guest comes to know a file
 * @fd:  O_PATH, owned from now on, also on failure
 * @stx: its statx(), STATX_MNT_ID included
 *
 * Counts one lookup. Return: 0 with *nodeid set, -ENFILE or -ENOMEM.
 */
int fs_inode_enter(struct fs_inodes *t, int fd, const struct statx *stx, uint64_t *nodeid);

/** fs_inode_forget() - the guest drops @n lookups; unknown ids and excess counts are ignored */
void fs_inode_forget(struct fs_inodes *t, uint64_t nodeid, uint64_t n);

/**
 * fs_inode_unchanged() - is the file as it was at the last call? Remembers how it is now.
 *
 * Tells whether what the guest has cached of the file since then is still good.
 */
bool fs_inode_unchanged(struct fs_inode *inode, const struct statx *stx);

static inline void cleanup_inode_fn(struct fs_inode **inode)
{
	if (*inode)
		fs_inode_put(*inode);
}
#define cleanup_inode __attribute__((cleanup(cleanup_inode_fn)))

#endif
