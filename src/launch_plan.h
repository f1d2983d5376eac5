/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_PLAN_H
#define LAUNCH_PLAN_H

#include <stddef.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/agent_proto.h"
#include "oci/oci_export.h"

struct arena;
struct error;
struct oci_spec;

/** struct launch_gpu_node - a node of a GPU of the host's that the container was given */
struct launch_gpu_node {
	const char *path; /* on the host */
	unsigned int major, minor;
};

/**
 * struct launch_plan - mounts and devices, sorted by who provides them
 *
 * Everything is borrowed from the arena and the spec. @mounts are the guest's, in the
 * configuration's order; those of kind AGENT_MOUNT_EXPORT refer to @exports by number.
 */
struct launch_plan {
	struct agent_mount *mounts;
	size_t num_mounts;
	struct oci_export_mount *exports;
	size_t num_exports;
	struct agent_device *devices;
	size_t num_devices;
	struct launch_gpu_node *gpu_nodes;
	size_t num_gpu_nodes;
	bool gpu; /* the container has one: by a node, or by annotation alone */
	const char *gpu_helper; /* a node of a GPU's driver that is no GPU; NULL: none */
	const char **sockets; /* paths of the host's unix sockets that are mounted */
	size_t num_sockets;
};

/**
 * launch_plan() - decide where every mount and device of a validated configuration comes from
 * @bundle: absolute; relative sources of bind mounts begin there
 *
 * The guest has devices of its own. An entry stands for one of those (/dev/null, /dev/fuse, …)
 * or for the GPU (a DRM node, by major number 226, or NVIDIA's own, 195); any other device of the
 * host's is refused, but skipped for privileged containers, which are given every device there is
 * without asking for any. A node of a device that the host has not either is made as it is. A bind
 * mount of a device node is a device too, as engines without root make them.
 *
 * NVIDIA's nodes for computing are stood for by the GPU's, and refused alone. A unix socket that is
 * mounted is connected through to; one of datagrams or sequenced packets is refused.
 *
 * /dev/shm, when it is a tmpfs that the engine made for this container alone, becomes a tmpfs of
 * the same size in the guest: shared memory is no matter for a file server.
 */
int launch_plan(const struct oci_spec *spec, const char *bundle, struct arena *arena,
		struct launch_plan *plan, struct error **err);

#endif
