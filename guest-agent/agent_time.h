/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_TIME_H
#define GUEST_AGENT_AGENT_TIME_H

#include <stdbool.h>

struct agent_container;
struct error;

/** time_is_offset() - does the container want clocks that differ from the guest's? */
bool time_is_offset(const struct agent_container *c);

/**
 * time_unshare() - make the container's time namespace (runtime specification: linux.timeOffsets)
 *
 * What is cloned from here to time_return() is born into it. clone3(2) cannot make one with offsets:
 * they have to be written before the first process enters. Return: an fd for time_return(), or -1.
 */
int time_unshare(const struct agent_container *c, struct error **err);

/** time_return() - back to the agent's own; @home is closed */
void time_return(int home);

#endif
