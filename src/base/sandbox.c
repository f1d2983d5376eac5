/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

int sandbox_no_new_privs(struct error **err)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, errno, "cannot set no_new_privs");
	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_set(err, errno, "cannot forbid core dumps");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, errno, "cannot become undumpable");
	return 0;
}

static bool sandbox_cap_kept(int cap, const int *caps, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (caps[i] == cap)
			return true;
	return false;
}

int sandbox_keep_caps(const int *caps, size_t count, struct error **err)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data) < 0)
		return error_set(err, errno, "cannot read capabilities");
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (sandbox_cap_kept(cap, caps, count))
			continue;
		/* Without CAP_SETPCAP (a rootless caller) the bounding set stays; no_new_privs holds. */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return error_set(err, errno, "cannot drop capability %d", cap);
	}
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int word = 0; word < 2; word++) {
		uint32_t keep = 0;

		for (size_t i = 0; i < count; i++)
			if (caps[i] / 32 == word)
				keep |= 1u << (caps[i] % 32);
		data[word].permitted &= keep;
		data[word].effective = data[word].permitted;
		data[word].inheritable = 0;
	}
	if (syscall(SYS_capset, &hdr, data) < 0)
		return error_set(err, errno, "cannot drop capabilities");
	return 0;
}

int sandbox_become_user(uid_t id, struct error **err)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	/* The group first: where setgroups() is forbidden the id is not mapped either. */
	if (setresgid(id, id, id) < 0 || setgroups(0, NULL) < 0 || setresuid(id, id, id) < 0) {
		if (errno == EINVAL)
			return 0;
		return error_set(err, errno, "cannot become user %u", id);
	}
	return 0;
}

bool sandbox_has_cap(int cap)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	return syscall(SYS_capget, &hdr, data) == 0 &&
	       data[cap / 32].effective & 1u << (cap % 32);
}

/* A mount of this path alone, mounted nowhere yet. */
static int sandbox_clone(const char *path, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NOEXEC };
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0)
		return fd;
	error_set(err, errno, "cannot set %s aside", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Mount @fd in the working directory as @path is in the root; what leads there is made. */
static int sandbox_place(int fd, const char *path, struct error **err)
{
	char at[PATH_MAX];
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return error_set(err, errno, "cannot look at %s", path);
	for (size_t i = 1, len = strlen(path); i <= len && r == 0; i++) {
		const bool last = i == len;

		if (!last && path[i] != '/')
			continue;
		memcpy(at, path + 1, i - 1);
		at[i - 1] = 0;
		if (last && !S_ISDIR(st.st_mode))
			r = mknod(at, S_IFREG | 0444, 0);
		else
			r = mkdir(at, 0555);
		if (r < 0 && errno == EEXIST)
			r = 0;
	}
	if (r < 0 || move_mount(fd, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "cannot place %s in a small root", path);
	return 0;
}

int sandbox_empty_root(struct error **err)
{
	return sandbox_root_of(NULL, 0, err);
}

static int sandbox_clone_all(const char *const *paths, int *fds, size_t count, struct error **err)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = sandbox_clone(paths[i], err);
		if (fds[i] < 0)
			return -1;
	}
	return 0;
}

int sandbox_root_of(const char *const *paths, size_t count, struct error **err)
{
	const char *dir = "/proc"; /* any directory there is: it is covered in our namespace only */
	int fds[SANDBOX_PATHS_MAX];

	if (count > SANDBOX_PATHS_MAX)
		return error_set(err, E2BIG, "a small root of %zu paths", count);
	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, errno, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, errno, "cannot make mounts private");
	if (sandbox_clone_all(paths, fds, count, err) < 0)
		return -1;
	if (mount("krun-gpu", dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  count ? "size=64k,mode=555,nr_inodes=64" : "size=4k,mode=555,nr_inodes=2") < 0)
		return error_set(err, errno, "cannot mount an empty root");
	if (chdir(dir) < 0)
		return error_set(err, errno, "cannot change to the empty root");
	for (size_t i = 0; i < count; i++) {
		if (sandbox_place(fds[i], paths[i], err) < 0)
			return -1;
		close(fds[i]);
	}
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, errno, "cannot change to the empty root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, errno, "cannot leave the old root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		return error_set(err, errno, "cannot make the empty root read-only");
	return 0;
}

/* A tmpfs of nothing, mounted nowhere: it lasts as long as it is somebody's root. */
static int sandbox_nowhere(struct error **err)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mnt = -1;

	if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "size", "4k", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "2", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "555", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mnt = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
			      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mnt < 0)
		error_set(err, errno, "cannot make an empty root");
	if (fs >= 0)
		close(fs);
	return mnt;
}

int sandbox_leave_root(struct error **err)
{
	int mnt = sandbox_nowhere(err), r = 0;

	if (mnt < 0)
		return -1;
	if (umount2("/", MNT_DETACH) < 0 || fchdir(mnt) < 0 || chroot(".") < 0 || chdir("/") < 0)
		r = error_set(err, errno, "cannot leave the root");
	close(mnt);
	return r;
}

static int sandbox_add_rule(scmp_filter_ctx ctx, const struct sandbox_rule *rule)
{
	int nr = seccomp_syscall_resolve_name(rule->syscall);
	struct scmp_arg_cmp cmp = { .arg = rule->arg, .op = SCMP_CMP_MASKED_EQ,
				    .datum_a = rule->arg_mask, .datum_b = rule->arg_value };

	if (nr == __NR_SCMP_ERROR || nr < 0)
		return 0;
	if (rule->self)
		cmp = (struct scmp_arg_cmp){ .arg = 0, .op = SCMP_CMP_MASKED_EQ,
					     .datum_a = 0xffffffff, .datum_b = (uint64_t)getpid() };
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, rule->self || rule->arg_mask ? 1 : 0,
				      &cmp);
}

int sandbox_seccomp(const struct sandbox_rule *rules, size_t count, struct error **err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	if (!r)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; !r && i < count; i++) {
		r = sandbox_add_rule(ctx, &rules[i]);
		if (r)
			error_set(err, -r, "cannot allow the system call %s", rules[i].syscall);
	}
	if (!r) {
		r = seccomp_load(ctx);
		if (r)
			error_set(err, -r, "cannot load the seccomp filter");
	} else if (!ctx) {
		error_set(err, ENOMEM, "cannot make a seccomp filter");
	}
	if (ctx)
		seccomp_release(ctx);
	return r ? -1 : 0;
}
