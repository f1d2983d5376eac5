/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_EVENT_LOOP_H
#define VMM_EVENT_LOOP_H

/*
 * The VMM's main thread: an epoll loop that runs the devices' callbacks with the machine's lock
 * held. Sources may be added, changed and removed from any callback, a source's own included.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct error;
struct event_loop;

/**
 * typedef event_fn - a source is ready
 * @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as epoll_wait() gave them
 */
typedef void (*event_fn)(void *data, uint32_t events);

/** struct event_source - one watched fd; embed it, zero it, and keep it while it is added */
struct event_source {
	int fd;		 /* borrowed */
	uint32_t events; /* 0: not watched at all (not even for EPOLLHUP) */
	event_fn fn;
	void *data;
	bool added;
};

/** event_loop_create() - @lock is the machine's, borrowed */
struct event_loop *event_loop_create(pthread_mutex_t *lock, struct error **err);
void event_loop_free(struct event_loop *loop);

/** event_loop_add() - begin watching; 0 or -errno */
int event_loop_add(struct event_loop *loop, struct event_source *src, int fd, uint32_t events,
		   event_fn fn, void *data);

/** event_loop_set() - change what is watched for; 0 stops watching but keeps the source */
int event_loop_set(struct event_loop *loop, struct event_source *src, uint32_t events);

/** event_loop_remove() - stop; harmless when not added. Call before closing the fd. */
void event_loop_remove(struct event_loop *loop, struct event_source *src);

/** event_loop_run() - until event_loop_stop(); 0 or -errno */
int event_loop_run(struct event_loop *loop);

/** event_loop_stop() - from a callback or another thread: run() returns after this round */
void event_loop_stop(struct event_loop *loop);

#endif
