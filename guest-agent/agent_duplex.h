/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_DUPLEX_H
#define GUEST_AGENT_AGENT_DUPLEX_H

struct agent_loop;
struct channel;
struct error;

/** struct duplex - two stream sockets, and bytes both ways, each direction with an end of its own */
struct duplex {
	struct channel *to_host, *from_host; /* owned; NULL: over */
	void (*over)(void *data);
	void *data;
};

/**
 * duplex_begin() - relay between a socket in the guest and one of the host's
 * @fd, @host: taken over, also on failure
 * @over:      called once, when both directions have ended; it may free the duplex
 */
int duplex_begin(struct duplex *d, struct agent_loop *loop, int fd, int host,
		 void (*over)(void *data), void *data, struct error **err);

/** duplex_end() - close both at once; harmless when it is over or has not begun */
void duplex_end(struct duplex *d);

#endif
