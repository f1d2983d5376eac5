/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_VIEW_H
#define OCI_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/oci_export.h"

struct error;

/**
 * struct oci_view - the container's files as the host has them
 * @rootfs: absolute
 * @mounts: what of the host's is mounted into it
 * @shown:  which of @mounts; the others lie below file systems that only the guest has
 * @proc:   of /dev/fuse: what is served there is mounted on /proc; -1: nothing is
 */
struct oci_view {
	const char *rootfs;
	const struct oci_export_mount *mounts;
	const bool *shown;
	size_t num_mounts;
	int proc;
};

/**
 * oci_view_make() - a mount namespace whose root is the container's, for this process
 *
 * Engines join the mount namespace of a container's process to find its files (podman cp). That
 * process is the VMM here. It must not see them: it goes on with the host's root, which lies over the
 * container's, and leaves that for an empty one (sandbox_leave_root()). Needs CAP_SYS_ADMIN. Nothing is
 * written: what has no mount point is left out. Return: 0 or -1.
 */
int oci_view_make(const struct oci_view *v, struct error **err);

#endif
