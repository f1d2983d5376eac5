/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Mounts are made detached (fsopen(2), open_tree(2)), given their flags there, and attached to an
 * fd of their destination as the last step. So a destination is resolved once, safely; a mount is
 * never visible with the wrong flags; and tmpcopyup can still see what its tmpfs will cover.
 */
#include "guest-agent/agent_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "guest-agent/agent_copy.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_sockets.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* mount(2)'s flags and the mount attributes they stand for; mount_setattr(2) */
static const struct {
	uint64_t ms, attr;
} mount_attrs[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY },
	{ MS_NOSUID, MOUNT_ATTR_NOSUID },
	{ MS_NODEV, MOUNT_ATTR_NODEV },
	{ MS_NOEXEC, MOUNT_ATTR_NOEXEC },
	{ MS_NODIRATIME, MOUNT_ATTR_NODIRATIME },
	{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
};

/* Flags of a file system rather than a mount: they are options to it. Binds ignore them. */
static const struct {
	uint64_t ms;
	const char *option;
} mount_fs_flags[] = {
	{ MS_SYNCHRONOUS, "sync" },
	{ MS_DIRSYNC, "dirsync" },
	{ MS_MANDLOCK, "mand" },
	{ MS_LAZYTIME, "lazytime" },
};

#define MS_ATIME_MASK ((uint64_t)(MS_NOATIME | MS_RELATIME | MS_STRICTATIME))
/* Said of the mount's making, not of the mount: of no meaning once it is made. */
#define MS_MAKING ((uint64_t)(MS_BIND | MS_REC | MS_SILENT))

static uint64_t attrs_from_flags(uint64_t *flags)
{
	uint64_t attrs = 0;

	for (size_t i = 0; i < sizeof(mount_attrs) / sizeof(*mount_attrs); i++) {
		if (*flags & mount_attrs[i].ms)
			attrs |= mount_attrs[i].attr;
		*flags &= ~mount_attrs[i].ms;
	}
	return attrs;
}

static int mount_set_flags(int mnt, const struct agent_mount *m, struct error **err)
{
	struct mount_attr attr = { 0 };
	uint64_t set = m->flags & ~MS_MAKING, clear = m->clear_flags & ~(m->flags | MS_MAKING);
	unsigned int at = AT_EMPTY_PATH;

	attr.attr_set = attrs_from_flags(&set);
	attr.attr_clr = attrs_from_flags(&clear);
	if ((set | clear) & MS_ATIME_MASK) {
		attr.attr_clr |= MOUNT_ATTR__ATIME;
		if (set & MS_NOATIME)
			attr.attr_set |= MOUNT_ATTR_NOATIME;
		else if (set & MS_STRICTATIME)
			attr.attr_set |= MOUNT_ATTR_STRICTATIME;
	}
	set &= ~MS_ATIME_MASK;
	for (size_t i = 0; i < sizeof(mount_fs_flags) / sizeof(*mount_fs_flags); i++)
		set &= ~mount_fs_flags[i].ms;
	if (set)
		return error_set(err, EINVAL, "unknown mount flags 0x%llx", (unsigned long long)set);
	if (m->kind == AGENT_MOUNT_EXPORT && (m->flags & MS_REC))
		at |= AT_RECURSIVE;
	if ((attr.attr_set || attr.attr_clr) && mount_setattr(mnt, "", at, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "set the mount's flags");
	return 0;
}

static int mount_set_propagation(int mnt, uint32_t propagation, struct error **err)
{
	struct mount_attr attr = { .propagation = propagation & ~(uint32_t)MS_REC };
	unsigned int at = AT_EMPTY_PATH | (propagation & MS_REC ? AT_RECURSIVE : 0);

	if (propagation && mount_setattr(mnt, "", at, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "set the mount's propagation");
	return 0;
}

/* What the kernel says of a file system (e.g. "e tmpfs: Unknown parameter), else errno's text. */
static int fs_error(int fs, const char *what, struct error **err)
{
	char text[256];
	int code = errno;
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return error_set(err, code, "%s", what);
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return error_set(err, code, "%s: %s", what, text + 2);
}

static int fs_set_option(int fs, char *option, struct error **err)
{
	char *value = strchr(option, '=');
	int r;

	if (value)
		*value++ = 0;
	if (value)
		r = fsconfig(fs, FSCONFIG_SET_STRING, option, value, 0);
	else
		r = fsconfig(fs, FSCONFIG_SET_FLAG, option, NULL, 0);
	return r < 0 ? fs_error(fs, option, err) : 0;
}

static int fs_set_options(int fs, const char *data, struct error **err)
{
	cleanup_free char *list = strdup(data ? data : "");
	char *save = NULL;

	if (!list)
		return error_set(err, ENOMEM, "mount options");
	for (char *o = strtok_r(list, ",", &save); o; o = strtok_r(NULL, ",", &save))
		if (fs_set_option(fs, o, err) < 0)
			return -1;
	return 0;
}

static int fs_create(const char *type, const char *source, const char *data, uint64_t flags,
		     struct error **err)
{
	cleanup_close int fs = fsopen(type, FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0)
		return error_set(err, errno, "the guest kernel's file system `%s`", type);
	if (source && *source && fsconfig(fs, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fs_error(fs, "source", err);
	if (fs_set_options(fs, data, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(mount_fs_flags) / sizeof(*mount_fs_flags); i++)
		if ((flags & mount_fs_flags[i].ms) &&
		    fsconfig(fs, FSCONFIG_SET_FLAG, mount_fs_flags[i].option, NULL, 0) < 0)
			return fs_error(fs, mount_fs_flags[i].option, err);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_error(fs, type, err);
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return mnt < 0 ? fs_error(fs, type, err) : mnt;
}

int mounts_create_fs(const char *type, const char *source, const char *data, struct error **err)
{
	return fs_create(type, source, data, 0, err);
}

int mounts_attach(int mnt, int target)
{
	return move_mount(mnt, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ?
		-errno : 0;
}

static bool has_option(const char *data, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = data; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, name, len))
			return true;
	return false;
}

/* A tmpfs over an existing directory takes that directory's mode, as with runc. */
static int create_tmpfs(const struct agent_mount *m, int below, struct error **err)
{
	cleanup_free char *data = NULL;
	struct stat st;

	if (below < 0 || has_option(m->data, "mode=") || fstat(below, &st) < 0)
		return fs_create(m->type, m->source, m->data, m->flags, err);
	if (asprintf(&data, "mode=0%o%s%s", st.st_mode & 07777, m->data && *m->data ? "," : "",
		     m->data ? m->data : "") < 0) {
		data = NULL;
		return error_set(err, ENOMEM, "mount options");
	}
	return fs_create(m->type, m->source, data, m->flags, err);
}

/*
 * sysfs wants rights over the network namespace, which a container with a user namespace does not
 * have: it sees the guest's own, as crun and runc do it on a host.
 */
static int create_sysfs(const struct agent_mount *m, struct error **err)
{
	cleanup_error struct error *why = NULL;
	int mnt = fs_create(m->type, m->source, m->data, m->flags, &why);

	if (mnt >= 0 || why->code != EPERM)
		return mnt >= 0 ? mnt : error_move(err, &why);
	mnt = open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	return mnt < 0 ? error_set(err, errno, "copy the guest's /sys") : mnt;
}

/* The directory's mode and owner come along, but for those that were asked for otherwise. */
static int copy_up(const struct agent_mount *m, int below, int mnt, struct error **err)
{
	cleanup_close int from = openat(below, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int to = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat asked;

	if (from < 0 || to < 0 || fstat(to, &asked) < 0)
		return error_set(err, errno, "tmpcopyup");
	if (copy_tree(from, to, err) < 0)
		return error_wrap(err, "tmpcopyup");
	if (fchown(to, has_option(m->data, "uid=") ? asked.st_uid : (uid_t)-1,
		   has_option(m->data, "gid=") ? asked.st_gid : (gid_t)-1) < 0 ||
	    (has_option(m->data, "mode=") && fchmod(to, asked.st_mode & 07777) < 0))
		return error_set(err, errno, "tmpcopyup");
	return 0;
}

/*
 * libkrunfw's kernel has no POSIX message queues, and every engine mounts them: they are left out. A
 * container finds their system calls missing (ENOSYS), so that the empty directory misleads nobody.
 */
static bool is_missing_mqueue(const char *type)
{
	cleanup_close int fs = -1;

	if (strcmp(type, "mqueue"))
		return false;
	fs = fsopen(type, FSOPEN_CLOEXEC);
	return fs < 0 && errno == ENODEV;
}

static int apply_fs(int root, const struct agent_mount *m, struct error **err)
{
	/* Configurations written for cgroup v1 mean the only hierarchy there is. */
	const char *type = !strcmp(m->type, "cgroup") ? "cgroup2" : m->type;
	bool tmpfs = !strcmp(type, "tmpfs");
	struct agent_mount now = *m;
	cleanup_close int below = root_open(root, m->destination, O_PATH | O_DIRECTORY);
	cleanup_close int mnt = -1, target = -1;
	int r;

	if (is_missing_mqueue(type)) {
		log_warning("the guest kernel has no POSIX message queues: %s is not mounted",
			    m->destination);
		return 0;
	}
	if (tmpfs)
		mnt = create_tmpfs(m, below, err);
	else if (!strcmp(type, "sysfs"))
		mnt = create_sysfs(m, err);
	else
		mnt = fs_create(type, m->source, m->data, m->flags, err);
	if (mnt < 0)
		return -1;
	if (tmpfs && m->tmpcopyup && below >= 0 && copy_up(m, below, mnt, err) < 0)
		return -1;
	/* Mount points and devices are still to be made in it: rootfs_seal(). */
	if (tmpfs)
		now.flags &= ~(uint64_t)MS_RDONLY;
	if (mount_set_flags(mnt, &now, err) < 0 ||
	    mount_set_propagation(mnt, m->propagation, err) < 0)
		return -1;
	target = root_ensure(root, m->destination, S_IFDIR);
	r = target < 0 ? target : mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "attach") : 0;
}

static int apply_export(int root, int export, const struct agent_mount *m, struct error **err)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	cleanup_close int mnt = -1, target = -1;
	char path[64];
	struct stat st;
	int r;

	if (m->source[strspn(m->source, "0123456789")] || strlen(m->source) > 10)
		return error_set(err, EINVAL, "source `%s` is not a number in the export", m->source);
	snprintf(path, sizeof(path), "%s/%s", AGENT_FS_MOUNTS, m->source);
	mnt = open_tree(export, path, flags | (m->flags & MS_REC ? AT_RECURSIVE : 0));
	if (mnt < 0 || fstat(mnt, &st) < 0)
		return error_set(err, errno, "export's %s", path);
	if (mount_set_flags(mnt, m, err) < 0 || mount_set_propagation(mnt, m->propagation, err) < 0)
		return -1;
	target = root_ensure(root, m->destination, S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG);
	r = target < 0 ? target : mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "attach") : 0;
}

/* The stand-in that the agent listens on (agent_sockets.c). */
static int apply_socket(int root, const struct agent_mount *m, struct error **err)
{
	cleanup_close int mnt = -1, target = -1;
	char path[64];
	int r;

	if (strchr(m->source, '/'))
		return error_set(err, EINVAL, "socket `%s`", m->source);
	snprintf(path, sizeof(path), SOCKETS_DIR "/%s", m->source);
	mnt = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mnt < 0)
		return error_set(err, errno, "%s", path);
	target = root_ensure(root, m->destination, S_IFREG);
	r = target < 0 ? target : mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "attach") : 0;
}

int mounts_apply(int root, int export, const struct agent_mount *m, struct error **err)
{
	int r;

	switch (m->kind) {
	case AGENT_MOUNT_FS:
		r = apply_fs(root, m, err);
		break;
	case AGENT_MOUNT_EXPORT:
		r = apply_export(root, export, m, err);
		break;
	case AGENT_MOUNT_SOCKET:
		r = apply_socket(root, m, err);
		break;
	default:
		r = error_set(err, EINVAL, "kind %u", m->kind);
	}
	return r < 0 ? error_wrap(err, "mount `%s` to `%s`", m->type, m->destination) : 0;
}

static int mask_create(const struct stat *st, struct error **err)
{
	int mnt;

	if (S_ISDIR(st->st_mode))
		return fs_create("tmpfs", "tmpfs", "mode=0755,nr_inodes=2", 0, err);
	/* The guest's own node, not the container's, which the image may have made. */
	mnt = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return mnt < 0 ? error_set(err, errno, "/dev/null") : mnt;
}

int mounts_mask(int root, const char *path, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						MOUNT_ATTR_NOEXEC };
	cleanup_close int target = root_open(root, path, O_PATH), mnt = -1;
	struct stat st;
	int r;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0 || fstat(target, &st) < 0)
		return error_set(err, target < 0 ? -target : errno, "masked path %s", path);
	mnt = mask_create(&st, err);
	if (mnt < 0)
		return error_wrap(err, "masked path %s", path);
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "masked path %s", path);
	r = mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "masked path %s", path) : 0;
}

int mounts_make_readonly(int root, const char *path, struct error **err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	cleanup_close int target = root_open(root, path, O_PATH), mnt = -1;
	int r;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return error_set(err, -target, "read-only path %s", path);
	mnt = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (mnt < 0 ||
	    mount_setattr(mnt, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "read-only path %s", path);
	r = mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "read-only path %s", path) : 0;
}
