/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_HOOKS_H
#define GUEST_AGENT_AGENT_HOOKS_H

struct agent_container;
struct error;

/**
 * hooks_run() - run the startContainer hooks (runtime specification: POSIX-platform Hooks)
 *
 * Runs in the container's first process, with all of its rights still, when it has been told to
 * go. A hook that fails, or does not end in its time, keeps the container from starting.
 */
int hooks_run(const struct agent_container *c, struct error **err);

#endif
