/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_USERNS_H
#define GUEST_AGENT_AGENT_USERNS_H

#include <stdint.h>
#include <sys/types.h>

struct agent_container;
struct agent_mappings;
struct agent_process;
struct error;

/*
 * A container with a user namespace. Its first process is born into it without any rights outside,
 * so that what takes those is done for it by the agent: before it is cloned (nodes of devices,
 * sysctls of the network), and before it goes on (its maps, its limits, its OOM score).
 */

/** userns_outside() - the guest's id for the container's; the overflow id where there is none */
uint32_t userns_outside(const struct agent_mappings *m, uint32_t inside);

/** userns_prepare() - what has to be there before the first process is cloned */
int userns_prepare(const struct agent_container *c, struct error **err);

/** userns_set_up() - what the first process, @pid, waits for */
int userns_set_up(pid_t pid, const struct agent_container *c, struct error **err);

/** userns_enter() - in the process: become the namespace's root, where it has one */
int userns_enter(struct error **err);

/** userns_raise_limits() - let @pid (0: the caller) set those hard limits that it is to have */
int userns_raise_limits(pid_t pid, const struct agent_process *p, struct error **err);

/** userns_own_stdio() - give the pipes of standard streams to the process's user */
int userns_own_stdio(const int stdio[3], const struct agent_mappings *uids, uint32_t uid,
		     struct error **err);

#endif
