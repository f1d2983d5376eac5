/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vmm/event_loop.h"

#define SOURCES 3

struct fixture {
	pthread_mutex_t lock;
	struct event_loop *loop;
	struct event_source src[SOURCES];
	int fd[SOURCES];
	unsigned int calls[SOURCES];
	uint32_t events[SOURCES];
	int remove[SOURCES];	/* when this source is called, remove that one; -1: none */
	int set_none[SOURCES]; /* likewise, stop watching it */
};

struct call {
	struct fixture *f;
	int index;
};

static struct call calls[SOURCES];

static void source_ready(void *data, uint32_t events)
{
	struct call *c = data;
	struct fixture *f = c->f;

	assert_int_equal(pthread_mutex_trylock(&f->lock), EBUSY); /* it is held around us */
	f->calls[c->index]++;
	f->events[c->index] = events;
	if (f->remove[c->index] >= 0)
		event_loop_remove(f->loop, &f->src[f->remove[c->index]]);
	if (f->set_none[c->index] >= 0)
		event_loop_set(f->loop, &f->src[f->set_none[c->index]], 0);
}

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	pthread_mutex_init(&f.lock, NULL);
	f.loop = event_loop_create(&f.lock, NULL);
	if (!f.loop)
		return -1;
	for (int i = 0; i < SOURCES; i++) {
		calls[i] = (struct call){ &f, i };
		f.remove[i] = f.set_none[i] = -1;
		f.fd[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		if (event_loop_add(f.loop, &f.src[i], f.fd[i], EPOLLIN, source_ready, &calls[i]))
			return -1;
	}
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < SOURCES; i++) {
		event_loop_remove(f->loop, &f->src[i]);
		close(f->fd[i]);
	}
	event_loop_free(f->loop);
	return 0;
}

static void run_once(struct fixture *f)
{
	event_loop_stop(f->loop);
	assert_int_equal(event_loop_run(f->loop), 0);
}

static unsigned int all_calls(const struct fixture *f)
{
	return f->calls[0] + f->calls[1] + f->calls[2];
}

static void every_ready_source_is_called(void **state)
{
	struct fixture *f = *state;

	run_once(f);
	assert_int_equal(f->calls[0], 1);
	assert_int_equal(f->calls[1], 1);
	assert_int_equal(f->calls[2], 1);
	assert_int_equal(f->events[0], EPOLLIN);
}

static void the_loop_watches_levels(void **state)
{
	struct fixture *f = *state;
	eventfd_t count;

	run_once(f);
	assert_int_equal(eventfd_read(f->fd[0], &count), 0);
	run_once(f);
	assert_int_equal(f->calls[0], 1);
	assert_int_equal(f->calls[1], 2);
}

static void a_removed_source_is_not_called_in_the_same_round(void **state)
{
	struct fixture *f = *state;

	/* Whichever comes first removes the two others. */
	f->remove[0] = 1;
	f->remove[1] = 2;
	f->remove[2] = 0;
	f->set_none[0] = 2;
	f->set_none[1] = 0;
	f->set_none[2] = 1;
	run_once(f);
	assert_int_equal(all_calls(f), 1);
}

static void a_source_may_remove_itself(void **state)
{
	struct fixture *f = *state;

	f->remove[1] = 1;
	run_once(f);
	run_once(f);
	assert_int_equal(f->calls[1], 1);
	assert_int_equal(f->calls[0], 2);
	assert_false(f->src[1].added);
	assert_int_equal(event_loop_set(f->loop, &f->src[1], EPOLLIN), -ENOENT);
	event_loop_remove(f->loop, &f->src[1]);
}

static void a_source_that_watches_nothing_is_kept(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(event_loop_set(f->loop, &f->src[0], 0), 0);
	run_once(f);
	assert_int_equal(f->calls[0], 0);
	assert_int_equal(event_loop_set(f->loop, &f->src[0], EPOLLIN | EPOLLOUT), 0);
	run_once(f);
	assert_int_equal(f->events[0], EPOLLIN | EPOLLOUT);
}

static void a_hang_up_is_not_seen_when_nothing_is_watched(void **state)
{
	struct fixture *f = *state;
	struct event_source src = { 0 };
	int p[2];

	assert_int_equal(pipe(p), 0);
	close(p[1]);
	f->calls[0] = 0;
	assert_int_equal(event_loop_add(f->loop, &src, p[0], 0, source_ready, &calls[0]), 0);
	event_loop_remove(f->loop, &f->src[0]);
	run_once(f);
	assert_int_equal(f->calls[0], 0);
	assert_int_equal(event_loop_set(f->loop, &src, EPOLLIN), 0);
	run_once(f);
	assert_true(f->events[0] & EPOLLHUP);
	event_loop_remove(f->loop, &src);
	close(p[0]);
}

static void what_epoll_refuses_is_reported(void **state)
{
	struct fixture *f = *state;
	struct event_source src = { 0 };

	assert_int_equal(event_loop_add(f->loop, &src, -1, EPOLLIN, source_ready, &calls[0]),
			 -EBADF);
	assert_false(src.added);
	assert_int_equal(event_loop_add(f->loop, &f->src[0], f->fd[0], EPOLLIN, source_ready,
					&calls[0]), -EEXIST);
}

static void *stop_later(void *loop)
{
	usleep(20000);
	event_loop_stop(loop);
	return NULL;
}

static void another_thread_can_stop_it(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	for (int i = 0; i < SOURCES; i++)
		event_loop_remove(f->loop, &f->src[i]);
	assert_int_equal(pthread_create(&thread, NULL, stop_later, f->loop), 0);
	assert_int_equal(event_loop_run(f->loop), 0);
	pthread_join(thread, NULL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_ready_source_is_called),
		TEST(the_loop_watches_levels),
		TEST(a_removed_source_is_not_called_in_the_same_round),
		TEST(a_source_may_remove_itself),
		TEST(a_source_that_watches_nothing_is_kept),
		TEST(a_hang_up_is_not_seen_when_nothing_is_watched),
		TEST(what_epoll_refuses_is_reported),
		TEST(another_thread_can_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
