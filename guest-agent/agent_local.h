/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_LOCAL_H
#define GUEST_AGENT_AGENT_LOCAL_H

#include <stddef.h>
#include <stdint.h>

struct agent_loop;
struct control;
struct local_conn;

/**
 * struct local - connections to the container that begin in its network namespace on the host
 *
 * An engine's port forwarder connects from within that namespace, to one of its own addresses. Those
 * are the guest's: the host asks, and the same address is connected to in here.
 */
struct local {
	struct agent_loop *loop; /* borrowed */
	struct control *control; /* borrowed */
	struct local_conn *conns; /* owned; a list */
};

/**
 * local_connect() - AGENT_LOCAL: connect to the container and to the host's port, and relay
 * @address: 4 or 16 bytes, in network byte order
 *
 * What cannot be connected to is told by AGENT_LOCAL_FAILED.
 */
void local_connect(struct local *l, uint32_t host_port, uint32_t port, const void *address,
		   size_t len);

#endif
