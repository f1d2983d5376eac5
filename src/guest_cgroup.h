/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_CGROUP_H
#define GUEST_CGROUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/agent_proto.h"

struct error;

/** struct guest_cgroup - what the agent answered; release it */
struct guest_cgroup {
	struct agent_pair *files;
	size_t count;
};

/**
 * guest_cgroup_access() - write and read files of the container's cgroup in the guest
 * @dirfd: state directory
 * @files: those with a value are written; those whose value is "" are read
 * @out:   what was read; may be NULL
 *
 * Return: 0, or -1: the first that could not be written, or the guest does not answer.
 */
int guest_cgroup_access(int dirfd, const struct agent_pair *files, size_t count,
			struct guest_cgroup *out, struct error **err);

/** guest_cgroup_text() - a file that was read, borrowed; "" or NULL: the guest has none */
const char *guest_cgroup_text(const struct guest_cgroup *c, const char *file);

/**
 * guest_cgroup_number() - a number out of what was read
 * @key: word before the number, for files of several lines; NULL: the file is the number
 *
 * The text is the guest's: what is no number, or is missing, or says "max", is @otherwise.
 */
uint64_t guest_cgroup_number(const struct guest_cgroup *c, const char *file, const char *key,
			     uint64_t otherwise);

void guest_cgroup_release(struct guest_cgroup *c);

#define cleanup_guest_cgroup __attribute__((cleanup(guest_cgroup_release)))

#endif
