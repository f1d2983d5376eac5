/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that was too little in the guest, told to engines: conmon watches the host's cgroup, where
 * nothing is seen of it, and what it makes of it is a file "oom", by which podman and CRI-O know. So
 * for conmon there are symbolic links of that name, which lead to what the VMM makes when the time has
 * come: a mark in a directory of the container's state. Of the host's files that directory is all that
 * the VMM can name, since nothing lies above the copy of its mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "launch_internal.h"
#include "oom_link.h"

#define CMDLINE_MAX (1u << 17)

/* A file of our caller's below /proc; malloc'ed */
static char *caller_file(const char *name, size_t *len)
{
	cleanup_close int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? NULL : fd_read_file(fd, CMDLINE_MAX, len);
}

static bool caller_is_conmon(void)
{
	cleanup_free char *name = caller_file("comm", NULL);

	return name && !strcmp(name, "conmon\n");
}

static void make_link(const struct launch *l, const char *dir)
{
	cleanup_close int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char mark[PATH_MAX];

	if (fd < 0 || oom_mark_path(&l->c, mark, sizeof(mark)) < 0)
		return;
	if (symlinkat(mark, fd, OOM_LINK) < 0 && errno != EEXIST)
		log_info("the engine will not hear of too little memory: %s/%s: %s", dir, OOM_LINK,
			 strerror(errno));
}

/* conmon's file is in the bundle, for CRI-O, and where --persist-dir says, for podman. */
static void make_links(const struct launch *l)
{
	size_t len = 0;
	cleanup_free char *args = caller_file("cmdline", &len);

	make_link(l, l->c.state.bundle);
	for (const char *at = args, *end = args + len; args && at < end; at += strlen(at) + 1)
		if (!strcmp(at, "--persist-dir") && at + strlen(at) + 1 < end)
			make_link(l, at + strlen(at) + 1);
}

int oom_mark_path(const struct container *c, char *path, size_t size)
{
	return snprintf(path, size, "%s/%s/%s/%s", c->root, c->id, OCI_OOM_DIR, VMM_OOM_MARK) <
		       (int)size ? 0 : -1;
}

void oom_link_remove(const struct container *c)
{
	cleanup_close int bundle = -1;
	char mark[PATH_MAX], found[PATH_MAX];
	ssize_t n;

	if (!c->state.bundle || oom_mark_path(c, mark, sizeof(mark)) < 0)
		return;
	bundle = open(c->state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	n = bundle < 0 ? -1 : readlinkat(bundle, OOM_LINK, found, sizeof(found) - 1);
	if (n < 0)
		return;
	found[n] = 0;
	if (!strcmp(found, mark))
		unlinkat(bundle, OOM_LINK, 0);
}

int launch_oom(struct launch *l, struct error **err)
{
	if (mkdirat(l->c.dirfd, OCI_OOM_DIR, 0700) < 0)
		return error_set(err, errno, "cannot make %s", OCI_OOM_DIR);
	l->vmm_fds[VMM_FD_OOM] = open_tree(l->c.dirfd, OCI_OOM_DIR,
					   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (l->vmm_fds[VMM_FD_OOM] < 0)
		return error_set(err, errno, "cannot copy the mount of %s", OCI_OOM_DIR);
	if (caller_is_conmon())
		make_links(l);
	return 0;
}
