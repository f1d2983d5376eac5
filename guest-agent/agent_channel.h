/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_CHANNEL_H
#define GUEST_AGENT_AGENT_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "guest-agent/agent_loop.h"

struct error;

/** struct relay - one direction of a channel: bytes read and not yet written */
struct relay {
	char *buf; /* owned, CHANNEL_BUFFER bytes; NULL: this direction is not used */
	size_t head, len;
	size_t limit; /* bytes that may still be read; SIZE_MAX until the process has ended */
	bool eof;     /* nothing more is read */
};

/**
 * struct channel - two fds and what flows between them
 *
 * @forth is the direction that a channel lives by: when its source has ended and every byte is
 * written, the target is half-closed (a pipe: closed) and the channel is over. @back, where
 * there is one, may end before that.
 */
struct channel {
	struct agent_loop *loop; /* borrowed */
	struct loop_source a, b; /* their fds are owned, non-blocking */
	struct relay forth;	 /* a to b */
	struct relay back;	 /* b to a */
	void (*over)(void *data);
	void *data;
};

/**
 * channel_create() - begin to relay
 * @a, @b:         taken over, also on failure
 * @bidirectional: relay b to a, too
 * @over:          called once, when everything is relayed; it frees the channel
 */
struct channel *channel_create(struct agent_loop *loop, int a, int b, bool bidirectional,
			       void (*over)(void *data), void *data, struct error **err);

/**
 * channel_finish() - the process behind @a has ended: relay what is there now, then end
 *
 * Others may hold @a's other end open for ever and go on writing; theirs is not waited for.
 * May call over().
 */
void channel_finish(struct channel *ch);

/** channel_destroy() - close both ends at once; NULL is fine */
void channel_destroy(struct channel *ch);

#endif
