/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_POOL_H
#define VMM_WORKERS_FS_POOL_H

/*
 * Threads for the requests that may wait for a disk or move much data, so that the others do not
 * wait for them. They never touch a virtqueue: what they have done is fetched by the thread that
 * runs the queues.
 */

#include "vmm/workers/fs_request.h"

struct error;
struct fs_pool;
struct fs_server;

/**
 * fs_pool_create() - start the threads; they are ready when it returns
 * @server: borrowed
 * @done:   called on a pool thread when there is something to fetch
 */
struct fs_pool *fs_pool_create(struct fs_server *server, unsigned int threads,
			       void (*done)(void *data), void *data, struct error **err);

/** fs_pool_free() - end the threads; no request may be left */
void fs_pool_free(struct fs_pool *pool);

/** fs_pool_submit() - have a request handled */
void fs_pool_submit(struct fs_pool *pool, struct fs_request *r);

/** fs_pool_fetch() - the requests that are done, linked by next, in the order they were finished */
struct fs_request *fs_pool_fetch(struct fs_pool *pool);

/** fs_pool_drain() - wait until nothing is left to do, but what is done to fetch */
void fs_pool_drain(struct fs_pool *pool);

#endif
