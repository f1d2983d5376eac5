/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_boot.h"
#include "guest-agent/agent_devices.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_mounts.h"

#define SYSCTL_DIR "/proc/sys/"

/* Binds the export's rootfs where it can be pivoted into; answers an fd of its root. */
static int rootfs_bind(int export, struct error **err)
{
	cleanup_close int place = -1, root = -1;
	int r;

	/* Nothing that is mounted from here on shows in the agent's mount namespace. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, errno, "make the guest's mounts private");
	root = open_tree(export, AGENT_FS_ROOTFS, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root < 0)
		return error_set(err, errno, "the export's %s", AGENT_FS_ROOTFS);
	place = open(BOOT_CONTAINER, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = place < 0 ? -errno : mounts_attach(root, place);
	if (r < 0)
		return error_set(err, -r, "mount the container's root in the guest");
	return steal_fd(&root);
}

/* A /dev that is a bind mount of the host's is the user's: nothing is put into it. */
static bool dev_is_bind(const struct agent_container *c)
{
	for (size_t i = 0; i < c->num_mounts; i++)
		if (c->mounts[i].kind == AGENT_MOUNT_EXPORT &&
		    !strcmp(c->mounts[i].destination, "/dev"))
			return true;
	return false;
}

char *rootfs_sysctl_path(const char *key, struct error **err)
{
	const bool dots = key[strcspn(key, "./")] == '.';
	char *path;

	if (asprintf(&path, SYSCTL_DIR "%s", key) < 0) {
		error_set(err, ENOMEM, "sysctl %s", key);
		return NULL;
	}
	for (char *p = path + strlen(SYSCTL_DIR); dots && *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	return path;
}

int rootfs_sysctls(const struct agent_container *c, enum rootfs_sysctls which, struct error **err)
{
	for (size_t i = 0; i < c->num_sysctls; i++) {
		const struct agent_pair *s = &c->sysctls[i];
		cleanup_free char *path = rootfs_sysctl_path(s->key, err);
		bool network;

		if (!path)
			return -1;
		network = !strncmp(path, SYSCTL_DIR "net/", strlen(SYSCTL_DIR "net/"));
		if (which != SYSCTLS_ALL && network != (which == SYSCTLS_NETWORK))
			continue;
		if (file_write(AT_FDCWD, path, s->value, err) < 0)
			return error_wrap(err, "sysctl %s", s->key);
	}
	return 0;
}

static int rootfs_assemble(const struct agent_container *c, int export, int root,
			   struct error **err)
{
	for (size_t i = 0; i < c->num_mounts; i++)
		if (mounts_apply(root, export, &c->mounts[i], err) < 0)
			return -1;
	if (!dev_is_bind(c) && (devices_create(root, c, err) < 0 || devices_link(root, err) < 0))
		return -1;
	if (rootfs_sysctls(c, c->namespaces & CLONE_NEWUSER ? SYSCTLS_OTHER : SYSCTLS_ALL, err) < 0)
		return -1;
	for (char **p = c->readonly_paths; *p; p++)
		if (mounts_make_readonly(root, *p, err) < 0)
			return -1;
	for (char **p = c->masked_paths; *p; p++)
		if (mounts_mask(root, *p, err) < 0)
			return -1;
	return 0;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root comes to lie over the new one, and goes. */
static int rootfs_pivot(int root, struct error **err)
{
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, errno, "pivot_root into the container's root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, errno, "leave the guest's root");
	return 0;
}

int rootfs_enter(const struct agent_container *c, struct error **err)
{
	cleanup_close int export = open(BOOT_EXPORT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int root = -1;

	if (export < 0)
		return error_set(err, errno, "the guest's " BOOT_EXPORT);
	root = rootfs_bind(export, err);
	if (root < 0 || rootfs_assemble(c, export, root, err) < 0)
		return -1;
	return rootfs_pivot(root, err);
}

static bool is_covered(const struct agent_container *c, size_t index)
{
	for (size_t i = index + 1; i < c->num_mounts; i++)
		if (!strcmp(c->mounts[i].destination, c->mounts[index].destination))
			return true;
	return false;
}

/* Those that are to be read-only, now that all is in them. */
static int seal_tmpfs(const struct agent_container *c, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < c->num_mounts; i++) {
		const struct agent_mount *m = &c->mounts[i];
		cleanup_close int fd = -1;

		if (m->kind != AGENT_MOUNT_FS || strcmp(m->type, "tmpfs") ||
		    !(m->flags & MS_RDONLY) || is_covered(c, i))
			continue;
		fd = root_open(root, m->destination, O_PATH | O_DIRECTORY);
		if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
			return error_set(err, fd < 0 ? -fd : errno, "make `%s` read-only",
					 m->destination);
	}
	return 0;
}

int rootfs_seal(const struct agent_container *c, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	if (seal_tmpfs(c, err) < 0)
		return -1;
	if (c->readonly_root && mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "make the root read-only");
	if (c->rootfs_propagation && mount(NULL, "/", NULL, c->rootfs_propagation, NULL) < 0)
		return error_set(err, errno, "set the root's propagation");
	return 0;
}
