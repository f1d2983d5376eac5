/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/oci_spec.h"

/* One write, as the kernel wants it. */
static int userns_write_map(pid_t pid, const char *file, const struct oci_id_mappings *map,
			    struct error **err)
{
	cleanup_close int fd = -1;
	cleanup_free char *text = NULL;
	char path[64];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return error_set(err, ENOMEM, "cannot write %s", file);
	for (size_t i = 0; i < map->count; i++)
		fprintf(out, "%u %u %u\n", map->items[i].container, map->items[i].host,
			map->items[i].size);
	if (fclose(out))
		return error_set(err, ENOMEM, "cannot write %s", file);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return error_set(err, errno, "cannot write the mapping %.*s to %s",
				 (int)strcspn(text, "\n"), text, file);
	return 0;
}

static int userns_of(pid_t pid, const struct oci_id_mappings *uids,
		     const struct oci_id_mappings *gids, struct error **err)
{
	char path[64];
	int fd;

	if (userns_write_map(pid, "uid_map", uids, err) < 0 ||
	    userns_write_map(pid, "gid_map", gids, err) < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_set(err, errno, "cannot open a user namespace") : fd;
}

int oci_userns_open(const struct oci_id_mappings *uids, const struct oci_id_mappings *gids,
		    struct error **err)
{
	/* A process that does nothing but be there while its namespace is set up. */
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, 0);
	int fd;

	if (pid < 0)
		return error_set(err, errno, "cannot make a user namespace");
	if (!pid)
		for (;;)
			pause();
	fd = userns_of(pid, uids, gids, err);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return fd;
}
