/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CGROUP_SYSTEMD_H
#define CGROUP_SYSTEMD_H

#include <stdbool.h>
#include <sys/types.h>

struct arena;
struct error;

#define SYSTEMD_BUSCTL "/usr/bin/busctl"

/** struct systemd_scope - the unit that holds a container (linux.cgroupsPath, "SLICE:PREFIX:NAME") */
struct systemd_scope {
	char *slice; /* "machine.slice" */
	char *unit;  /* "libpod-ID.scope" */
	bool user;   /* of the user's own manager: the caller is not the host's root */
};

/**
 * systemd_scope_parse() - which slice and unit a cgroupsPath means
 * @wanted: NULL or "": a scope of our own in system.slice, or in user.slice without root
 */
int systemd_scope_parse(const char *wanted, const char *id, struct arena *arena,
			struct systemd_scope *scope, struct error **err);

/**
 * systemd_scope_start() - the call alone: have systemd make the scope around @pid
 * @busctl: the program that makes it, SYSTEMD_BUSCTL but for tests
 *
 * The call answers when the job is queued. Return: 0 or -1.
 */
int systemd_scope_start(const struct systemd_scope *scope, const char *busctl, pid_t pid,
			struct error **err);

/**
 * systemd_scope_create() - ask systemd to put @pid into a new scope, and wait until it is there
 *
 * The scope is delegated: the cgroups below it are ours. Return: the absolute path of its cgroup,
 * in @arena, or NULL with @err set.
 */
char *systemd_scope_create(const struct systemd_scope *scope, pid_t pid, struct arena *arena,
			   struct error **err);

#endif
