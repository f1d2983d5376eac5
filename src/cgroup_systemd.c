/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: on a host that systemd manages, a cgroup of ours has to be a unit of its.
 * A transient scope is made around the VMM, which waits for its configuration meanwhile, and is
 * delegated; the container's processes and limits are in the cgroup "container" below it, where
 * systemd does not interfere and where podman looks. systemd removes the scope when it is empty.
 *
 * systemd's own busctl makes the one call this takes: no D-Bus library is linked for it.
 */
#include "cgroup_systemd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/arena.h"
#include "rootless.h"

#define SCOPE_TIMEOUT_MS 10000
#define BUSCTL_TEXT_MAX 512

/* What a unit's name may hold (systemd.unit(5)); anything else would have to be escaped. */
static int scope_check_name(const char *name, struct error **err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				      ":-_.\\@";

	if (*name && strlen(name) < 250 && !name[strspn(name, allowed)])
		return 0;
	return error_set(err, 0, "linux.cgroupsPath: \"%s\" cannot be a unit of systemd's", name);
}

int systemd_scope_parse(const char *wanted, const char *id, struct arena *arena,
			struct systemd_scope *scope, struct error **err)
{
	/* An engine's user namespace has a root of its own, whose manager is still the user's. */
	const bool user = !rootless_is_host_root();
	const char *slice = user ? "user.slice" : "system.slice";
	char *text, *prefix, *name;

	scope->user = user;
	if (!wanted || !*wanted)
		text = arena_printf(arena, "%s:krun-gpu:%s", slice, id);
	else
		text = arena_strdup(arena, wanted);
	if (!text)
		return error_set(err, ENOMEM, "linux.cgroupsPath");
	prefix = strchr(text, ':');
	name = prefix ? strchr(prefix + 1, ':') : NULL;
	if (!name || strchr(name + 1, ':'))
		return error_set(err, 0, "linux.cgroupsPath: expected SLICE:PREFIX:NAME for "
				 "--systemd-cgroup, not %s", wanted);
	*prefix++ = 0;
	*name++ = 0;
	scope->slice = *text ? text : (char *)slice;
	scope->unit = *prefix ? arena_printf(arena, "%s-%s.scope", prefix, name) :
				arena_printf(arena, "%s.scope", name);
	if (!scope->unit)
		return error_set(err, ENOMEM, "linux.cgroupsPath");
	if (!*name || scope_check_name(scope->slice, err) < 0 ||
	    scope_check_name(scope->unit, err) < 0)
		return *name ? -1 : error_set(err, 0, "linux.cgroupsPath: %s has no name", wanted);
	return 0;
}

/* Runs busctl to its end; what it wrote becomes the error. */
static int busctl_run(const char *const *argv, struct error **err)
{
	cleanup_close int out = memfd_create("busctl", MFD_CLOEXEC);
	char text[BUSCTL_TEXT_MAX + 1];
	int status;
	ssize_t n;
	pid_t pid;

	if (out < 0)
		return error_set(err, errno, "cannot make a memfd");
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "cannot fork");
	if (!pid) {
		/* The environment stays: without root it says where the user's manager is. */
		if (dup2(out, 1) < 0 || dup2(out, 2) < 0 || fd_keep_only(NULL, 0) < 0)
			_exit(127);
		execv(argv[0], (char *const *)argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_set(err, errno, "cannot wait for %s", argv[0]);
	if (!status)
		return 0;
	n = pread(out, text, BUSCTL_TEXT_MAX, 0);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return error_set(err, 0, "systemd does not make a scope: %s", text);
}

int systemd_scope_start(const struct systemd_scope *scope, const char *busctl, pid_t pid,
			struct error **err)
{
	char pid_text[16], description[300];
	const char *argv[] = {
		busctl, scope->user ? "--user" : "--system", "--quiet", "call",
		"org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))",
		scope->unit, "fail", "6",
		"Description", "s", description,
		"Slice", "s", scope->slice,
		"Delegate", "b", "true",
		"DefaultDependencies", "b", "false",
		"CollectMode", "s", "inactive-or-failed",
		"PIDs", "au", "1", pid_text,
		"0", NULL,
	};

	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	snprintf(description, sizeof(description), "krun-gpu container %s", scope->unit);
	return busctl_run(argv, err);
}

/* The path of a process's cgroup in the unified hierarchy, "/a/b", in @buf; false when unknown. */
static bool process_cgroup(pid_t pid, char *buf, size_t size)
{
	cleanup_fclose FILE *f = NULL;
	cleanup_free char *line = NULL;
	char path[64];
	size_t room = 0;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	while (f && getline(&line, &room, f) > 0) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = 0;
		return snprintf(buf, size, "%s", line + 3) < (int)size;
	}
	return false;
}

char *systemd_scope_create(const struct systemd_scope *scope, pid_t pid, struct arena *arena,
			   struct error **err)
{
	const struct timespec pause = { 0, 2 * 1000 * 1000 };
	char path[4096];

	if (systemd_scope_start(scope, SYSTEMD_BUSCTL, pid, err) < 0)
		return NULL;
	for (int waited = 0; waited < SCOPE_TIMEOUT_MS; waited += 2) {
		const char *name = process_cgroup(pid, path, sizeof(path)) ? strrchr(path, '/') : NULL;

		if (name && !strcmp(name + 1, scope->unit)) {
			char *found = arena_printf(arena, "/sys/fs/cgroup%s", path);

			if (!found)
				error_set(err, ENOMEM, "cannot remember the cgroup");
			return found;
		}
		nanosleep(&pause, NULL);
	}
	error_set(err, ETIMEDOUT, "systemd did not put the VMM into %s", scope->unit);
	return NULL;
}
