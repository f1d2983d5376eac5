/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_DEVICES_H
#define GUEST_AGENT_AGENT_DEVICES_H

#include <stddef.h>

struct agent_device;
struct error;

/**
 * devices_create() - make the container's device nodes (runtime specification: linux.devices)
 * @root: fd of the container's root
 *
 * Runs while the guest's own /dev is still there to look GPU nodes up in.
 */
int devices_create(int root, const struct agent_device *devices, size_t count, struct error **err);

/** devices_link() - /dev/fd, stdin, stdout, stderr, core and ptmx, where they are not there yet */
int devices_link(int root, struct error **err);

#endif
