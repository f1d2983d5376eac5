/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_file.h"

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

int devices_create(int root, const struct agent_device *devices, size_t count, struct error **err)
{
	for (size_t i = 0; i < count; i++)
		if (device_create(root, &devices[i], err) < 0)
			return error_wrap(err, "device %s", devices[i].path);
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
