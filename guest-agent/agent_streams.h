/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_STREAMS_H
#define GUEST_AGENT_AGENT_STREAMS_H

#include <stdint.h>

#include "guest-agent/agent_channel.h"

struct agent_process;
struct error;

#define STREAMS_MAX 4 /* AGENT_STREAM_STDIN to AGENT_STREAM_TERMINAL */

struct streams;

/** struct stream - one of a process's streams, known to its channel */
struct stream {
	struct streams *owner;
	struct channel *channel; /* owned; NULL: not open, or over */
};

/**
 * struct streams - a process's standard streams, between the container and the host
 * @host:  connection for the terminal until the pty is there, else -1; owned
 * @slave: the pty's slave, held so that the master does not see an end between two openers; owned
 * @drained: called once after streams_finish(), when every byte of output is written
 */
struct streams {
	struct agent_loop *loop; /* borrowed */
	struct stream stream[STREAMS_MAX];
	int host, slave;
	bool finishing;
	void (*drained)(void *data);
	void *data;
};

/**
 * streams_open() - connect a process's streams to the host
 * @s:     loop, drained and data are set, the rest is not
 * @stdio: out: the process's ends, owned by the caller; -1 with a terminal
 *
 * Pipes, never sockets: /dev/stdout has to be openable.
 */
int streams_open(struct streams *s, uint32_t id, const struct agent_process *p, int stdio[3],
		 struct error **err);

/** streams_set_terminal() - begin to relay a terminal; both fds are taken over */
int streams_set_terminal(struct streams *s, int master, int slave, struct error **err);

/** streams_resize() - 0, or -ENOTTY without a terminal */
int streams_resize(struct streams *s, uint32_t rows, uint32_t columns);

/** streams_finish() - the process has ended; may call drained() at once */
void streams_finish(struct streams *s);

void streams_release(struct streams *s);

#endif
