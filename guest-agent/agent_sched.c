/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_sched.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched/types.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"

static int apply_scheduler(const struct agent_scheduler *s, struct error **err)
{
	struct sched_attr attr = {
		.size = sizeof(attr), .sched_policy = s->policy, .sched_flags = s->flags,
		.sched_nice = s->nice, .sched_priority = s->priority, .sched_runtime = s->runtime,
		.sched_deadline = s->deadline, .sched_period = s->period,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return error_set(err, errno, "set the scheduler");
	return 0;
}

int sched_apply(const struct agent_process *p, struct error **err)
{
	if (p->has_personality && personality(p->personality) < 0)
		return error_set(err, errno, "set the personality");
	if (p->has_scheduler && apply_scheduler(&p->scheduler, err) < 0)
		return -1;
	if (p->has_io_priority &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, p->io_priority) < 0)
		return error_set(err, errno, "set the input/output priority");
	return 0;
}
