/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The export is assembled in a child with a mount namespace; the rest needs no rights at all. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/sandbox.h"
#include "oci/oci_export.h"
#include "oci/oci_view.h"

static char base[64];

static int shell(const char *fmt)
{
	char *command = NULL;
	int r;

	if (asprintf(&command, "cd %s && %s", base, fmt) < 0)
		return -1;
	r = system(command);
	free(command);
	return r;
}

static int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/krun-gpu-export-XXXXXX");
	return mkdtemp(base) ? shell("mkdir root outside export data && echo d >data/f") : -1;
}

static int teardown(void **state)
{
	(void)state;
	return shell("rm -rf --one-file-system \"$PWD\"");
}

static int make(const char *destination, bool directory)
{
	cleanup_close int rootfd = -1;
	char path[128];

	snprintf(path, sizeof(path), "%s/root", base);
	rootfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return oci_export_make_mount_point(rootfd, destination, directory);
}

static void mount_points_are_made_inside_the_root(void **state)
{
	(void)state;
	assert_int_equal(make("/a/b/c", true), 0);
	assert_int_equal(make("/a/b/c/", true), 0);
	assert_int_equal(make("//x//y/file", false), 0);
	assert_int_equal(make("/file", false), 0);
	assert_int_equal(make("/file", false), 0);
	assert_int_equal(shell("test -d root/a/b/c && test -f root/x/y/file && test -f root/file"), 0);
	assert_int_equal(make("/file/below", true), -ENOTDIR);
}

static void links_of_the_image_lead_nowhere_else(void **state)
{
	(void)state;
	assert_int_equal(shell("ln -s /outside root/abs; ln -s ../../../../../../../outside root/rel;"
			       " ln -s \"$PWD/outside\" root/full; ln -s loop root/loop"), 0);
	assert_int_equal(make("/abs/new", true), -ENOENT); /* a dangling link stays one */
	assert_int_equal(shell("mkdir root/outside"), 0);
	assert_int_equal(make("/abs/new", true), 0);
	assert_int_equal(make("/rel/file", false), 0);
	assert_int_equal(shell("test -d root/outside/new && test -f root/outside/file"), 0);
	assert_true(make("/full/x", true) < 0);
	assert_true(make("/loop/x", true) < 0);
	assert_int_equal(make("/../../../up", true), 0);
	assert_int_equal(shell("test -d root/up && test -z \"$(ls -A outside)\""), 0);
}

/* Runs in a child: what a file server would see. */
static int export_and_look(const char *script)
{
	char dir[128], root[128], data[128], file[128];
	const struct oci_export_mount mounts[] = {
		{ { .where = OCI_MOUNT_BIND, .flags = MS_RDONLY, .destination = "/d" }, data },
		{ { .where = OCI_MOUNT_BIND, .recursive = true, .destination = "/f" }, file },
	};
	const struct oci_export ex = {
		.dir = dir, .rootfs = root, .mounts = mounts, .num_mounts = 2,
		.agent = file, .agent_name = "agent", .newroot_name = "newroot",
	};
	cleanup_error struct error *err = NULL;
	int status;
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/export", base);
	snprintf(root, sizeof(root), "%s/root", base);
	snprintf(data, sizeof(data), "%s/data", base);
	snprintf(file, sizeof(file), "%s/data/f", base);
	pid = fork();
	if (!pid) {
		if (oci_export_assemble(&ex, &err) < 0) {
			fprintf(stderr, "# %s\n", error_msg(err));
			_exit(200);
		}
		_exit(WEXITSTATUS(system(script)));
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void the_host_itself_refuses_writes(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(export_and_look(
		"set -e; echo x >rootfs/w; test \"$(cat mounts/0/f)\" = d; echo y >mounts/1;"
		"! touch mounts/0/n 2>/dev/null; ! touch top 2>/dev/null;"
		"grep -q \" $PWD/rootfs .*nodev\" /proc/self/mountinfo"), 0);
	assert_int_equal(shell("test -f root/w && test \"$(cat data/f)\" = y && "
			       "test -z \"$(ls -A export)\""), 0);
}

static void the_agent_is_served_read_only(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(export_and_look(
		"set -e; test \"$(cat agent)\" = \"$(cat mounts/1)\"; ! { echo x >agent; } 2>/dev/null;"
		"test -d newroot; ! touch newroot/f 2>/dev/null"), 0);
}

/* In a process that has its view: the host's root until it is left, nothing afterwards. */
_Noreturn static void view_process(const struct oci_view *v, int ready, int done)
{
	cleanup_error struct error *err = NULL;
	char c;

	if (oci_view_make(v, &err) < 0 || access("/proc/self/exe", F_OK) < 0 ||
	    sandbox_leave_root(&err) < 0) {
		fprintf(stderr, "# %s\n", error_msg(err));
		_exit(1);
	}
	if (access("/proc", F_OK) == 0 || access("/file", F_OK) == 0 || access("../proc", F_OK) == 0)
		_exit(2);
	if (write(ready, "x", 1) != 1 || read(done, &c, 1) < 0)
		_exit(3);
	_exit(0);
}

/* In another one, which joins: the container's root, with what is mounted into it. */
_Noreturn static void view_visitor(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		_exit(1);
	if (access("/own", F_OK) < 0 || access("/vol/f", F_OK) < 0)
		_exit(2);
	if (access("/proc/self", F_OK) == 0 || access("/hidden/f", F_OK) == 0)
		_exit(3);
	_exit(0);
}

static void who_joins_sees_the_containers_files(void **state)
{
	static const bool shown[] = { true, false };
	char root[80], data[80];
	const struct oci_export_mount mounts[] = {
		{ .path = data, .plan = { .destination = "/link/vol", .recursive = true } },
		{ .path = data, .plan = { .destination = "/hidden" } },
	};
	const struct oci_view v = { root, mounts, shown, 2, -1 };
	int ready[2], done[2], status;
	pid_t pid, visitor;
	char c;

	(void)state;
	if (geteuid())
		skip();
	/* a link of the image's leads nowhere but into its root */
	assert_int_equal(shell("mkdir -p root/vol root/hidden && touch root/own data/f && "
			       "ln -s / root/link"), 0);
	snprintf(root, sizeof(root), "%s/root", base);
	snprintf(data, sizeof(data), "%s/data", base);
	assert_int_equal(pipe(ready) | pipe(done), 0);
	pid = fork();
	if (!pid)
		view_process(&v, ready[1], done[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	visitor = fork();
	if (!visitor)
		view_visitor(pid);
	waitpid(visitor, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(write(done[1], "x", 1), 1);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void a_missing_source_is_named(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(shell("rm data/f"), 0);
	assert_int_equal(export_and_look("true"), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mount_points_are_made_inside_the_root),
		cmocka_unit_test(links_of_the_image_lead_nowhere_else),
		cmocka_unit_test(the_host_itself_refuses_writes),
		cmocka_unit_test(the_agent_is_served_read_only),
		cmocka_unit_test(who_joins_sees_the_containers_files),
		cmocka_unit_test(a_missing_source_is_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
