/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the worker's file system is a small tmpfs that holds nothing but the mount
 * points of detached copies (open_tree) of the host's mounts. A copy gets its attributes before
 * it is attached, so that there is no moment in which it is writable or propagates. At last the
 * tmpfs itself becomes read-only: the guest has no place to fill the host's memory from.
 *
 * Sources are resolved by the host, following its symbolic links, as its administrator wrote them;
 * destinations are not looked at here: the guest mounts them, inside of what is its own.
 */
#include "oci/oci_export.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/oci_userns.h"

static int export_openat2(int rootfd, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT |
				RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
}

/* Opens @path below @rootfd as a directory, making it when it is missing. */
static int export_open_or_make_dir(int rootfd, int parent, const char *path, const char *name)
{
	int fd = export_openat2(rootfd, path, O_PATH | O_DIRECTORY);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return export_openat2(rootfd, path, O_PATH | O_DIRECTORY);
}

int oci_export_make_mount_point(int rootfd, const char *destination, bool directory)
{
	cleanup_close int parent = export_openat2(rootfd, "/", O_PATH | O_DIRECTORY);
	cleanup_close int there = export_openat2(rootfd, destination, O_PATH);
	cleanup_free char *path = strdup(destination);
	size_t len = strlen(destination);

	if (there >= 0)
		return 0;
	if (parent < 0 || !path)
		return -errno;
	while (len && path[len - 1] == '/')
		path[--len] = 0;
	for (char *name = path + strspn(path, "/"); *name;) {
		char *end = name + strcspn(name, "/");
		const bool last = !*end;
		int next;

		if (last && !directory) {
			there = openat(parent, name,
				       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
			return there < 0 ? -errno : 0;
		}
		*end = 0;
		next = export_open_or_make_dir(rootfd, parent, path, name);
		if (next < 0)
			return -errno;
		close(parent);
		parent = next;
		if (last)
			break;
		*end = '/';
		name = end + strspn(end, "/");
	}
	return 0;
}

static const struct {
	uint64_t flag, attr;
} export_flags[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY },
	{ MS_NOATIME, MOUNT_ATTR_NOATIME },
	{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
};

#define EXPORT_FLAGS (MS_RDONLY | MS_NOATIME | MS_NODIRATIME | MS_STRICTATIME)

/* What holds for the top of a bind mount only. The rest of its flags is the guest's to apply. */
static void export_top_attr(const struct oci_mount_plan *plan, struct mount_attr *attr)
{
	for (size_t i = 0; i < sizeof(export_flags) / sizeof(*export_flags); i++)
		if (plan->flags & export_flags[i].flag)
			attr->attr_set |= export_flags[i].attr;
	if (attr->attr_set & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME))
		attr->attr_clr |= MOUNT_ATTR__ATIME;
}

/* For every mount of the copy. A device node must never be opened through it. */
static void export_tree_attr(const struct oci_mount_plan *plan, struct mount_attr *attr)
{
	/* What is shared in the guest is a slave here: nothing of the guest's gets to the host. */
	const uint64_t slave = plan ? plan->propagation & (MS_SLAVE | MS_SHARED) : 0;

	attr->attr_set = MOUNT_ATTR_NODEV;
	attr->propagation = slave ? MS_SLAVE : MS_PRIVATE;
	if (!plan)
		return;
	attr->attr_set |= plan->attr_set;
	attr->attr_clr = plan->attr_clear & ~(uint64_t)MOUNT_ATTR_NODEV;
}

/* An idmapped mount: ids of the file system below are shown, and written, as mapped. */
static int export_idmap(int fd, const struct oci_export_mount *m, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	cleanup_close int userns = -1;

	if (!m || !m->plan.uids)
		return 0;
	userns = oci_userns_open(m->plan.uids, m->plan.gids, err);
	if (userns < 0)
		return error_wrap(err, "%s, to be mounted at %s", m->path, m->plan.destination);
	attr.userns_fd = (uint64_t)userns;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (m->plan.idmap_recursive ? AT_RECURSIVE : 0),
			  &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "cannot map the ids of %s (can its file system be "
				 "idmapped?)", m->path);
	return 0;
}

/* @m: the mount of the configuration that this is for; NULL: the rootfs */
static int export_attach(const char *source, const char *target, const struct oci_export_mount *m,
			 const struct mount_attr *tree, const struct mount_attr *top,
			 struct error **err)
{
	cleanup_close int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					 (!m || m->plan.recursive ? AT_RECURSIVE : 0));
	struct mount_attr tree_attr = *tree, top_attr = *top;

	if (fd < 0)
		return error_set(err, errno, "cannot copy the mount %s", source);
	if (export_idmap(fd, m, err) < 0)
		return -1;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &tree_attr, sizeof(tree_attr)) < 0)
		return error_set(err, errno, "cannot set the mount attributes of %s", source);
	if ((top->attr_set || top->attr_clr) &&
	    mount_setattr(fd, "", AT_EMPTY_PATH, &top_attr, sizeof(top_attr)) < 0)
		return error_set(err, errno, "cannot set the mount attributes of %s", source);
	if (move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "cannot export %s", source);
	return 0;
}

static int export_rootfs(const struct oci_export *ex, struct error **err)
{
	struct mount_attr tree = { 0 }, top = { 0 };

	if (mkdir("rootfs", 0755) < 0)
		return error_set(err, errno, "cannot make a mount point");
	if (ex->readonly)
		top.attr_set = MOUNT_ATTR_RDONLY;
	export_tree_attr(NULL, &tree);
	return export_attach(ex->rootfs, "rootfs", NULL, &tree, &top, err);
}

static int export_overlay(const struct oci_mount_plan *plan, const char *target, struct error **err)
{
	if (mkdir(target, 0755) < 0)
		return error_set(err, errno, "cannot make a mount point");
	if (mount("overlay", target, "overlay", (plan->flags & EXPORT_FLAGS) | MS_NODEV,
		  plan->data) < 0)
		return error_set(err, errno, "cannot mount the overlay for %s", plan->destination);
	return 0;
}

static int export_bind(const struct oci_export_mount *m, const char *target, struct error **err)
{
	struct mount_attr tree = { 0 }, top = { 0 };
	struct stat st;

	if (stat(m->path, &st) < 0)
		return error_set(err, errno, "%s, to be mounted at %s", m->path,
				 m->plan.destination);
	if (S_ISDIR(st.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0))
		return error_set(err, errno, "cannot make a mount point");
	export_tree_attr(&m->plan, &tree);
	export_top_attr(&m->plan, &top);
	return export_attach(m->path, target, m, &tree, &top, err);
}

static int export_mounts(const struct oci_export *ex, struct error **err)
{
	if (mkdir("mounts", 0755) < 0)
		return error_set(err, errno, "cannot make a mount point");
	for (size_t i = 0; i < ex->num_mounts; i++) {
		const struct oci_export_mount *m = &ex->mounts[i];
		char target[32];
		int r;

		snprintf(target, sizeof(target), "mounts/%zu", i);
		if (m->plan.where == OCI_MOUNT_OVERLAY)
			r = export_overlay(&m->plan, target, err);
		else
			r = export_bind(m, target, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

static int export_agent(const struct oci_export *ex, struct error **err)
{
	const struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV |
						     MOUNT_ATTR_NOSUID,
					 .propagation = MS_PRIVATE };

	if (!ex->agent)
		return 0;
	if (mknod(ex->agent_name, S_IFREG | 0755, 0) < 0 || mkdir(ex->newroot_name, 0755) < 0)
		return error_set(err, errno, "cannot make a mount point");
	return export_attach(ex->agent, ex->agent_name, false, &attr, &attr, err);
}

int oci_export_assemble(const struct oci_export *ex, struct error **err)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char options[64];

	/* Mounts of the host still arrive below rslave mounts; nothing goes back. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_set(err, errno, "cannot make a mount namespace for the file server");
	snprintf(options, sizeof(options), "mode=755,size=1m,nr_inodes=%zu", ex->num_mounts + 10);
	if (mount("krun-gpu", ex->dir, "tmpfs", flags, options) < 0)
		return error_set(err, errno, "cannot mount a tmpfs at %s", ex->dir);
	if (chdir(ex->dir) < 0)
		return error_set(err, errno, "cannot enter %s", ex->dir);
	if (export_rootfs(ex, err) < 0 || export_mounts(ex, err) < 0 || export_agent(ex, err) < 0)
		return -1;
	if (mount(NULL, ex->dir, NULL, MS_REMOUNT | MS_RDONLY | flags, options) < 0)
		return error_set(err, errno, "cannot make the export's root read-only");
	return 0;
}
