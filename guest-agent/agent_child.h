/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_CHILD_H
#define GUEST_AGENT_AGENT_CHILD_H

#include <stdint.h>

struct agent_container;
struct agent_process;

/*
 * What a freshly made process of the container does, up to its execve(). It and the agent speak
 * over a socket pair (base/msg.h):
 *
 *   agent:   CHILD_MAPPED, when the process has a new user namespace
 *   process: CHILD_READY, for a terminal with the fds of the pty's master and slave
 *   agent:   CHILD_GO
 *   process: end of file, because the socket is close-on-exec
 *
 * Or, at any point, the process says CHILD_ERROR (u32 errno, string) and exits.
 */
enum child_msg { CHILD_READY = 1, CHILD_GO, CHILD_ERROR, CHILD_MAPPED };

/**
 * struct child - what the process is to become; all borrowed
 * @container:  the container to set up, or NULL for an exec in the running one
 * @namespaces: CLONE_NEW* that the container has
 * @init_pidfd: of the container's first process, to join its namespaces for an exec; else -1
 * @sync:       the process's end of the socket pair
 * @stdio:      standard streams; -1 with a terminal
 */
struct child {
	const struct agent_process *process;
	const struct agent_container *container;
	uint64_t namespaces;
	int init_pidfd;
	int sync;
	int stdio[3];
};

void child_main(const struct child *c) __attribute__((noreturn));

#endif
