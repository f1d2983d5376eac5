/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_USER_H
#define GUEST_AGENT_AGENT_USER_H

struct agent_process;
struct error;

/**
 * user_apply() - become the process's user, with its capabilities
 *
 * Bounding set, groups, ids, then permitted, effective, inheritable and ambient sets
 * (capabilities(7)). Without has_capabilities all of them are empty, as with crun and runc. One more
 * stays for a moment, CAP_SYS_ADMIN, by which a filter can be loaded without no_new_privs.
 */
int user_apply(const struct agent_process *p, struct error **err);

/** user_finish() - give that one up; one system call at most, which the filter has to allow */
int user_finish(const struct agent_process *p, struct error **err);

/** user_apply_rlimits() - runtime specification: process.rlimits */
int user_apply_rlimits(const struct agent_process *p, struct error **err);

#endif
