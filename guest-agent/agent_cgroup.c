/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "guest-agent/agent_boot.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_userns.h"

#define CGROUP_DIR BOOT_CGROUP "/container"
/* The files of a cgroup that may be given to somebody else, a line each; cgroups(7) */
#define CGROUP_DELEGATE "/sys/kernel/cgroup/delegate"
#define CGROUP_DEPTH_MAX 64
/* Enough for any file of numbers; four of them fit into a message. */
#define CGROUP_TEXT_MAX 3000

static char *read_text(int dirfd, const char *path)
{
	cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fd_read_file(fd, 1 << 20, NULL);
}

/* One write for each, so that a controller that cannot be enabled does not take the rest along. */
static void cgroup_enable_controllers(void)
{
	cleanup_free char *list = read_text(AT_FDCWD, BOOT_CGROUP "/cgroup.controllers");
	char *save = NULL;

	if (!list)
		return;
	for (char *c = strtok_r(list, " \n", &save); c; c = strtok_r(NULL, " \n", &save)) {
		cleanup_error struct error *err = NULL;
		char enable[64];

		snprintf(enable, sizeof(enable), "+%s", c);
		if (file_write(AT_FDCWD, BOOT_CGROUP "/cgroup.subtree_control", enable, &err) < 0)
			log_warning("%s", error_msg(err));
	}
}

static int cgroup_check_name(const char *name, struct error **err)
{
	return strchr(name, '/') || !strcmp(name, "..") ?
		       error_set(err, EINVAL, "cgroup file `%s`", name) : 0;
}

static int cgroup_set(int cgroup, const char *file, const char *value, struct error **err)
{
	const bool there = !faccessat(cgroup, file, F_OK, 0);

	if (!there && !strcmp(file, AGENT_CGROUP_CPU_MAX))
		return 0;
	if (!there && !strncmp(file, AGENT_CGROUP_HUGETLB, strlen(AGENT_CGROUP_HUGETLB)))
		return strcmp(value, "0") ? error_set(err, 0, "linux.resources.hugepageLimits: the "
						      "guest kernel has no %s", file) : 0;
	if (file_write(cgroup, file, value, err) < 0)
		return error_wrap(err, "container's cgroup in the guest");
	return 0;
}

int cgroup_access(int cgroup, struct agent_pair *files, size_t count, struct error **err)
{
	for (size_t i = 0; i < count; i++) {
		struct agent_pair *f = &files[i];
		char *text;

		if (cgroup_check_name(f->key, err) < 0)
			return -1;
		if (*f->value) {
			if (cgroup_set(cgroup, f->key, f->value, err) < 0)
				return -1;
			continue;
		}
		text = read_text(cgroup, f->key);
		if (!text)
			continue;
		text[strnlen(text, CGROUP_TEXT_MAX)] = 0;
		free(f->value);
		f->value = text;
	}
	return 0;
}

int cgroup_create(const struct agent_pair *limits, size_t count, struct error **err)
{
	cleanup_close int fd = -1;

	cgroup_enable_controllers();
	if (mkdir(CGROUP_DIR, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "make the container's cgroup in the guest");
	fd = open(CGROUP_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, errno, "open the container's cgroup in the guest");
	for (size_t i = 0; i < count; i++) {
		if (cgroup_check_name(limits[i].key, err) < 0 ||
		    cgroup_set(fd, limits[i].key, limits[i].value, err) < 0)
			return -1;
	}
	return steal_fd(&fd);
}

/* One that the container may only read, or not see at all, is no use to its root. */
static bool cgroup_is_delegated(const struct agent_container *c)
{
	const uint64_t own = CLONE_NEWUSER | CLONE_NEWCGROUP;

	if ((c->namespaces & own) != own)
		return false;
	for (size_t i = 0; i < c->num_mounts; i++) {
		const struct agent_mount *m = &c->mounts[i];

		if (m->kind == AGENT_MOUNT_FS && !(m->flags & MS_RDONLY) &&
		    (!strcmp(m->type, "cgroup2") || !strcmp(m->type, "cgroup")))
			return true;
	}
	return false;
}

int cgroup_delegate(int cgroup, const struct agent_container *c, struct error **err)
{
	const uid_t uid = userns_outside(&c->uids, 0);
	const gid_t gid = userns_outside(&c->gids, 0);
	cleanup_free char *list = NULL;
	char *save = NULL;

	if (!cgroup_is_delegated(c))
		return 0;
	list = read_text(AT_FDCWD, CGROUP_DELEGATE);
	if (!list)
		list = strdup("cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n");
	if (!list || fchown(cgroup, uid, gid) < 0)
		return error_set(err, errno, "delegate the container's cgroup");
	for (char *file = strtok_r(list, "\n", &save); file; file = strtok_r(NULL, "\n", &save))
		if (fchownat(cgroup, file, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
			return error_set(err, errno, "delegate the container's cgroup: %s", file);
	return 0;
}

int cgroup_open_of(pid_t pid)
{
	cleanup_free char *text = NULL, *path = NULL;
	char proc[64], *line;
	int fd;

	snprintf(proc, sizeof(proc), "/proc/%d/cgroup", (int)pid);
	text = read_text(AT_FDCWD, proc);
	if (!text)
		return -ESRCH;
	/* "0::/path", the only line where no v1 hierarchy is mounted; cgroups(7) */
	line = strstr(text, "0::/");
	if (!line)
		return -ENOENT;
	line[strcspn(line, "\n")] = 0;
	if (asprintf(&path, "%s%s", BOOT_CGROUP, line + 3) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void cgroup_kill(int cgroup)
{
	cleanup_error struct error *err = NULL;

	if (file_write(cgroup, "cgroup.kill", "1", &err) < 0)
		log_warning("%s", error_msg(err));
}

static bool signal_listed(int cgroup, int signo)
{
	cleanup_free char *list = read_text(cgroup, "cgroup.procs");
	char *save = NULL;
	bool any = false;

	if (!list)
		return false;
	for (char *p = strtok_r(list, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		pid_t pid = (pid_t)strtol(p, NULL, 10);

		if (pid > 1 && kill(pid, signo) == 0)
			any = true;
	}
	return any;
}

static void cgroup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static bool signal_tree(int cgroup, int signo, int depth)
{
	__attribute__((cleanup(cgroup_closedir))) DIR *dir = NULL;
	bool any = signal_listed(cgroup, signo);
	int fd;

	fd = openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return any;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return any;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		cleanup_close int child = -1;

		if (e->d_type != DT_DIR || e->d_name[0] == '.' || depth >= CGROUP_DEPTH_MAX)
			continue;
		child = openat(cgroup, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child >= 0 && signal_tree(child, signo, depth + 1))
			any = true;
	}
	return any;
}

int cgroup_signal(int cgroup, int signo)
{
	return signal_tree(cgroup, signo, 0) ? 0 : -ESRCH;
}
