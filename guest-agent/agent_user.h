/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_USER_H
#define GUEST_AGENT_AGENT_USER_H

struct agent_process;
struct error;

/**
 * user_apply() - become the process's user, with its capabilities and no others
 *
 * Bounding set, groups, ids, then permitted, effective, inheritable and ambient sets
 * (capabilities(7)). Without has_capabilities all of them are empty, as with crun and runc.
 */
int user_apply(const struct agent_process *p, struct error **err);

/** user_apply_rlimits() - runtime specification: process.rlimits */
int user_apply_rlimits(const struct agent_process *p, struct error **err);

#endif
