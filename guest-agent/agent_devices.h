/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_DEVICES_H
#define GUEST_AGENT_AGENT_DEVICES_H

struct agent_container;
struct error;

/**
 * devices_create() - make the container's device nodes (runtime specification: linux.devices)
 * @root: fd of the container's root
 *
 * Runs while the guest's own /dev is still there to look GPU nodes up in. In a user namespace nodes
 * cannot be made: those that devices_stage() made are bound to their places.
 */
int devices_create(int root, const struct agent_container *c, struct error **err);

/** devices_stage() - make the nodes in the guest, for a container in a user namespace */
int devices_stage(const struct agent_container *c, struct error **err);

/** devices_link() - /dev/fd, stdin, stdout, stderr, core and ptmx, where they are not there yet */
int devices_link(int root, struct error **err);

#endif
