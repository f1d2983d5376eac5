/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"
#include "vmm/workers/fs_server.h"

#define FS_POOL_MAX_THREADS 16u

struct fs_list {
	struct fs_request *first, **end; /* end: where the next one is linked */
};

struct fs_pool {
	struct fs_server *server; /* borrowed */
	void (*done)(void *data);
	void *data;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* there is something in todo, or stopping */
	pthread_cond_t idle;  /* busy went to 0, or a thread has begun */
	struct fs_list todo, finished;
	unsigned int busy; /* requests submitted and not finished */
	unsigned int begun;
	struct error *error; /* of a thread that could not begin; owned */
	bool stopping;
	unsigned int num_threads;
	pthread_t threads[FS_POOL_MAX_THREADS];
};

static void fs_list_init(struct fs_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void fs_list_add(struct fs_list *l, struct fs_request *r)
{
	r->next = NULL;
	*l->end = r;
	l->end = &r->next;
}

static struct fs_request *fs_list_take(struct fs_list *l)
{
	struct fs_request *r = l->first;

	l->first = r->next;
	if (!l->first)
		l->end = &l->first;
	return r;
}

/* Lock held before and after. */
static void fs_pool_handle(struct fs_pool *pool, struct fs_request *r)
{
	bool first;

	pthread_mutex_unlock(&pool->lock);
	r->nowait = false;
	fs_server_handle(pool->server, r);
	pthread_mutex_lock(&pool->lock);
	first = !pool->finished.first;
	fs_list_add(&pool->finished, r);
	if (--pool->busy == 0)
		pthread_cond_broadcast(&pool->idle);
	if (first) /* else it has been told already and has not come yet */
		pool->done(pool->data);
}

static void *fs_pool_thread(void *arg)
{
	struct fs_pool *pool = arg;
	struct error *err = NULL;
	int r = fs_server_thread_init(pool->server, &err);

	pthread_mutex_lock(&pool->lock);
	if (r < 0)
		error_move(&pool->error, &err);
	pool->begun++;
	pthread_cond_broadcast(&pool->idle);
	while (r == 0) {
		while (!pool->todo.first && !pool->stopping)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (!pool->todo.first)
			break;
		fs_pool_handle(pool, fs_list_take(&pool->todo));
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static int fs_pool_start(struct fs_pool *pool, unsigned int threads, struct error **err)
{
	while (pool->num_threads < threads && pool->num_threads < FS_POOL_MAX_THREADS) {
		int r = pthread_create(&pool->threads[pool->num_threads], NULL, fs_pool_thread,
				       pool);

		if (r)
			return error_set(err, r, "cannot start a thread");
		pool->num_threads++;
	}
	pthread_mutex_lock(&pool->lock);
	while (pool->begun < pool->num_threads)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
	return pool->error ? error_move(err, &pool->error) : 0;
}

struct fs_pool *fs_pool_create(struct fs_server *server, unsigned int threads,
			       void (*done)(void *data), void *data, struct error **err)
{
	struct fs_pool *pool = calloc(1, sizeof(*pool));

	if (!pool) {
		error_set(err, ENOMEM, "cannot make a thread pool");
		return NULL;
	}
	pool->server = server;
	pool->done = done;
	pool->data = data;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_cond_init(&pool->idle, NULL);
	fs_list_init(&pool->todo);
	fs_list_init(&pool->finished);
	if (fs_pool_start(pool, threads, err) < 0) {
		fs_pool_free(pool);
		return NULL;
	}
	return pool;
}

void fs_pool_free(struct fs_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < pool->num_threads; i++)
		pthread_join(pool->threads[i], NULL);
	error_free(&pool->error);
	pthread_cond_destroy(&pool->idle);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void fs_pool_submit(struct fs_pool *pool, struct fs_request *r)
{
	pthread_mutex_lock(&pool->lock);
	fs_list_add(&pool->todo, r);
	pool->busy++;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

struct fs_request *fs_pool_fetch(struct fs_pool *pool)
{
	struct fs_request *list;

	pthread_mutex_lock(&pool->lock);
	list = pool->finished.first;
	fs_list_init(&pool->finished);
	pthread_mutex_unlock(&pool->lock);
	return list;
}

void fs_pool_drain(struct fs_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->busy)
		pthread_cond_wait(&pool->idle, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}
