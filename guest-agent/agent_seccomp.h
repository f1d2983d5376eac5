/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_SECCOMP_H
#define GUEST_AGENT_AGENT_SECCOMP_H

struct agent_process;
struct error;

/** seccomp_apply() - load the filter that the host compiled; nothing without one (seccomp(2)) */
int seccomp_apply(const struct agent_process *p, struct error **err);

#endif
