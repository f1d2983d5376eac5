/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "app.h"

struct arena;
struct error;
struct oci_resources;

/**
 * cgroup_available() - does this host have the unified hierarchy, and may we use it?
 */
bool cgroup_available(void);

/**
 * cgroup_path() - where a container's cgroup is to be
 * @wanted: linux.cgroupsPath; NULL: below the root of the hierarchy, by the container's id
 * @arena:  where the path lives
 *
 * Return: an absolute path of a directory that need not exist, or NULL with @err set.
 */
char *cgroup_path(const char *wanted, const char *id, struct arena *arena, struct error **err);

/** cgroup_check_unused() - refuse a cgroup in which, or below which, somebody's processes are */
int cgroup_check_unused(const char *path, struct error **err);

/**
 * cgroup_create() - make the directory, and enable controllers on the way to it
 *
 * Return: an fd of the directory, or -1.
 */
int cgroup_create(const char *path, struct error **err);

/** cgroup_move() - make the cgroup @name below the one at @path, and move a process into it */
int cgroup_move(const char *path, const char *name, pid_t pid, struct error **err);

/**
 * cgroup_apply() - set the host's side of linux.resources
 * @fd:         directory of the cgroup
 * @memory_max: bytes for the machine as a whole (launch_size_host_limit()); 0: as it is
 *
 * Processes are counted inside the guest, where the container's are; so is its memory. Return: 0,
 * or -1 with an error that names the field.
 */
int cgroup_apply(int fd, const struct oci_resources *r, uint64_t memory_max, struct error **err);

/** cgroup_needed() - the name of a limit that only a host cgroup can keep; NULL: there is none */
const char *cgroup_needed(const struct oci_resources *r);

/** cgroup_remove() - kill what is left in it and remove it; one that is not there is removed */
int cgroup_remove(const char *path, struct error **err);

#endif
