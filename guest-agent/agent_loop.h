/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_LOOP_H
#define GUEST_AGENT_AGENT_LOOP_H

#include <stdint.h>

struct error;

/** struct agent_loop - the agent's one epoll set */
struct agent_loop {
	int epoll_fd; /* owned */
};

/**
 * struct loop_source - a file descriptor and who is told about it
 * @fd:     borrowed: its owner stops watching before it closes it
 * @events: EPOLLIN and EPOLLOUT as watched now; 0: not in the set
 * @ready:  called with what epoll said; may free the source
 * @data:   for @ready
 */
struct loop_source {
	int fd;
	uint32_t events;
	void (*ready)(void *data, uint32_t events);
	void *data;
};

int loop_init(struct agent_loop *loop, struct error **err);
void loop_release(struct agent_loop *loop);

/**
 * loop_watch() - change what a source waits for
 * @events: EPOLLIN, EPOLLOUT, both, or 0 to take it out of the set (a hang-up would otherwise be
 *          reported for ever)
 *
 * Return: 0 or -errno.
 */
int loop_watch(struct agent_loop *loop, struct loop_source *source, uint32_t events);

/**
 * loop_turn() - wait for one event and deliver it
 * @timeout_ms: as for epoll_wait()
 *
 * One at a time, so that a callback may free any source without leaving stale events behind.
 *
 * Return: 1 when one was delivered, 0 at the timeout, -errno.
 */
int loop_turn(struct agent_loop *loop, int timeout_ms);

#endif
