/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rootless.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/oci_spec.h"

bool rootless_is_host_root(void)
{
	cleanup_close int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	unsigned int inside = 1, outside = 1, count = 0;
	char map[256] = "";

	if (fd < 0 || read(fd, map, sizeof(map) - 1) <= 0)
		return !geteuid();
	return !geteuid() && sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && !inside &&
	       !outside && count == UINT32_MAX;
}

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

/* Who is not root there loses the namespace's rights with the first program that is executed. */
static int keep_caps(struct error **err)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data) < 0)
		return error_set(err, errno, "cannot read capabilities");
	data[0].inheritable = data[0].permitted;
	data[1].inheritable = data[1].permitted;
	if (syscall(SYS_capset, &hdr, data) < 0)
		return error_set(err, errno, "cannot pass capabilities on");
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return error_set(err, errno, "cannot pass capability %d on", cap);
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
	if (write_self("gid_map", gids, err) < 0)
		return -1;
	return uid ? keep_caps(err) : 0;
}
