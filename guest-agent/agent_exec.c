/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"

#define EXEC_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* 0 when @path is a file that the caller may execute, else -errno. */
static int exec_check(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static const char *exec_path(const struct agent_process *p)
{
	for (char **e = p->env; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			return *e + 5;
	return EXEC_DEFAULT_PATH;
}

/* execvp(3)'s rules: an empty element is the working directory, a forbidden file is passed over. */
static char *exec_search(const char *name, const char *path, struct error **err)
{
	int found = -ENOENT;

	for (const char *dir = path, *end; dir; dir = *end ? end + 1 : NULL) {
		cleanup_free char *file = NULL;
		int r;

		end = dir + strcspn(dir, ":");
		if (asprintf(&file, "%.*s%s%s", (int)(end - dir), dir, end > dir ? "/" : "./",
			     name) < 0) {
			file = NULL;
			error_set(err, ENOMEM, "executable file `%s`", name);
			return NULL;
		}
		r = exec_check(file);
		if (r == 0)
			return steal_ptr(file);
		if (r == -EACCES)
			found = r;
	}
	error_set(err, -found, "executable file `%s` %s", name,
		  found == -EACCES ? "may not be executed" : "not found in $PATH");
	return NULL;
}

char *exec_find(const struct agent_process *p, struct error **err)
{
	const char *name = p->args[0];
	char *file;
	int r;

	if (!*name) {
		error_set(err, ENOENT, "process.args[0] is empty");
		return NULL;
	}
	if (!strchr(name, '/'))
		return exec_search(name, exec_path(p), err);
	r = exec_check(name);
	if (r < 0) {
		error_set(err, -r, r == -ENOENT ? "executable file `%s` not found" :
						  "open executable `%s`", name);
		return NULL;
	}
	file = strdup(name);
	if (!file)
		error_set(err, ENOMEM, "executable file `%s`", name);
	return file;
}
