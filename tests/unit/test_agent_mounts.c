/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is mounted into a container's root, where, and how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

static struct agent_mount *add_mount(struct agent_container *c, uint32_t kind, const char *source,
				     const char *destination)
{
	struct agent_mount *m = &c->mounts[c->num_mounts++];

	*m = (struct agent_mount){ .kind = kind, .source = (char *)source, .data = (char *)"",
				   .destination = (char *)destination };
	m->type = (char *)(kind == AGENT_MOUNT_FS ? "tmpfs" : "bind");
	return m;
}

static void put_file(struct harness *h, const char *path, const char *text)
{
	FILE *f = fopen(harness_path(h, path), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void default_mounts(void **state)
{
	struct harness *h = *state;

	NEED(h);
	harness_expect_output(h, harness_sh_spec("awk '{print $2, $3}' /proc/self/mounts | sed 1d"),
		      "/proc proc\n/dev tmpfs\n/dev/pts devpts\n/sys sysfs\n/dev/mqueue mqueue\n"
		      "/dev/shm tmpfs\n/sys/fs/cgroup cgroup2\n/proc/sys proc\n/proc/version devtmpfs\n"
		      "/sys/firmware tmpfs\n");
}

static void mount_flags(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec(
		"grep ' /t ' /proc/self/mounts | cut -d' ' -f4 | sed 's/,inode.*//'; stat -c %a /t;"
		"touch /t/x 2>&1; echo > /proc/sys/kernel/hostname");
	struct agent_mount *m;
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	m = add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/t");
	m->flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME;
	m->data = (char *)"size=1m,mode=700";
	r = harness_run(h, c, NULL);
	assert_string_equal(r.out, "ro,nosuid,nodev,noexec,noatime,size=1024k,mode=700\n700\n"
				   "touch: /t/x: Read-only file system\n");
	assert_non_null(strstr(r.err, "Read-only file system"));
}

static void mount_option_unknown(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/t")->data = (char *)"colour=red";
	harness_expect_refused(h, c, "mount `tmpfs` to `/t`: colour: tmpfs: Unknown parameter 'colour': "
			   "Invalid argument");
}

static void mount_type_unknown(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	add_mount(c, AGENT_MOUNT_FS, "x", "/t")->type = (char *)"nofs";
	harness_expect_refused(h, c, "mount `nofs` to `/t`: the guest kernel's file system `nofs`: "
			   "No such device");
}

static void copy_up(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("cd /up && stat -c '%n %A %u %g' . * d/*; cat a; readlink l;"
					    "echo new > a");
	struct agent_mount *m;

	NEED(h);
	mkdir(harness_path(h, "rootfs/up"), 0750);
	mkdir(harness_path(h, "rootfs/up/d"), 0711);
	put_file(h, "rootfs/up/a", "old\n");
	put_file(h, "rootfs/up/d/b", "");
	chmod(harness_path(h, "rootfs/up/d/b"), 04755);
	assert_int_equal(chown(harness_path(h, "rootfs/up/d/b"), 5, 6), 0);
	chmod(harness_path(h, "rootfs/up/d/b"), 04755);
	chmod(harness_path(h, "rootfs/up/a"), 0640);
	assert_int_equal(symlink("a", harness_path(h, "rootfs/up/l")), 0);
	m = add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/up");
	m->tmpcopyup = true;
	harness_expect_output(h, c, ". drwxr-x--- 0 0\na -rw-r----- 0 0\nd drwx--x--x 0 0\nl lrwxrwxrwx 0 0\n"
			    "d/b -rwsr-xr-x 5 6\nold\na\n");
}

/* What was asked for by name is not the covered directory's. */
static void copy_up_with_mode(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("stat -c '%a %u:%g' /own /own/a");
	struct agent_mount *m;

	NEED(h);
	mkdir(harness_path(h, "rootfs/own"), 0750);
	put_file(h, "rootfs/own/a", "");
	m = add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/own");
	m->tmpcopyup = true;
	m->data = (char *)"size=1m,mode=0711,gid=9";
	harness_expect_output(h, c, "711 0:9\n644 0:0\n");
}

/* Mount points are made in it first; what is mounted there is as it was asked for. */
static void readonly_tmpfs_below_others(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("touch /r/x 2> /dev/null || echo ro; "
					    "touch /r/in/x && echo rw; touch /twice/x && echo over");

	NEED(h);
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/r")->flags = MS_RDONLY;
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/r/in");
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/twice")->flags = MS_RDONLY;
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/twice");
	harness_expect_output(h, c, "ro\nrw\nover\n");
}

static void binds(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec(
		"cat /data/f /deep/er/file; echo w > /data/w; echo x > /ro/x; cat /inner/f");

	NEED(h);
	mkdir(harness_path(h, "mounts/0"), 0755);
	put_file(h, "mounts/0/f", "dir\n");
	put_file(h, "mounts/1", "file\n");
	add_mount(c, AGENT_MOUNT_EXPORT, "0", "/data")->flags = MS_BIND | MS_REC;
	add_mount(c, AGENT_MOUNT_EXPORT, "1", "/deep/er/file")->flags = MS_BIND;
	add_mount(c, AGENT_MOUNT_EXPORT, "0", "/ro")->flags = MS_BIND | MS_RDONLY;
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/inner");
	add_mount(c, AGENT_MOUNT_EXPORT, "1", "/inner/f")->flags = MS_BIND;
	{
		cleanup_result struct harness_result r = harness_run(h, c, NULL);

		assert_string_equal(r.out, "dir\nfile\nfile\n");
		assert_non_null(strstr(r.err, "Read-only file system"));
	}
	assert_int_equal(access(harness_path(h, "mounts/0/w"), F_OK), 0);
	assert_int_not_equal(access(harness_path(h, "mounts/0/x"), F_OK), 0);
}

static void bind_source_must_be_a_number(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	add_mount(c, AGENT_MOUNT_EXPORT, "../rootfs", "/x");
	harness_expect_refused(h, c, "mount `bind` to `/x`: source `../rootfs` is not a number in the export: "
			   "Invalid argument");
}

/* An image's links lead nowhere but into the image. */
static void links_stay_inside(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("cat /a/real/f; cat /away/below/g; cat /dangling-target/h");

	NEED(h);
	mkdir(harness_path(h, "rootfs/a"), 0755);
	mkdir(harness_path(h, "mounts/2"), 0755);
	put_file(h, "mounts/2/f", "f\n");
	put_file(h, "mounts/2/g", "g\n");
	put_file(h, "mounts/2/h", "h\n");
	assert_int_equal(symlink("../../../../a/real", harness_path(h, "rootfs/out")), 0);
	assert_int_equal(symlink("/../../away", harness_path(h, "rootfs/out2")), 0);
	assert_int_equal(symlink("dangling-target", harness_path(h, "rootfs/out3")), 0);
	add_mount(c, AGENT_MOUNT_EXPORT, "2", "/out");
	add_mount(c, AGENT_MOUNT_EXPORT, "2", "/out2/below");
	add_mount(c, AGENT_MOUNT_EXPORT, "2", "/out3");
	harness_expect_output(h, c, "f\ng\nh\n");
}

static void link_loop(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	assert_int_equal(symlink("loop", harness_path(h, "rootfs/loop")), 0);
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/loop/x");
	harness_expect_refused(h, c, "mount `tmpfs` to `/loop/x`: attach: Too many levels of symbolic links");
}

/* Each lies on what came before it, wherever that put its place. */
static void nested_mounts(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec(
		"cd /a; ls; ls t; cat t/b/f t/b/one; echo new > t/b/new; cat /up/f /real/place/f; "
		"touch t/x t/b/x; grep -c ' /a' /proc/self/mounts");

	NEED(h);
	for (int i = 3; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "mounts/%d", i);
		mkdir(harness_path(h, path), 0755);
	}
	put_file(h, "mounts/3/outer", "");
	put_file(h, "mounts/4/f", "inner\n");
	put_file(h, "mounts/5", "file\n");
	mkdir(harness_path(h, "rootfs/real"), 0755);
	assert_int_equal(symlink("/../real", harness_path(h, "rootfs/alias")), 0);
	add_mount(c, AGENT_MOUNT_EXPORT, "3", "/a");
	add_mount(c, AGENT_MOUNT_FS, "tmpfs", "/a/t");
	add_mount(c, AGENT_MOUNT_EXPORT, "4", "/a/t/b");
	add_mount(c, AGENT_MOUNT_EXPORT, "5", "/alias/../a/t/b/one");
	add_mount(c, AGENT_MOUNT_EXPORT, "4", "/../../up");
	add_mount(c, AGENT_MOUNT_EXPORT, "4", "/alias/place");
	harness_expect_output(h, c, "outer\nt\nb\ninner\nfile\ninner\ninner\n4\n");
	assert_int_equal(access(harness_path(h, "mounts/4/new"), F_OK), 0);
	assert_int_equal(access(harness_path(h, "mounts/4/x"), F_OK), 0);
	assert_int_not_equal(access(harness_path(h, "mounts/3/t/x"), F_OK), 0);
	assert_int_equal(access(harness_path(h, "rootfs/up"), F_OK), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(default_mounts),
		TEST(mount_flags),
		TEST(mount_option_unknown),
		TEST(mount_type_unknown),
		TEST(copy_up),
		TEST(copy_up_with_mode),
		TEST(readonly_tmpfs_below_others),
		TEST(binds),
		TEST(bind_source_must_be_a_number),
		TEST(links_stay_inside),
		TEST(link_loop),
		TEST(nested_mounts),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
