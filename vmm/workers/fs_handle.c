/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fs_handles_init(struct fs_handles *t, uint32_t max)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	t->max = max;
}

static void fs_handle_free(struct fs_handle *h)
{
	close(h->fd);
	pthread_mutex_destroy(&h->dir_lock);
	free(h->buf);
	free(h);
}

/* Lock held. */
static void fs_handle_drop(struct fs_handle *h)
{
	fs_idtable_remove(&h->table->ids, h->fh);
	h->released = true;
	if (!h->users)
		fs_handle_free(h);
}

void fs_handles_reset(struct fs_handles *t)
{
	struct fs_handle *h;
	uint32_t cursor = 0;

	pthread_mutex_lock(&t->lock);
	while ((h = fs_idtable_next(&t->ids, &cursor)))
		fs_handle_drop(h);
	pthread_mutex_unlock(&t->lock);
}

void fs_handles_release(struct fs_handles *t)
{
	fs_handles_reset(t);
	fs_idtable_release(&t->ids);
	pthread_mutex_destroy(&t->lock);
}

int fs_handle_new(struct fs_handles *t, int fd, bool dir, uint64_t *fh)
{
	struct fs_handle *h = calloc(1, sizeof(*h));
	int r = h ? 0 : -ENOMEM;

	if (!h) {
		close(fd);
		return r;
	}
	h->table = t;
	h->fd = fd;
	h->dir = dir;
	pthread_mutex_init(&h->dir_lock, NULL);
	pthread_mutex_lock(&t->lock);
	if (t->ids.count >= t->max)
		r = -ENFILE;
	else if (!(h->fh = fs_idtable_add(&t->ids, h)))
		r = -ENOMEM;
	*fh = h->fh;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		fs_handle_free(h);
	return r;
}

struct fs_handle *fs_handle_get(struct fs_handles *t, uint64_t fh, bool dir)
{
	struct fs_handle *h;

	pthread_mutex_lock(&t->lock);
	h = fs_idtable_get(&t->ids, fh);
	if (h && h->dir != dir)
		h = NULL;
	if (h)
		h->users++;
	pthread_mutex_unlock(&t->lock);
	return h;
}

void fs_handle_put(struct fs_handle *h)
{
	struct fs_handles *t = h->table;
	bool last;

	pthread_mutex_lock(&t->lock);
	last = --h->users == 0 && h->released;
	pthread_mutex_unlock(&t->lock);
	if (last)
		fs_handle_free(h);
}

void fs_handle_remove(struct fs_handles *t, uint64_t fh, bool dir)
{
	struct fs_handle *h;

	pthread_mutex_lock(&t->lock);
	h = fs_idtable_get(&t->ids, fh);
	if (h && h->dir == dir)
		fs_handle_drop(h);
	pthread_mutex_unlock(&t->lock);
}
