/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: level-triggered epoll whose user data is the source. A callback may remove
 * any source (and free what embeds it) while events for it are still waiting in this round's
 * array, so removal also erases it there. The machine's lock is taken for each callback apart, so
 * that vCPU threads get their turn in between; the array is only read and changed under it.
 */
#include "vmm/event_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"

#define EVENTS_PER_ROUND 32

struct event_loop {
	pthread_mutex_t *lock; /* borrowed from machine */
	int epoll_fd;	       /* owned */
	int stop_fd;	       /* owned: an eventfd */
	struct event_source stop_source;
	bool stop;
	/* The round being worked on: events from @next on are still to be delivered. */
	struct epoll_event ready[EVENTS_PER_ROUND];
	int next, count;
};

static void stop_ready(void *data, uint32_t events)
{
	struct event_loop *loop = data;

	(void)events;
	loop->stop = true;
}

struct event_loop *event_loop_create(pthread_mutex_t *lock, struct error **err)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		error_set(err, ENOMEM, "cannot make the event loop");
		return NULL;
	}
	loop->lock = lock;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->stop_fd < 0 ||
	    event_loop_add(loop, &loop->stop_source, loop->stop_fd, EPOLLIN, stop_ready, loop)) {
		error_set(err, errno, "cannot make the event loop");
		event_loop_free(loop);
		return NULL;
	}
	return loop;
}

void event_loop_free(struct event_loop *loop)
{
	if (!loop)
		return;
	if (loop->stop_fd >= 0)
		close(loop->stop_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

static int epoll_change(struct event_loop *loop, int op, struct event_source *src, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = src };

	return epoll_ctl(loop->epoll_fd, op, src->fd, &ev) < 0 ? -errno : 0;
}

/* Forget what epoll_wait() said of this source in the present round. */
static void forget_ready(struct event_loop *loop, const struct event_source *src)
{
	for (int i = loop->next; i < loop->count; i++)
		if (loop->ready[i].data.ptr == src)
			loop->ready[i].data.ptr = NULL;
}

int event_loop_add(struct event_loop *loop, struct event_source *src, int fd, uint32_t events,
		   event_fn fn, void *data)
{
	int r = 0;

	if (src->added)
		return -EEXIST;
	*src = (struct event_source){ .fd = fd, .events = events, .fn = fn, .data = data };
	if (events)
		r = epoll_change(loop, EPOLL_CTL_ADD, src, events);
	src->added = !r;
	return r;
}

int event_loop_set(struct event_loop *loop, struct event_source *src, uint32_t events)
{
	int op = EPOLL_CTL_MOD, r;

	if (!src->added)
		return -ENOENT;
	if (src->events == events)
		return 0;
	if (!events)
		op = EPOLL_CTL_DEL;
	else if (!src->events)
		op = EPOLL_CTL_ADD;
	r = epoll_change(loop, op, src, events);
	if (r)
		return r;
	src->events = events;
	if (!events)
		forget_ready(loop, src);
	return 0;
}

void event_loop_remove(struct event_loop *loop, struct event_source *src)
{
	if (!src->added)
		return;
	event_loop_set(loop, src, 0);
	forget_ready(loop, src);
	src->added = false;
}

static void deliver_next(struct event_loop *loop)
{
	struct event_source *src;
	uint32_t events;

	pthread_mutex_lock(loop->lock);
	src = loop->ready[loop->next].data.ptr;
	events = loop->ready[loop->next].events;
	loop->next++;
	if (src) {
		/* The callback before this one may have narrowed what is watched for. */
		events &= src->events | EPOLLHUP | EPOLLERR;
		if (events)
			src->fn(src->data, events);
	}
	pthread_mutex_unlock(loop->lock);
}

int event_loop_run(struct event_loop *loop)
{
	loop->stop = false;
	while (!loop->stop) {
		const int n = epoll_wait(loop->epoll_fd, loop->ready, EVENTS_PER_ROUND, -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		pthread_mutex_lock(loop->lock);
		loop->next = 0;
		loop->count = n;
		pthread_mutex_unlock(loop->lock);
		while (loop->next < loop->count)
			deliver_next(loop);
	}
	return 0;
}

void event_loop_stop(struct event_loop *loop)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full: then the loop is about to stop already. */
	if (write(loop->stop_fd, &one, sizeof(one)) < 0)
		return;
}
