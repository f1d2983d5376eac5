/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"

int loop_init(struct agent_loop *loop, struct error **err)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? error_set(err, errno, "epoll_create1") : 0;
}

void loop_release(struct agent_loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_watch(struct agent_loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = source };
	int op = EPOLL_CTL_MOD;

	if (events == source->events)
		return 0;
	if (!events)
		op = EPOLL_CTL_DEL;
	else if (!source->events)
		op = EPOLL_CTL_ADD;
	if (epoll_ctl(loop->epoll_fd, op, source->fd, &ev) < 0)
		return -errno;
	source->events = events;
	return 0;
}

int loop_turn(struct agent_loop *loop, int timeout_ms)
{
	struct epoll_event ev;
	struct loop_source *source;
	int n;

	n = epoll_wait(loop->epoll_fd, &ev, 1, timeout_ms);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return 0;
	source = ev.data.ptr;
	source->ready(source->data, ev.events);
	return 1;
}
