/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container may mount over its /proc, or in it, what it likes, and its file systems may be its own
 * programs: only a procfs is looked into, by a file descriptor of it, and no mount in it is crossed.
 */
#include "guest-agent/agent_proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"

static bool proc_is_one(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (unsigned long)fs.f_type == PROC_SUPER_MAGIC;
}

/* @path: relative; neither links nor mounts below @dir are followed */
static int proc_openat(int dir, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

int proc_open(pid_t pid)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS };
	cleanup_close int root = -1, fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = root < 0 ? -1 : (int)syscall(SYS_openat2, root, "proc", &how, sizeof(how));
	return fd >= 0 && proc_is_one(fd) ? steal_fd(&fd) : -1;
}

static int proc_pids(int proc, char *text, size_t *len)
{
	int fd = proc_openat(proc, ".", O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return code;
	}
	*len = 0;
	while ((e = readdir(dir))) {
		const size_t n = strlen(e->d_name);

		if (!isdigit((unsigned char)*e->d_name) || *len + n + 1 > AGENT_PROC_TEXT_MAX)
			continue;
		memcpy(text + *len, e->d_name, n);
		text[*len + n] = '\n';
		*len += n + 1;
	}
	closedir(dir);
	return 0;
}

static int proc_file(int proc, const char *path, char *text, size_t *len)
{
	cleanup_close int fd = proc_openat(proc, path, O_RDONLY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	*len = 0;
	while (*len < AGENT_PROC_TEXT_MAX) {
		ssize_t n = read(fd, text + *len, AGENT_PROC_TEXT_MAX - *len);

		if (n < 0)
			return -errno;
		if (!n)
			break;
		*len += (size_t)n;
	}
	return 0;
}

/* Of the machine's lines those about interrupts are long and about nothing of the container's. */
static void proc_without_interrupts(char *text, size_t *len)
{
	char *const end = text + *len;
	char *to = text;

	for (char *line = text; line < end;) {
		char *next = memchr(line, '\n', (size_t)(end - line));
		const size_t n = next ? (size_t)(next + 1 - line) : (size_t)(end - line);

		if (strncmp(line, "intr ", n < 5 ? n : 5) && strncmp(line, "softirq ", n < 8 ? n : 8)) {
			memmove(to, line, n);
			to += n;
		}
		line += n;
	}
	*len = (size_t)(to - text);
}

int proc_read(int proc, uint32_t what, uint32_t pid, char *text, size_t *len)
{
	static const char *const names[] = {
		[AGENT_PROC_STAT] = "stat", [AGENT_PROC_STATUS] = "status",
		[AGENT_PROC_CMDLINE] = "cmdline", [AGENT_PROC_ATTR] = "attr/current",
	};
	char path[32];
	int r;

	if (proc < 0)
		return -ENOENT;
	if (what == AGENT_PROC_PIDS)
		return proc_pids(proc, text, len);
	if (what == AGENT_PROC_MACHINE_STAT) {
		r = proc_file(proc, "stat", text, len);
		if (!r)
			proc_without_interrupts(text, len);
		return r;
	}
	if (what >= sizeof(names) / sizeof(*names) || !names[what] || !pid)
		return -EINVAL;
	snprintf(path, sizeof(path), "%u/%s", pid, names[what]);
	return proc_file(proc, path, text, len);
}
