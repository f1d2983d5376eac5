/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"

/* What seccomp(2) asks for without no_new_privs. */
#define FILTER_CAPS (1ull << CAP_SYS_ADMIN)

int user_apply_rlimits(const struct agent_process *p, struct error **err)
{
	for (size_t i = 0; i < p->num_rlimits; i++) {
		const struct agent_rlimit *l = &p->rlimits[i];
		struct rlimit64 limit = { .rlim_cur = l->soft, .rlim_max = l->hard };

		if (prlimit64(0, l->resource, &limit, NULL) < 0)
			return error_set(err, errno, "rlimit %u to %llu:%llu", l->resource,
					 (unsigned long long)l->soft, (unsigned long long)l->hard);
	}
	return 0;
}

static int drop_bounding(uint64_t keep, struct error **err)
{
	for (unsigned int cap = 0; cap < 64; cap++) {
		if (keep & (1ull << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL) /* above the kernel's last capability */
				break;
			return error_set(err, errno, "drop capability %u", cap);
		}
	}
	return 0;
}

static int set_ids(const struct agent_process *p, struct error **err)
{
	if (setgroups(p->num_additional_gids, p->additional_gids) < 0)
		return error_set(err, errno, "setgroups");
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return error_set(err, errno, "setresgid %u", p->gid);
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return error_set(err, errno, "setresuid %u", p->uid);
	return 0;
}

static const uint64_t *wanted_capabilities(const struct agent_process *p)
{
	static const uint64_t none[AGENT_CAP_SETS];

	return p->has_capabilities ? p->capabilities : none;
}

/* Permitted, effective and inheritable; @more is permitted and effective, too. */
static int set_capabilities(const uint64_t *caps, uint64_t more, struct error **err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective = (uint32_t)((caps[AGENT_CAP_EFFECTIVE] | more) >> (32 * i));
		data[i].permitted = (uint32_t)((caps[AGENT_CAP_PERMITTED] | more) >> (32 * i));
		data[i].inheritable = (uint32_t)(caps[AGENT_CAP_INHERITABLE] >> (32 * i));
	}
	return syscall(SYS_capset, &header, data) < 0 ? error_set(err, errno, "capset") : 0;
}

static int set_ambient(uint64_t caps, struct error **err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_set(err, errno, "clear ambient capabilities");
	for (unsigned int cap = 0; cap < 64; cap++)
		if ((caps & (1ull << cap)) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return error_set(err, errno, "raise ambient capability %u", cap);
	return 0;
}

int user_apply(const struct agent_process *p, struct error **err)
{
	const uint64_t *caps = wanted_capabilities(p);

	if (drop_bounding(caps[AGENT_CAP_BOUNDING], err) < 0)
		return -1;
	/* Else the change of user would clear the permitted set before it can be given on. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "PR_SET_KEEPCAPS");
	if (set_ids(p, err) < 0 || set_capabilities(caps, FILTER_CAPS, err) < 0 ||
	    set_ambient(caps[AGENT_CAP_AMBIENT], err) < 0)
		return -1;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_set(err, errno, "PR_SET_KEEPCAPS");
	return 0;
}

int user_finish(const struct agent_process *p, struct error **err)
{
	const uint64_t *caps = wanted_capabilities(p);

	if (caps[AGENT_CAP_EFFECTIVE] & caps[AGENT_CAP_PERMITTED] & FILTER_CAPS)
		return 0;
	return set_capabilities(caps, 0, err);
}
