/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_CGROUP_H
#define GUEST_AGENT_AGENT_CGROUP_H

#include <stddef.h>
#include <sys/types.h>

struct agent_container;
struct agent_pair;
struct error;

/**
 * cgroup_create() - make the container's cgroup in the guest, and set its limits
 * @limits: file name below the cgroup and its value, in order
 *
 * The agent stays in the root cgroup, where cgroup v2 allows processes beside controllers.
 *
 * Return: a directory fd for CLONE_INTO_CGROUP and the functions below, or -1.
 */
int cgroup_create(const struct agent_pair *limits, size_t count, struct error **err);

/**
 * cgroup_delegate() - give the container's cgroup to the root of its user namespace
 *
 * Where it has that cgroup's hierarchy mounted writable, in a cgroup namespace of its own: the
 * directory and what the kernel lists as delegatable, but no limit. Return: 0 or -1.
 */
int cgroup_delegate(int cgroup, const struct agent_container *c, struct error **err);

/**
 * cgroup_open_of() - the cgroup that a process is in now
 *
 * A container that has put itself into a child cgroup (systemd does) and enabled controllers
 * takes no new processes in the cgroup it came from.
 *
 * Return: a directory fd, or -errno.
 */
int cgroup_open_of(pid_t pid);

/**
 * cgroup_access() - write those files of @files that have a value, read the others, in order
 *
 * What was read becomes the value of its pair, cut to a length that a message can hold; a file that
 * cannot be read has none. Return: 0, or -1 for the first that could not be written.
 */
int cgroup_access(int cgroup, struct agent_pair *files, size_t count, struct error **err);

/** cgroup_kill() - SIGKILL for every process in the cgroup and below */
void cgroup_kill(int cgroup);

/** cgroup_signal() - @signo for every process in the cgroup and below; 0, or -ESRCH for none */
int cgroup_signal(int cgroup, int signo);

#endif
