/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_SCHED_H
#define GUEST_AGENT_AGENT_SCHED_H

struct agent_process;
struct error;

/** sched_apply() - process.scheduler, process.ioPriority and linux.personality, for the caller */
int sched_apply(const struct agent_process *p, struct error **err);

#endif
