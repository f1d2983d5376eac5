/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_creds.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

/*
 * Theory of operation
 *
 * setfsuid() to another user takes the file system capabilities out of the effective set. The
 * guest has checked permissions with knowledge that we lack (the user's groups, capabilities in
 * the container), so CAP_DAC_OVERRIDE goes back in; CAP_FSETID does not, which has the kernel clear
 * the SGID bit of a new file where the user is not in its group. setfsuid() back to ourselves
 * brings the effective set back.
 *
 * capset(), setgroups() and the set*id calls are made through syscall(): the kernel's are per
 * thread, the C library's change all threads.
 */

static __thread struct {
	struct __user_cap_data_struct caps[2]; /* what the thread has when it is itself */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool assumed;
} fs_thread;

#define FS_CAP(cap) (1u << (cap)) /* of those below 32 */

/* Effective while acting for a user. The last three are for the way there and back. */
#define FS_CAPS_ASSUMED                                                           \
	(FS_CAP(CAP_DAC_OVERRIDE) | FS_CAP(CAP_DAC_READ_SEARCH) | FS_CAP(CAP_MKNOD) | \
	 FS_CAP(CAP_SETUID) | FS_CAP(CAP_SETGID) | FS_CAP(CAP_SETFCAP))

static int fs_creds_set_effective(uint32_t mask)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { fs_thread.caps[0], fs_thread.caps[1] };

	data[0].effective &= mask;
	return syscall(SYS_capset, &hdr, data) < 0 ? -errno : 0;
}

int fs_creds_thread_init(struct error **err)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };

	if (unshare(CLONE_FS) < 0)
		return error_set(err, errno, "cannot give a thread a umask of its own");
	if (syscall(SYS_capget, &hdr, fs_thread.caps) < 0)
		return error_set(err, errno, "cannot read capabilities");
	fs_thread.uid = geteuid();
	fs_thread.gid = getegid();
	fs_thread.umask = 0;
	umask(0);
	return 0;
}

static int fs_creds_become(const struct fs_creds *c)
{
	/* A user namespace may forbid this: the file then loses its SGID bit, the safe side. */
	if (c->has_group)
		syscall(SYS_setgroups, 1, &c->group);
	/* These report no errors, such as for an id that our user namespace lacks: ask. */
	setfsgid(c->gid);
	setfsuid(c->uid);
	if ((gid_t)setfsgid(-1) != c->gid || (uid_t)setfsuid(-1) != c->uid)
		return -EPERM;
	return fs_creds_set_effective(FS_CAPS_ASSUMED);
}

int fs_creds_assume(const struct fs_creds *c)
{
	int r;

	if (c->umask != fs_thread.umask) {
		umask(c->umask);
		fs_thread.umask = c->umask;
	}
	if (c->uid == fs_thread.uid && c->gid == fs_thread.gid)
		return 0;
	fs_thread.assumed = true;
	r = fs_creds_become(c);
	if (r < 0)
		fs_creds_restore();
	return r;
}

void fs_creds_restore(void)
{
	if (!fs_thread.assumed)
		return;
	fs_thread.assumed = false;
	setfsuid(fs_thread.uid);
	setfsgid(fs_thread.gid);
	fs_creds_set_effective(UINT32_MAX);
	syscall(SYS_setgroups, 0, NULL);
}

void fs_creds_set_fsetid(bool on)
{
	fs_creds_set_effective(on ? UINT32_MAX : ~FS_CAP(CAP_FSETID));
}
