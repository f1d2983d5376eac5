/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"

/* Where a mount belongs, resolved inside the root, whatever links an image put there. */
static int view_target(int root, const char *destination)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, destination, &how, sizeof(how));
}

/* One that cannot be shown is missed by who looks for it; the container has it all the same. */
static void view_mount(int root, const struct oci_export_mount *m)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID };
	cleanup_close int target = view_target(root, m->plan.destination);
	cleanup_close int tree = -1;

	if (target < 0)
		return;
	if (m->plan.flags & MS_RDONLY)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	tree = open_tree(AT_FDCWD, m->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
			 (m->plan.recursive ? AT_RECURSIVE : 0));
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
	    move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		log_info("%s is not shown to who looks at the container's files from the host: %s",
			 m->plan.destination, strerror(errno));
}

static int view_proc_mount(int fuse)
{
	cleanup_close int fs = fsopen("fuse", FSOPEN_CLOEXEC);
	char fd[16], uid[16], gid[16];

	snprintf(fd, sizeof(fd), "%d", fuse);
	snprintf(uid, sizeof(uid), "%u", geteuid());
	snprintf(gid, sizeof(gid), "%u", getegid());
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "krun-gpu", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "fd", fd, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "rootmode", "40555", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "user_id", uid, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "group_id", gid, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "allow_other", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
		       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* Nobody looks at it before the VMM answers there. */
static void view_proc(int root, int fuse)
{
	cleanup_close int target = fuse < 0 ? -1 : view_target(root, "/proc");
	cleanup_close int mnt = -1;

	if (target < 0)
		return;
	mnt = view_proc_mount(fuse);
	if (mnt < 0 || move_mount(mnt, "", target, "", MOVE_MOUNT_F_EMPTY_PATH |
				  MOVE_MOUNT_T_EMPTY_PATH) < 0)
		log_info("the container's processes are not shown to who looks for them from the host: %s",
			 strerror(errno));
}

/* The host's root comes to lie over the container's; this process stays in it. */
static int view_pivot(int root, struct error **err)
{
	cleanup_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0)
		return error_set(err, errno, "cannot open /");
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, errno, "cannot make the container's root that of a mount namespace");
	if (fchdir(old) < 0 || chroot(".") < 0)
		return error_set(err, errno, "cannot stay in the host's root");
	return 0;
}

int oci_view_make(const struct oci_view *v, struct error **err)
{
	cleanup_close int root = -1;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, errno, "cannot make a mount namespace for the VMM");
	if (mount(v->rootfs, v->rootfs, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_set(err, errno, "cannot bind %s", v->rootfs);
	root = open(v->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, errno, "cannot open %s", v->rootfs);
	for (size_t i = 0; i < v->num_mounts; i++)
		if (v->shown[i] && v->mounts[i].path)
			view_mount(root, &v->mounts[i]);
	view_proc(root, v->proc);
	return view_pivot(root, err);
}
