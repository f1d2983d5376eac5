/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_CONTAINER_H
#define GUEST_AGENT_AGENT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/agent_proto.h"
#include "guest-agent/agent_loop.h"
#include "guest-agent/agent_local.h"
#include "guest-agent/agent_names.h"
#include "guest-agent/agent_net.h"
#include "guest-agent/agent_oom.h"
#include "guest-agent/agent_sockets.h"

struct control;
struct msg;
struct process;

/**
 * struct container - the one container of this machine
 * @init:       its first process, while it lives; in the list, too
 * @processes:  all that are not over yet, owned
 * @ended:      the first process is over: only the last words are missing
 * @status:     the first process's wait status, once @ended
 * @deadline:   CLOCK_MONOTONIC ms: the end is told then, whatever execs' streams still hold
 */
struct container {
	struct agent_loop *loop; /* borrowed */
	struct control *control; /* borrowed */
	uint64_t namespaces;
	struct agent_mappings uids; /* owned; with CLONE_NEWUSER */
	struct net net;
	int cgroup; /* owned */
	int mount_ns; /* owned: the container's, for as long as the machine runs */
	int proc;     /* owned: the container's /proc; -1: it has none */
	struct process *init;
	struct process *processes;
	struct sockets sockets;
	struct local local;
	struct names names;
	struct oom oom;
	bool ended, told;
	int status;
	int64_t deadline;
};

void container_init(struct container *c, struct agent_loop *loop, struct control *control);

/** container_message() - obey a message of the host's */
void container_message(struct container *c, const struct msg *msg);

/** container_reaped() - a child of the agent's has ended, the container's or an orphan */
void container_reaped(struct container *c, pid_t pid, int status);

/** container_timeout() - ms until container_tick() is wanted, -1: never */
int container_timeout(const struct container *c);

/** container_tick() - say that the container has ended, if it is time */
void container_tick(struct container *c);

#endif
