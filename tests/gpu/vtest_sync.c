/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vtest_sync.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void vtest_syncs_init(struct vtest_syncs *s)
{
	*s = (struct vtest_syncs){ 0 };
	pthread_mutex_init(&s->lock, NULL);
}

static void wait_free(struct vtest_wait **at)
{
	struct vtest_wait *w = *at;

	*at = w->next;
	close(w->fd);
	free(w);
}

void vtest_syncs_release(struct vtest_syncs *s)
{
	while (s->waits)
		wait_free(&s->waits);
	free(s->table);
	pthread_mutex_destroy(&s->lock);
}

static struct vtest_sync *sync_find(struct vtest_syncs *s, uint32_t id)
{
	return id && id <= s->size && s->table[id - 1].used ? &s->table[id - 1] : NULL;
}

static bool point_reached(struct vtest_syncs *s, const struct vtest_point *p)
{
	const struct vtest_sync *sync = sync_find(s, p->sync);

	/* One that is gone will never be reached: do not wait for it. */
	return !sync || sync->generation != p->generation || sync->value >= p->value;
}

static bool wait_over(struct vtest_syncs *s, const struct vtest_wait *w)
{
	size_t reached = 0;

	for (size_t i = 0; i < w->count; i++)
		reached += point_reached(s, &w->points[i]);
	return w->any && w->count ? reached > 0 : reached == w->count;
}

/* Ends the waits that are over, and forgets those that nobody waits for any more. */
static void check_waits(struct vtest_syncs *s)
{
	const uint64_t one = 1;

	for (struct vtest_wait **at = &s->waits; *at;) {
		bool over = wait_over(s, *at);

		if (over && write((*at)->fd, &one, sizeof(one)) < 0)
			abort(); /* a fresh eventfd always takes a 1 */
		if (over || ((*at)->expires_ms >= 0 && (*at)->expires_ms < now_ms()))
			wait_free(at);
		else
			at = &(*at)->next;
	}
}

uint32_t vtest_sync_create(struct vtest_syncs *s, uint64_t value)
{
	size_t i = 0;

	pthread_mutex_lock(&s->lock);
	while (i < s->size && s->table[i].used)
		i++;
	if (i == s->size) {
		struct vtest_sync *grown = reallocarray(s->table, s->size * 2 + 64, sizeof(*grown));

		if (!grown) {
			pthread_mutex_unlock(&s->lock);
			return 0;
		}
		memset(grown + s->size, 0, (s->size + 64) * sizeof(*grown));
		s->table = grown;
		s->size = s->size * 2 + 64;
	}
	s->table[i].used = true;
	s->table[i].value = value;
	pthread_mutex_unlock(&s->lock);
	return (uint32_t)i + 1;
}

void vtest_sync_unref(struct vtest_syncs *s, uint32_t id)
{
	struct vtest_sync *sync;

	pthread_mutex_lock(&s->lock);
	sync = sync_find(s, id);
	if (sync) {
		sync->used = false;
		sync->generation++;
		check_waits(s);
	}
	pthread_mutex_unlock(&s->lock);
}

uint64_t vtest_sync_read(struct vtest_syncs *s, uint32_t id)
{
	const struct vtest_sync *sync;
	uint64_t value;

	pthread_mutex_lock(&s->lock);
	sync = sync_find(s, id);
	value = sync ? sync->value : 0;
	pthread_mutex_unlock(&s->lock);
	return value;
}

uint32_t vtest_sync_generation(struct vtest_syncs *s, uint32_t id)
{
	const struct vtest_sync *sync;
	uint32_t generation;

	pthread_mutex_lock(&s->lock);
	sync = sync_find(s, id);
	generation = sync ? sync->generation : 0;
	pthread_mutex_unlock(&s->lock);
	return generation;
}

void vtest_sync_reach(struct vtest_syncs *s, const struct vtest_point *points, size_t count)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < count; i++) {
		struct vtest_sync *sync = sync_find(s, points[i].sync);

		if (sync && sync->generation == points[i].generation &&
		    sync->value < points[i].value)
			sync->value = points[i].value;
	}
	check_waits(s);
	pthread_mutex_unlock(&s->lock);
}

void vtest_sync_write(struct vtest_syncs *s, uint32_t id, uint64_t value)
{
	struct vtest_sync *sync;

	pthread_mutex_lock(&s->lock);
	sync = sync_find(s, id);
	if (sync) {
		sync->value = value;
		check_waits(s);
	}
	pthread_mutex_unlock(&s->lock);
}

int vtest_sync_wait(struct vtest_syncs *s, const struct vtest_point *points, size_t count, bool any,
		    uint32_t timeout_ms)
{
	struct vtest_wait *w = calloc(1, sizeof(*w) + count * sizeof(*points));
	int fd;

	if (!w)
		return -1;
	w->fd = eventfd(0, EFD_CLOEXEC);
	fd = w->fd < 0 ? -1 : fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return -1;
	}
	w->any = any;
	w->expires_ms = timeout_ms == UINT32_MAX ? -1 : now_ms() + timeout_ms;
	w->count = count;
	memcpy(w->points, points, count * sizeof(*points));
	pthread_mutex_lock(&s->lock);
	w->next = s->waits;
	s->waits = w;
	check_waits(s);
	pthread_mutex_unlock(&s->lock);
	return fd;
}
