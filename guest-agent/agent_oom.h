/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_OOM_H
#define GUEST_AGENT_AGENT_OOM_H

#include <stdint.h>

#include "guest-agent/agent_loop.h"

struct control;

/**
 * struct oom - the guest kernel's kills for want of memory, in the container's cgroup
 * @source: its memory.events; the fd is owned
 * @kills:  as many as the host has been told of
 */
struct oom {
	struct control *control; /* borrowed */
	struct agent_loop *loop; /* borrowed */
	struct loop_source source;
	uint32_t kills;
};

/**
 * oom_watch() - tell the host of every process that the guest kernel ends for want of memory
 * @cgroup: the container's
 *
 * A guest kernel without the memory controller has nothing to tell.
 */
void oom_watch(struct oom *o, int cgroup);

/** oom_look() - look now: what is found is told before anything that is said later */
void oom_look(struct oom *o);

#endif
