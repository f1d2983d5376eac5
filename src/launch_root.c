/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's files, as the mount namespace of its process shows them to engines. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "launch_internal.h"
#include "oci/arena.h"
#include "oci/oci_view.h"

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

/* Does nothing that only the guest has lie over this mount, or above it? */
static bool is_visible(const struct launch_plan *plan, size_t index)
{
	const char *destination = plan->mounts[index].destination;

	for (size_t i = 0; i < plan->num_mounts; i++) {
		const struct agent_mount *m = &plan->mounts[i];

		if (i != index && m->kind == AGENT_MOUNT_FS && is_below(destination, m->destination))
			return false;
	}
	return true;
}

/* Only where the container has a /proc. Without FUSE on the host it is missed by `podman top` alone. */
int launch_proc(struct launch *l, struct error **err)
{
	(void)err;
	for (size_t i = 0; i < l->plan.num_mounts; i++) {
		const struct agent_mount *m = &l->plan.mounts[i];

		if (m->kind != AGENT_MOUNT_FS || strcmp(m->type, "proc") ||
		    strcmp(m->destination, "/proc"))
			continue;
		l->vmm_fds[VMM_FD_PROC] = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (l->vmm_fds[VMM_FD_PROC] < 0)
			log_info("/dev/fuse: %s: the container's processes are not shown to who looks "
				 "for them from the host", strerror(errno));
		break;
	}
	return 0;
}

int launch_root(void *data, struct error **err)
{
	struct launch *l = data;
	struct oci_view v = {
		.rootfs = l->c.state.rootfs, .mounts = l->plan.exports,
		.num_mounts = l->plan.num_exports, .proc = l->vmm_fds[VMM_FD_PROC],
	};
	bool *shown = arena_alloc(&l->c.state.arena, v.num_mounts, sizeof(*shown));
	size_t n = 0;

	if (!shown)
		return error_set(err, 0, "out of memory");
	/* Exports are numbered in the order of their mounts. */
	for (size_t i = 0; i < l->plan.num_mounts; i++)
		if (l->plan.mounts[i].kind == AGENT_MOUNT_EXPORT)
			shown[n++] = is_visible(&l->plan, i);
	v.shown = shown;
	return oci_view_make(&v, err);
}
