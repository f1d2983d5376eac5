/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_host.h"
#include "guest-agent/agent_net.h"

#define CLOCK_TOLERANCE_NS 500000000ll
#define AGENT_FILES_MAX 16384

static const struct boot_mount {
	const char *type, *dir, *data;
	unsigned long flags;
} boot_mounts[] = {
	{ "proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	{ "devtmpfs", "/dev", "mode=0755", MS_NOSUID | MS_NOEXEC },
	/* As systemd mounts it: who has a cgroup namespace cannot lift the limits at its root. */
	{ "cgroup2", BOOT_CGROUP, "nsdelegate,memory_recursiveprot", MS_NOSUID | MS_NODEV | MS_NOEXEC },
};

static int boot_mkdir(const char *path, struct error **err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, errno, "mkdir %s in the guest", path);
	return 0;
}

/*
 * As switch_root does it: the tmpfs covers the first root, and has a parent, so pivot_root works.
 * That root is the initramfs or, with a kernel that takes none, the export, whose top is read-only
 * and has the directory already.
 */
static int boot_leave_first_root(struct error **err)
{
	if (boot_mkdir("/" AGENT_FS_NEWROOT, err) < 0)
		return -1;
	if (mount("tmpfs", "/" AGENT_FS_NEWROOT, "tmpfs", MS_NOSUID | MS_NODEV,
		  "mode=0755,size=1m") < 0)
		return error_set(err, errno, "mount the guest's root tmpfs");
	if (chdir("/" AGENT_FS_NEWROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return error_set(err, errno, "move the guest's root tmpfs into place");
	return 0;
}

static int boot_mount_all(struct error **err)
{
	for (size_t i = 0; i < sizeof(boot_mounts) / sizeof(*boot_mounts); i++) {
		const struct boot_mount *m = &boot_mounts[i];

		/* sysfs brings the directory for cgroup2 with it. */
		if (strcmp(m->dir, BOOT_CGROUP) && boot_mkdir(m->dir, err) < 0)
			return -1;
		if (mount(m->type, m->dir, m->type, m->flags, m->data) < 0)
			return error_set(err, errno, "mount %s on the guest's %s", m->type, m->dir);
	}
	if (boot_mkdir(BOOT_EXPORT, err) < 0 || boot_mkdir(BOOT_CONTAINER, err) < 0)
		return -1;
	return host_mount_export(BOOT_EXPORT, err);
}

/* The kernel opens /dev/console for init only where the initramfs has that node. */
static void boot_open_stdio(void)
{
	int fd;

	do {
		fd = open("/dev/console", O_RDWR | O_NOCTTY);
		if (fd < 0)
			fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* An agent that can be chosen by the OOM killer is worse, but no reason not to run. */
static void boot_avoid_oom_killer(void)
{
	cleanup_error struct error *err = NULL;

	if (file_write(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", &err) < 0)
		log_warning("%s", error_msg(err));
}

/* Four for each connection, of which the host has places for some hundreds. Processes get limits of
 * their own. */
static void boot_raise_file_limit(void)
{
	const struct rlimit limit = { AGENT_FILES_MAX, AGENT_FILES_MAX };

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("RLIMIT_NOFILE: %s", strerror(errno));
}

/* Debian's value, whatever the guest kernel was built with. */
static void boot_protect_low_addresses(void)
{
	cleanup_error struct error *err = NULL;

	if (file_write(AT_FDCWD, "/proc/sys/vm/mmap_min_addr", "65536", &err) < 0)
		log_warning("%s", error_msg(err));
}

int boot_machine(struct error **err)
{
	umask(0022);
	if (boot_leave_first_root(err) < 0 || boot_mount_all(err) < 0)
		return -1;
	boot_open_stdio();
	/* A container's processes may be in the agent's pid namespace: they may not look into it. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_set(err, errno, "PR_SET_DUMPABLE");
	boot_avoid_oom_killer();
	boot_raise_file_limit();
	boot_protect_low_addresses();
	return net_loopback_up(err);
}

int boot_set_clock(uint64_t host_ns, struct error **err)
{
	struct timespec now, host = { (time_t)(host_ns / 1000000000u), (long)(host_ns % 1000000000u) };
	int64_t off;

	if (!host_ns || host_ns > INT64_MAX)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	off = (int64_t)host_ns - ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	if (off > -CLOCK_TOLERANCE_NS && off < CLOCK_TOLERANCE_NS)
		return 0;
	if (clock_settime(CLOCK_REALTIME, &host) < 0)
		return error_set(err, errno, "set the guest's clock");
	return 0;
}

/* Looking into it mounts it. A file is no submount. */
static void boot_pin(const char *path)
{
	cleanup_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOTDIR)
		log_warning("%s: %s", path, strerror(errno));
}

void boot_pin_export(const struct agent_container *c)
{
	char path[sizeof(BOOT_EXPORT "/" AGENT_FS_MOUNTS "/") + 16];

	boot_pin(BOOT_EXPORT "/" AGENT_FS_ROOTFS);
	for (size_t i = 0; i < c->num_mounts; i++) {
		if (c->mounts[i].kind != AGENT_MOUNT_EXPORT || strlen(c->mounts[i].source) > 10)
			continue;
		snprintf(path, sizeof(path), BOOT_EXPORT "/" AGENT_FS_MOUNTS "/%s",
			 c->mounts[i].source);
		boot_pin(path);
	}
}
