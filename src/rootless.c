/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/oci_spec.h"

static bool has_admin(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t admin = CAP_CLEAR;

	if (!caps || cap_get_flag(caps, CAP_SYS_ADMIN, CAP_EFFECTIVE, &admin) < 0)
		admin = CAP_CLEAR;
	cap_free(caps);
	return admin == CAP_SET;
}

static int write_self(const char *file, const char *text, struct error **err)
{
	cleanup_close int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, errno, "cannot write %s to %s", text, path);
	return 0;
}

int rootless_enter(const struct oci_spec *spec, struct error **err)
{
	const bool keep = oci_spec_namespace(spec, CLONE_NEWUSER);
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	char uids[64], gids[64];

	if (has_admin())
		return 0;
	snprintf(uids, sizeof(uids), "%u %u 1", keep ? uid : 0, uid);
	snprintf(gids, sizeof(gids), "%u %u 1", keep ? gid : 0, gid);
	/* Mounts can be copied in a mount namespace of one's own alone. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return error_set(err, errno, "without root a container needs a user namespace, which this "
				 "user may not make");
	/* user_namespaces(7): without it, no group may be mapped */
	if (write_self("setgroups", "deny", err) < 0 || write_self("uid_map", uids, err) < 0)
		return -1;
	return write_self("gid_map", gids, err);
}
