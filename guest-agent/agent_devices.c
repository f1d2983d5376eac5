/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_mounts.h"
#include "guest-agent/agent_userns.h"

/* A tmpfs in the guest's own root, which a container sees nothing of. */
#define STAGE_DIR "/devices"
#define GPU_CARD "/dev/dri/card0"
#define GPU_RENDER "/dev/dri/renderD128"

/* The numbers of the guest's GPU node: a DRM minor depends on what else the guest kernel drives. */
static int gpu_number(const char *node, dev_t *dev, struct error **err)
{
	struct stat st;

	if (stat(node, &st) < 0)
		return error_set(err, errno, "the guest has no GPU node %s", node);
	if (!S_ISCHR(st.st_mode))
		return error_set(err, ENODEV, "the guest's %s is not a device", node);
	*dev = st.st_rdev;
	return 0;
}

static int device_number(const struct agent_device *d, dev_t *dev, struct error **err)
{
	switch (d->kind) {
	case AGENT_DEVICE_NODE:
		*dev = makedev(d->major, d->minor);
		return 0;
	case AGENT_DEVICE_GPU_CARD:
		return gpu_number(GPU_CARD, dev, err);
	case AGENT_DEVICE_GPU_RENDER:
		return gpu_number(GPU_RENDER, dev, err);
	default:
		return error_set(err, EINVAL, "kind %u", d->kind);
	}
}

/* A node that is there already is kept when it is the same device, and refused otherwise. */
static int device_make(int dir, const char *name, mode_t mode, dev_t dev, struct error **err)
{
	struct stat st;

	if (mknodat(dir, name, mode, dev) == 0)
		return 0;
	if (errno != EEXIST)
		return error_set(err, errno, "mknod");
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat");
	if ((st.st_mode & S_IFMT) != (mode & S_IFMT) || (!S_ISFIFO(mode) && st.st_rdev != dev))
		return error_set(err, EEXIST, "something else is there");
	return 0;
}

static int device_create(int root, const struct agent_device *d, struct error **err)
{
	cleanup_close int dir = -1;
	const char *name;
	dev_t dev;

	if (!S_ISCHR(d->mode) && !S_ISBLK(d->mode) && !S_ISFIFO(d->mode))
		return error_set(err, EINVAL, "mode 0%o", d->mode);
	if (device_number(d, &dev, err) < 0)
		return -1;
	dir = root_ensure_parent(root, d->path, &name);
	if (dir < 0)
		return error_set(err, -dir, "its directory");
	if (device_make(dir, name, d->mode, dev, err) < 0)
		return -1;
	/* Not through a symbolic link: device_make() saw to it that this is a node. */
	if (fchownat(dir, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, d->mode & 07777, 0) < 0)
		return error_set(err, errno, "set its owner and mode");
	return 0;
}

/* A node that was staged, where the container looks for it. */
static int device_bind(int root, const struct agent_device *d, size_t index, struct error **err)
{
	cleanup_close int mnt = -1, target = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), STAGE_DIR "/%zu", index);
	mnt = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mnt < 0)
		return error_set(err, errno, "%s", path);
	target = root_ensure(root, d->path, S_IFREG);
	r = target < 0 ? target : mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "bind") : 0;
}

int devices_create(int root, const struct agent_container *c, struct error **err)
{
	const bool staged = c->namespaces & CLONE_NEWUSER;

	for (size_t i = 0; i < c->num_devices; i++) {
		const struct agent_device *d = &c->devices[i];

		if ((staged && !S_ISFIFO(d->mode) ? device_bind(root, d, i, err) :
						    device_create(root, d, err)) < 0)
			return error_wrap(err, "device %s", d->path);
	}
	return 0;
}

static int device_stage(const struct agent_container *c, size_t index, struct error **err)
{
	const struct agent_device *d = &c->devices[index];
	char path[64];
	dev_t dev;

	if (S_ISFIFO(d->mode))
		return 0;
	if (device_number(d, &dev, err) < 0)
		return -1;
	snprintf(path, sizeof(path), STAGE_DIR "/%zu", index);
	if (mknod(path, d->mode, dev) < 0 ||
	    chown(path, userns_outside(&c->uids, d->uid), userns_outside(&c->gids, d->gid)) < 0 ||
	    chmod(path, d->mode & 07777) < 0)
		return error_set(err, errno, "make a node in the guest");
	return 0;
}

int devices_stage(const struct agent_container *c, struct error **err)
{
	if (mkdir(STAGE_DIR, 0755) < 0 ||
	    mount("tmpfs", STAGE_DIR, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k") < 0)
		return error_set(err, errno, "make " STAGE_DIR " in the guest");
	for (size_t i = 0; i < c->num_devices; i++)
		if (device_stage(c, i, err) < 0)
			return error_wrap(err, "device %s", c->devices[i].path);
	return 0;
}

int devices_link(int root, struct error **err)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "fd" },	    { "/proc/self/fd/0", "stdin" },
		{ "/proc/self/fd/1", "stdout" },    { "/proc/self/fd/2", "stderr" },
		{ "/proc/kcore", "core" },	    { "pts/ptmx", "ptmx" },
	};
	cleanup_close int dev = root_ensure(root, "/dev", S_IFDIR);
	struct stat st;

	if (dev < 0)
		return error_set(err, -dev, "the container's /dev");
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		if (!strcmp(links[i][1], "core") && stat("/proc/kcore", &st) < 0)
			continue;
		if (symlinkat(links[i][0], dev, links[i][1]) < 0 && errno != EEXIST)
			return error_set(err, errno, "link the container's /dev/%s", links[i][1]);
	}
	return 0;
}
