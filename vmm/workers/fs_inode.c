/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_inode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

static uint32_t fs_inode_hash(uint64_t dev, uint64_t ino, uint64_t mnt_id)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15ULL;

	h ^= (dev + (mnt_id << 20)) * 0xc2b2ae3d27d4eb4fULL;
	return (uint32_t)(h >> 32);
}

static uint64_t fs_stx_dev(const struct statx *stx)
{
	return (uint64_t)stx->stx_dev_major << 32 | stx->stx_dev_minor;
}

static struct fs_inode **fs_inode_bucket(struct fs_inodes *t, uint64_t dev, uint64_t ino,
					 uint64_t mnt_id)
{
	return &t->buckets[fs_inode_hash(dev, ino, mnt_id) & (t->num_buckets - 1)];
}

static struct fs_inode *fs_inode_find(struct fs_inodes *t, const struct statx *stx)
{
	const uint64_t dev = fs_stx_dev(stx);
	struct fs_inode *i = *fs_inode_bucket(t, dev, stx->stx_ino, stx->stx_mnt_id);

	while (i && (i->ino != stx->stx_ino || i->dev != dev || i->mnt_id != stx->stx_mnt_id))
		i = i->next;
	return i;
}

/* Chains stay short; when memory for a larger table is lacking they grow, and that is all. */
static void fs_inodes_grow(struct fs_inodes *t)
{
	struct fs_inode **old = t->buckets;
	const uint32_t old_num = t->num_buckets;
	struct fs_inode **buckets = calloc((size_t)old_num * 2, sizeof(struct fs_inode *));

	if (!buckets)
		return;
	t->buckets = buckets;
	t->num_buckets = old_num * 2;
	for (uint32_t b = 0; b < old_num; b++) {
		while (old[b]) {
			struct fs_inode *i = old[b], **to;

			old[b] = i->next;
			to = fs_inode_bucket(t, i->dev, i->ino, i->mnt_id);
			i->next = *to;
			*to = i;
		}
	}
	free(old);
}

/* Takes @fd; the new inode has one lookup. */
static struct fs_inode *fs_inode_new(struct fs_inodes *t, int fd, const struct statx *stx)
{
	struct fs_inode *i = calloc(1, sizeof(*i)), **bucket;

	if (!i)
		goto fail;
	i->nodeid = fs_idtable_add(&t->ids, i);
	if (!i->nodeid)
		goto fail;
	i->table = t;
	i->dev = fs_stx_dev(stx);
	i->ino = stx->stx_ino;
	i->mnt_id = stx->stx_mnt_id;
	i->fd = fd;
	i->type = stx->stx_mode & S_IFMT;
	i->nlookup = 1;
	if (t->ids.count > t->num_buckets)
		fs_inodes_grow(t);
	bucket = fs_inode_bucket(t, i->dev, i->ino, i->mnt_id);
	i->next = *bucket;
	*bucket = i;
	return i;
fail:
	free(i);
	close(fd);
	return NULL;
}

/* Lock held. Once neither the guest nor a request refers to it. */
static void fs_inode_drop(struct fs_inode *i)
{
	struct fs_inodes *t = i->table;
	struct fs_inode **p = fs_inode_bucket(t, i->dev, i->ino, i->mnt_id);

	while (*p != i)
		p = &(*p)->next;
	*p = i->next;
	fs_idtable_remove(&t->ids, i->nodeid);
	close(i->fd);
	free(i);
}

int fs_inodes_init(struct fs_inodes *t, int root_fd, uint32_t max, struct error **err)
{
	struct statx stx;

	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	t->max = max;
	t->num_buckets = 1024;
	t->buckets = calloc(t->num_buckets, sizeof(struct fs_inode *));
	if (!t->buckets) {
		close(root_fd);
		return error_set(err, ENOMEM, "cannot make the inode table");
	}
	if (statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &stx) < 0) {
		error_set(err, errno, "cannot look at the export's root");
		close(root_fd);
		return -1;
	}
	if (!(stx.stx_mask & STATX_MNT_ID)) {
		close(root_fd);
		return error_set(err, 0, "the kernel is too old: Linux 5.8 or later is needed");
	}
	if (!fs_inode_new(t, root_fd, &stx))
		return error_set(err, ENOMEM, "cannot make the inode table");
	return 0;
}

void fs_inodes_reset(struct fs_inodes *t)
{
	struct fs_inode *i;
	uint32_t cursor = 0;

	pthread_mutex_lock(&t->lock);
	while ((i = fs_idtable_next(&t->ids, &cursor))) {
		i->nlookup = i->nodeid == 1;
		if (!i->nlookup && !i->users)
			fs_inode_drop(i);
	}
	pthread_mutex_unlock(&t->lock);
}

void fs_inodes_release(struct fs_inodes *t)
{
	struct fs_inode *i;
	uint32_t cursor = 0;

	while ((i = fs_idtable_next(&t->ids, &cursor)))
		fs_inode_drop(i);
	fs_idtable_release(&t->ids);
	free(t->buckets);
	t->buckets = NULL;
	pthread_mutex_destroy(&t->lock);
}

struct fs_inode *fs_inode_get(struct fs_inodes *t, uint64_t nodeid)
{
	struct fs_inode *i;

	pthread_mutex_lock(&t->lock);
	i = fs_idtable_get(&t->ids, nodeid);
	if (i && !i->nlookup)
		i = NULL; /* forgotten already; a last request is still at work on it */
	if (i)
		i->users++;
	pthread_mutex_unlock(&t->lock);
	return i;
}

void fs_inode_put(struct fs_inode *inode)
{
	struct fs_inodes *t = inode->table;

	pthread_mutex_lock(&t->lock);
	inode->users--;
	if (!inode->users && !inode->nlookup)
		fs_inode_drop(inode);
	pthread_mutex_unlock(&t->lock);
}

static int fs_inode_enter_new(struct fs_inodes *t, int fd, const struct statx *stx,
			      uint64_t *nodeid)
{
	struct fs_inode *i;

	if (t->ids.count >= t->max) {
		if (!t->warned)
			log_warning("the guest caches %u files, the most that RLIMIT_NOFILE "
				    "allows: opening more fails with ENFILE", t->ids.count);
		t->warned = true;
		close(fd);
		return -ENFILE;
	}
	i = fs_inode_new(t, fd, stx);
	if (!i)
		return -ENOMEM;
	*nodeid = i->nodeid;
	return 0;
}

int fs_inode_enter(struct fs_inodes *t, int fd, const struct statx *stx, uint64_t *nodeid)
{
	struct fs_inode *i;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	i = fs_inode_find(t, stx);
	if (i) {
		i->nlookup++;
		*nodeid = i->nodeid;
		close(fd);
	} else {
		r = fs_inode_enter_new(t, fd, stx, nodeid);
	}
	pthread_mutex_unlock(&t->lock);
	return r;
}

void fs_inode_forget(struct fs_inodes *t, uint64_t nodeid, uint64_t n)
{
	struct fs_inode *i;

	if (nodeid == 1)
		return;
	pthread_mutex_lock(&t->lock);
	i = fs_idtable_get(&t->ids, nodeid);
	if (i) {
		i->nlookup -= n < i->nlookup ? n : i->nlookup;
		if (!i->nlookup && !i->users)
			fs_inode_drop(i);
	}
	pthread_mutex_unlock(&t->lock);
}

static bool fs_time_equal(const struct statx_timestamp *a, const struct statx_timestamp *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool fs_inode_unchanged(struct fs_inode *inode, const struct statx *stx)
{
	bool same;

	pthread_mutex_lock(&inode->table->lock);
	same = inode->seen && inode->seen_size == stx->stx_size &&
	       fs_time_equal(&inode->seen_mtime, &stx->stx_mtime) &&
	       fs_time_equal(&inode->seen_ctime, &stx->stx_ctime);
	inode->seen = true;
	inode->seen_size = stx->stx_size;
	inode->seen_mtime = stx->stx_mtime;
	inode->seen_ctime = stx->stx_ctime;
	pthread_mutex_unlock(&inode->table->lock);
	return same;
}
