/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_MOUNTS_H
#define GUEST_AGENT_AGENT_MOUNTS_H

struct agent_mount;
struct error;

/**
 * mounts_apply() - make one mount of the container (runtime specification: mounts)
 * @root:   fd of the container's root
 * @export: directory fd of the export
 *
 * Runs in the container's process, in its namespaces, so that proc, sysfs, mqueue and cgroup2 are
 * its own.
 */
int mounts_apply(int root, int export, const struct agent_mount *m, struct error **err);

/** mounts_create_fs() - a new, detached mount of a file system: an fd, or -1 */
int mounts_create_fs(const char *type, const char *source, const char *data, struct error **err);

/** mounts_attach() - put a detached mount on the O_PATH fd @target; 0 or -errno */
int mounts_attach(int mnt, int target);

/** mounts_mask() - hide a path of the container: /dev/null over a file, nothing over a directory */
int mounts_mask(int root, const char *path, struct error **err);

/** mounts_make_readonly() - make a path of the container, and what is mounted below, read-only */
int mounts_make_readonly(int root, const char *path, struct error **err);

#endif
