/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_SOCKETS_H
#define GUEST_AGENT_AGENT_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

struct agent_container;
struct agent_loop;
struct control;
struct error;

/* Where the sockets are, in the guest's own root; containers get them bound to their places. */
#define SOCKETS_DIR "/sockets"

struct socket_listener;
struct socket_conn;

/**
 * struct sockets - stand-ins for unix sockets of the host's, and for its name server
 *
 * For each process that connects, the host is asked for a connection to the real socket; then bytes
 * go both ways, each direction with an end of its own.
 */
struct sockets {
	struct agent_loop *loop; /* borrowed */
	struct control *control; /* borrowed */
	struct socket_listener *listeners; /* owned */
	size_t num_listeners;
	struct socket_conn *conns; /* owned; a list */
	size_t num_conns;
	uint32_t next; /* the next connection's number */
};

/** sockets_listen() - make the stand-ins of the container's socket mounts; before it is cloned */
int sockets_listen(struct sockets *s, const struct agent_container *c, struct error **err);

/**
 * sockets_add() - one more stand-in, after sockets_listen(), once
 * @fd:     listens, and does not block; taken over
 * @number: as AGENT_CONNECT has it
 */
void sockets_add(struct sockets *s, int fd, uint32_t number);

/** sockets_connected() - the host's answer; of a connection that is not there, it is void */
void sockets_connected(struct sockets *s, uint32_t connection, uint32_t code, uint32_t port);

#endif
