/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"

int seccomp_apply(const struct agent_process *p, struct error **err)
{
	struct sock_fprog prog = { .filter = (struct sock_filter *)(void *)p->seccomp };

	if (!p->seccomp)
		return 0;
	if (p->seccomp_len % sizeof(struct sock_filter) ||
	    p->seccomp_len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return error_set(err, EINVAL, "seccomp filter of %zu bytes", p->seccomp_len);
	prog.len = (unsigned short)(p->seccomp_len / sizeof(struct sock_filter));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->seccomp_flags, &prog) < 0)
		return error_set(err, errno, "load the seccomp filter");
	return 0;
}
