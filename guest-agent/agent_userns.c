/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_devices.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_rootfs.h"

#define OVERFLOW_ID 65534
#define PORT_SYSCTL "/proc/sys/net/ipv4/ip_unprivileged_port_start"

uint32_t userns_outside(const struct agent_mappings *m, uint32_t inside)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct agent_mapping *e = &m->items[i];

		if (inside >= e->inside && inside - e->inside < e->count)
			return e->outside + (inside - e->inside);
	}
	return OVERFLOW_ID;
}

/*
 * The network belongs to the machine, whose only user the container is. A capability of the
 * container's own user namespace does not count there, so that what CAP_NET_BIND_SERVICE would
 * allow is allowed by the port's number.
 */
static int open_ports(const struct agent_container *c, struct error **err)
{
	for (size_t i = 0; i < c->num_sysctls; i++) {
		cleanup_free char *path = rootfs_sysctl_path(c->sysctls[i].key, err);

		if (!path)
			return -1;
		if (!strcmp(path, PORT_SYSCTL))
			return 0;
	}
	return file_write(AT_FDCWD, PORT_SYSCTL, "0", err);
}

int userns_prepare(const struct agent_container *c, struct error **err)
{
	if (devices_stage(c, err) < 0 || rootfs_sysctls(c, SYSCTLS_NETWORK, err) < 0)
		return -1;
	return open_ports(c, err);
}

/* One write, as the kernel wants it. */
static int write_map(pid_t pid, const char *file, const struct agent_mappings *m, struct error **err)
{
	cleanup_free char *text = NULL;
	char path[64];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return error_set(err, ENOMEM, "%s", file);
	for (size_t i = 0; i < m->count; i++)
		fprintf(out, "%u %u %u\n", m->items[i].inside, m->items[i].outside,
			m->items[i].count);
	if (fclose(out))
		return error_set(err, ENOMEM, "%s", file);
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return file_write(AT_FDCWD, path, text, err);
}

static int set_oom_score(pid_t pid, const struct agent_process *p, struct error **err)
{
	char path[64], score[16];

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	snprintf(score, sizeof(score), "%d", p->has_oom_score_adj ? p->oom_score_adj : 0);
	return file_write(AT_FDCWD, path, score, err);
}

int userns_set_up(pid_t pid, const struct agent_container *c, struct error **err)
{
	if (set_oom_score(pid, &c->process, err) < 0 ||
	    userns_raise_limits(pid, &c->process, err) < 0)
		return -1;
	return write_map(pid, "uid_map", &c->uids, err) < 0 ||
	       write_map(pid, "gid_map", &c->gids, err) < 0 ? -1 : 0;
}

int userns_enter(struct error **err)
{
	/* EINVAL: the container has no such user; what it makes then belongs to nobody. */
	if ((setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) && errno != EINVAL)
		return error_set(err, errno, "become root of the user namespace");
	return 0;
}

int userns_raise_limits(pid_t pid, const struct agent_process *p, struct error **err)
{
	for (size_t i = 0; i < p->num_rlimits; i++) {
		const struct agent_rlimit *l = &p->rlimits[i];
		struct rlimit64 have;

		if (prlimit64(pid, l->resource, NULL, &have) < 0)
			return error_set(err, errno, "rlimit %u", l->resource);
		if (l->hard <= have.rlim_max)
			continue;
		have.rlim_max = l->hard;
		if (prlimit64(pid, l->resource, &have, NULL) < 0)
			return error_set(err, errno, "raise rlimit %u to %llu", l->resource,
					 (unsigned long long)l->hard);
	}
	return 0;
}

int userns_own_stdio(const int stdio[3], const struct agent_mappings *uids, uint32_t uid,
		     struct error **err)
{
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (stdio[i] < 0)
			continue;
		if (fstat(stdio[i], &st) < 0)
			return error_set(err, errno, "standard stream %d", i);
		if (S_ISFIFO(st.st_mode) && fchown(stdio[i], userns_outside(uids, uid),
						   (gid_t)-1) < 0)
			return error_set(err, errno, "change the owner of standard stream %d", i);
	}
	return 0;
}
