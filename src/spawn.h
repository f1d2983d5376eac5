/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPAWN_H
#define SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/process_ref.h"

struct error;

#define SPAWN_FDS_MAX 16

/** struct spawn_fd - the child gets our @from as its @to */
struct spawn_fd {
	int from, to;
};

/**
 * struct spawn - a helper program to execute; zero but what is said otherwise
 * @argv:  argv[0] is the program's absolute path; the environment is empty
 * @fds:   all that the child has beside 0 and 1, which are /dev/null, and 2, which is @log_fd
 * @cgroup_fd: directory of the cgroup that the child joins before anything else, or -1
 * @netns_fd:  network namespace to join, or -1
 * @selinux_label: label of the new program; NULL: as the policy says
 * @apparmor_profile: profile of the new program, where the host has AppArmor; NULL or "": none
 * @prepare: run in the child before it executes; -1 with an error ends it
 */
struct spawn {
	const char *const *argv;
	struct spawn_fd fds[SPAWN_FDS_MAX];
	size_t num_fds;
	int log_fd;
	int cgroup_fd;
	int netns_fd;
	bool new_netns;
	bool new_session;
	const char *selinux_label;
	const char *apparmor_profile;
	int (*prepare)(void *data, struct error **err);
	void *data;
};

/**
 * spawn_process() - fork and execute
 * @child: out: the process, which executes @argv[0] by then
 *
 * Return: 0, or -1 with what failed in the child; the child has been reaped then.
 */
int spawn_process(const struct spawn *s, struct process_ref *child, struct error **err);

#endif
