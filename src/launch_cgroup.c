/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "base/error.h"
#include "cgroup.h"
#include "cgroup_systemd.h"
#include "launch_internal.h"

/* Without a cgroup of the host's: fine as long as no limit needs one. */
static int do_without(const struct launch *l, const char *why, struct error **err)
{
	const char *needed = cgroup_needed(&l->c.spec.resources);

	return needed ? error_set(err, 0, "linux.resources.%s: needs a cgroup of the host's, and %s",
				  needed, why) : 0;
}

/* An annotation may make the microVM smaller than its container's limit: then that is the limit. */
static uint64_t host_limit(const struct launch *l)
{
	const int64_t limit = l->c.spec.resources.memory_limit;
	uint64_t max;

	if (limit <= 0)
		return 0;
	max = launch_size_host_limit(limit, l->size.ram_bytes, l->size.room);
	return max ? max : launch_size_host_limit(-1, l->size.ram_bytes, l->size.room);
}

/* The path is on record before the directory is there: `delete` then finds it in any case. */
static int make_cgroup(struct launch *l, struct error **err)
{
	if (!l->c.state.cgroup || oci_state_write(l->c.dirfd, &l->c.state, err) < 0)
		return -1;
	l->cgroup = cgroup_create(l->c.state.cgroup, err);
	if (l->cgroup < 0)
		return -1;
	return cgroup_apply(l->cgroup, &l->c.spec.resources, host_limit(l), err);
}

int launch_cgroup(struct launch *l, struct error **err)
{
	struct oci_state *s = &l->c.state;
	char *path;

	if (l->app->cgroup_manager == CGROUP_MANAGER_SYSTEMD)
		return 0;
	if (l->app->cgroup_manager == CGROUP_MANAGER_DISABLED)
		return do_without(l, "--cgroup-manager=disabled was given", err);
	if (!cgroup_available())
		return do_without(l, "/sys/fs/cgroup is not a cgroup v2 hierarchy that this user may "
				  "write", err);
	path = cgroup_path(l->c.spec.cgroups_path, l->opts->id, &s->arena, err);
	/* What is on record is ours to remove, with all that is in it. */
	if (!path || cgroup_check_unused(path, err) < 0)
		return -1;
	s->cgroup = path;
	return make_cgroup(l, err);
}

int launch_scope(struct launch *l, struct error **err)
{
	struct oci_state *s = &l->c.state;
	struct systemd_scope scope;
	char *path;

	if (l->app->cgroup_manager != CGROUP_MANAGER_SYSTEMD)
		return 0;
	if (systemd_scope_parse(l->c.spec.cgroups_path, l->opts->id, &s->arena, &scope, err) < 0)
		return -1;
	path = systemd_scope_create(&scope, s->vmm.pid, &s->arena, err);
	if (!path)
		return -1;
	s->cgroup = arena_printf(&s->arena, "%s/container", path);
	if (!s->cgroup)
		return error_set(err, ENOMEM, "cannot remember the cgroup");
	/* A cgroup with processes of its own cannot have controllers for others below it. */
	return cgroup_move(path, "container", s->vmm.pid, err) < 0 ? -1 : make_cgroup(l, err);
}
