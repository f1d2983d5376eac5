/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_GUEST_H
#define LAUNCH_GUEST_H

#include <stdbool.h>

#include "base/agent_proto.h"

struct arena;
struct error;
struct launch_plan;
struct net_found;
struct oci_process;
struct oci_resources;
struct oci_spec;
struct wire_writer;

/**
 * launch_guest_encode() - the container as the guest has to set it up (AGENT_CONTAINER)
 * @state:      what startContainer hooks are told of it
 * @stdin_open: the process has a standard input that is more than /dev/null
 */
int launch_guest_encode(const struct oci_spec *spec, const struct launch_plan *plan,
			const struct net_found *net, const char *state, bool stdin_open,
			struct arena *arena, struct wire_writer *w, struct error **err);

/**
 * launch_guest_process() - a process for the agent
 * @spec: the container's: seccomp and personality are for all of its processes
 * @out: borrows from @p and @arena; not for agent_process_release()
 */
int launch_guest_process(const struct oci_process *p, const struct oci_spec *spec, bool stdin_open,
			 struct arena *arena, struct agent_process *out, struct error **err);

/** launch_guest_cgroup() - the guest's side of linux.resources; all of it lives in @arena */
int launch_guest_cgroup(const struct oci_resources *r, struct arena *arena,
			struct agent_pair **files, size_t *num_files, struct error **err);

/** launch_guest_has_cgroup_file() - does this file of linux.resources.unified go to the guest? */
bool launch_guest_has_cgroup_file(const char *name);

#endif
