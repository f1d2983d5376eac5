/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CGROUP_SYSTEMD_H
#define CGROUP_SYSTEMD_H

#include <sys/types.h>

struct arena;
struct error;

/** struct systemd_scope - the unit that holds a container (linux.cgroupsPath, "SLICE:PREFIX:NAME") */
struct systemd_scope {
	char *slice; /* "machine.slice" */
	char *unit;  /* "libpod-ID.scope" */
};

/**
 * systemd_scope_parse() - which slice and unit a cgroupsPath means
 * @wanted: NULL or "": a scope of our own in system.slice, or in user.slice without root
 */
int systemd_scope_parse(const char *wanted, const char *id, struct arena *arena,
			struct systemd_scope *scope, struct error **err);

/**
 * systemd_scope_create() - ask systemd to put @pid into a new scope, and wait until it is there
 *
 * The scope is delegated: the cgroups below it are ours. Return: the absolute path of its cgroup,
 * in @arena, or NULL with @err set.
 */
char *systemd_scope_create(const struct systemd_scope *scope, pid_t pid, struct arena *arena,
			   struct error **err);

#endif
