/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_EXPORT_H
#define OCI_EXPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/oci_mounts.h"

struct error;

/** struct oci_export_mount - something of the host's that is served as mounts/N */
struct oci_export_mount {
	struct oci_mount_plan plan; /* borrowed strings */
	const char *path;	    /* absolute, on the host; unused for an overlay */
};

/**
 * struct oci_export - what the fs worker serves: rootfs/ and mounts/N
 * @dir:      an empty directory: the export's root is mounted there
 * @rootfs:   absolute
 * @readonly: the rootfs is served read-only
 * @mounts:   mounts[N] is mounts/N
 * @agent:    absolute path of the guest agent, which is served as @agent_name beside an empty
 *            directory @newroot_name: for a guest kernel that boots from the export. Else NULL
 */
struct oci_export {
	const char *dir;
	const char *rootfs;
	bool readonly;
	const struct oci_export_mount *mounts;
	size_t num_mounts;
	const char *agent, *agent_name, *newroot_name;
};

/**
 * oci_export_assemble() - put the export together in a mount namespace of this process's own
 *
 * Runs in the forked child that becomes the fs worker: what is mounted here is seen by it alone
 * and goes when it ends. Everything is nodev, and read-only where the configuration says so, on
 * the host: the guest cannot undo it. Needs CAP_SYS_ADMIN. Return: 0 or -1.
 */
int oci_export_assemble(const struct oci_export *ex, struct error **err);

/**
 * oci_export_make_mount_point() - make a missing mount point in a rootfs that is to be read-only
 * @rootfd:      the rootfs
 * @destination: resolved inside of it, whatever symbolic links an image put there
 * @directory:   or an empty file
 *
 * Return: 0, also when something is there already, or -errno.
 */
int oci_export_make_mount_point(int rootfd, const char *destination, bool directory);

#endif
