/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_time.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_file.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* As time_namespaces(7) names them. */
static const char *const time_clocks[] = {
	[AGENT_CLOCK_MONOTONIC] = "monotonic",
	[AGENT_CLOCK_BOOTTIME] = "boottime",
};

bool time_is_offset(const struct agent_container *c)
{
	for (size_t i = 0; i < AGENT_CLOCKS; i++)
		if (c->time_offsets[i].secs || c->time_offsets[i].nanosecs)
			return true;
	return false;
}

static int time_set_offsets(const struct agent_container *c, struct error **err)
{
	for (size_t i = 0; i < AGENT_CLOCKS; i++) {
		const struct agent_time_offset *o = &c->time_offsets[i];
		char line[64];

		snprintf(line, sizeof(line), "%s %lld %u", time_clocks[i], (long long)o->secs,
			 o->nanosecs);
		if (file_write(AT_FDCWD, "/proc/self/timens_offsets", line, err) < 0)
			return error_wrap(err, "linux.timeOffsets");
	}
	return 0;
}

int time_unshare(const struct agent_container *c, struct error **err)
{
	cleanup_close int home = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);

	if (home < 0 || unshare(CLONE_NEWTIME) < 0)
		return error_set(err, errno, "linux.timeOffsets: the guest kernel makes no time "
				 "namespace");
	if (time_set_offsets(c, err) == 0)
		return steal_fd(&home);
	time_return(steal_fd(&home));
	return -1;
}

void time_return(int home)
{
	/* The agent's own cannot be refused to it. */
	if (setns(home, CLONE_NEWTIME) < 0)
		abort();
	close(home);
}
