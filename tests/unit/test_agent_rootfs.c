/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a container's root is: devices, masked and read-only paths, names, sysctls. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"
#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

static void put_file(struct harness *h, const char *path, const char *text)
{
	FILE *f = fopen(harness_path(h, path), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void devices(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec(
		"cd /dev; stat -c '%n %F %a %u %g %t,%T' null fifo sub/dev; "
		"for l in fd stdin stdout stderr ptmx; do readlink $l; done");
	struct agent_device *d;

	NEED(h);
	d = &c->devices[c->num_devices++];
	*d = (struct agent_device){ .mode = S_IFIFO | 0600, .path = (char *)"/dev/fifo" };
	d = &c->devices[c->num_devices++];
	*d = (struct agent_device){ .mode = S_IFBLK | 0640, .major = 7, .minor = 300, .uid = 1,
				    .gid = 2, .path = (char *)"/dev/sub/dev" };
	harness_expect_output(h, c, "null character special file 666 0 0 1,3\nfifo fifo 600 0 0 0,0\n"
			    "sub/dev block special file 640 1 2 7,12c\n"
			    "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n"
			    "pts/ptmx\n");
}

static void no_gpu(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	if (access("/dev/dri/renderD128", F_OK) == 0)
		skip();
	c->devices[c->num_devices++] = (struct agent_device){
		.kind = AGENT_DEVICE_GPU_RENDER, .mode = S_IFCHR | 0666,
		.path = (char *)"/dev/dri/renderD128",
	};
	harness_expect_refused(h, c, "device /dev/dri/renderD128: the guest has no GPU node "
			   "/dev/dri/renderD128: No such file or directory");
}

static void masked_and_readonly(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("cat /secret; ls -A /secrets; echo x >> /secret;"
					    "ls -l /proc/version | cut -c 1; cat /frozen/f");
	char *masked[] = { (char *)"/secret", (char *)"/secrets", (char *)"/proc/version", NULL };
	char *frozen[] = { (char *)"/frozen", NULL };

	NEED(h);
	mkdir(harness_path(h, "rootfs/secrets"), 0755);
	mkdir(harness_path(h, "rootfs/frozen"), 0755);
	put_file(h, "rootfs/secret", "s");
	put_file(h, "rootfs/secrets/s", "s");
	put_file(h, "rootfs/frozen/f", "f\n");
	c->masked_paths = masked;
	c->readonly_paths = frozen;
	harness_expect_output(h, c, "c\nf\n");
}

static void readonly_root(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("touch /x 2>&1; touch /dev/shm/y /dev/z; grep -c shared:"
					    " /proc/self/mountinfo");
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	c->readonly_root = true;
	c->rootfs_propagation = MS_SHARED | MS_REC;
	r = harness_run(h, c, NULL);
	assert_string_equal(r.err, "");
	assert_memory_equal(r.out, "touch: /x: Read-only file system\n1", 34);
}

static void names_and_sysctls(void **state)
{
	struct harness *h = *state;
	struct agent_pair sysctls[] = {
		{ (char *)"net.ipv4.ip_forward", (char *)"1" },
		{ (char *)"kernel.shm_rmid_forced", (char *)"1" },
	};
	struct agent_container *c = harness_sh_spec("hostname; cat /proc/sys/kernel/domainname "
					    "/proc/sys/net/ipv4/ip_forward "
					    "/proc/sys/kernel/shm_rmid_forced; "
					    "ip -o addr show lo | grep -o 127.0.0.1/8; echo $$");

	NEED(h);
	c->hostname = (char *)"name";
	c->domainname = (char *)"domain";
	c->sysctls = sysctls;
	c->num_sysctls = 2;
	harness_expect_output(h, c, "name\ndomain\n1\n1\n127.0.0.1/8\n1\n");
}

static void sysctl_unknown(void **state)
{
	struct harness *h = *state;
	struct agent_pair sysctl = { (char *)"net.nothing", (char *)"1" };
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	c->sysctls = &sysctl;
	c->num_sysctls = 1;
	harness_expect_refused(h, c, "sysctl net.nothing: open /proc/sys/net/nothing: "
			   "No such file or directory");
}

/* A dot can be part of an interface's name. */
static void sysctl_with_a_dot_in_a_name(void **state)
{
	static char *const keys[] = { (char *)"net/ipv4/conf/no.1/forwarding",
				      (char *)"net.ipv4.conf.no/1.forwarding" };
	struct agent_pair sysctl = { NULL, (char *)"1" };
	struct harness *h = *state;

	NEED(h);
	for (size_t i = 0; i < 2; i++) {
		struct agent_container *c = harness_sh_spec("true");
		char text[200];

		if (i) {
			harness_teardown(state);
			harness_setup(state);
		}
		sysctl.key = keys[i];
		c->sysctls = &sysctl;
		c->num_sysctls = 1;
		snprintf(text, sizeof(text), "sysctl %s: open /proc/sys/net/ipv4/conf/no.1/forwarding: "
			 "No such file or directory", keys[i]);
		harness_expect_refused(h, c, text);
	}
}

static void cgroup(void **state)
{
	struct harness *h = *state;
	struct agent_pair limit = { (char *)"cgroup.max.descendants", (char *)"7" };
	struct agent_container *c = harness_sh_spec("grep ^0: /proc/self/cgroup; cd /sys/fs/cgroup; "
					    "cat cgroup.max.descendants cgroup.procs | head -2");

	NEED(h);
	if (!h->cgroup[0])
		skip();
	c->cgroup = &limit;
	c->num_cgroup = 1;
	harness_expect_output(h, c, "0::/\n7\n1\n");
}

/* Limits of a container that runs. */
static void cgroup_access(void **state)
{
	const struct agent_pair ask[] = {
		{ (char *)"cgroup.max.descendants", (char *)"9" },
		{ (char *)"cgroup.max.descendants", (char *)"" },
		{ (char *)"no.such.file", (char *)"" },
	};
	const struct agent_pair outside = { (char *)"../cgroup.procs", (char *)"" };
	struct harness *h = *state;
	struct agent_pair *files;
	struct wire_reader r;
	struct msg msg;
	size_t count;

	NEED(h);
	if (!h->cgroup[0])
		skip();
	harness_create(h, harness_sh_spec("sleep 100"));
	harness_send_cgroup(h, ask, 3);
	msg = harness_expect(h, AGENT_CGROUP_IS);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 0);
	free(wire_get_str(&r));
	files = agent_pairs_decode(&r, &count);
	assert_true(wire_done(&r));
	assert_int_equal(count, 3);
	assert_string_equal(files[1].value, "9\n");
	assert_string_equal(files[2].value, "");
	agent_pairs_release(files, count);
	msg_release(&msg);
	harness_send_cgroup(h, &outside, 1);
	msg = harness_expect(h, AGENT_CGROUP_IS);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), EINVAL);
	msg_release(&msg);
}

static void cgroup_file_unknown(void **state)
{
	struct harness *h = *state;
	struct agent_pair limit = { (char *)"nothing.max", (char *)"7" };
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	c->cgroup = &limit;
	c->num_cgroup = 1;
	harness_expect_refused(h, c, "container's cgroup in the guest: open nothing.max: "
			   "No such file or directory");
}

/* Engines send a limit of 0 for each size that they know; the harness has no such controller. */
static void huge_pages_of_unknown_size(void **state)
{
	struct harness *h = *state;
	struct agent_pair limit = { (char *)"hugetlb.7MB.max", (char *)"0" };
	struct agent_container *c = harness_sh_spec("echo fine");

	NEED(h);
	c->cgroup = &limit;
	c->num_cgroup = 1;
	harness_expect_output(h, c, "fine\n");
}

static void huge_pages_of_unknown_size_limited(void **state)
{
	struct harness *h = *state;
	struct agent_pair limit = { (char *)"hugetlb.7MB.max", (char *)"7340032" };
	struct agent_container *c = harness_sh_spec("true");

	NEED(h);
	c->cgroup = &limit;
	c->num_cgroup = 1;
	harness_expect_refused(h, c, "linux.resources.hugepageLimits: the guest kernel has no "
			   "hugetlb.7MB.max");
}

/* Without namespaces of its own a process shares the guest's, and only the guest's. */
static void no_namespaces(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("grep -c agent /proc/1/comm; test $$ -gt 1");

	NEED(h);
	c->namespaces = 0;
	c->hostname = NULL;
	harness_expect_output(h, c, "1\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(devices),
		TEST(no_gpu),
		TEST(masked_and_readonly),
		TEST(readonly_root),
		TEST(names_and_sysctls),
		TEST(sysctl_unknown),
		TEST(sysctl_with_a_dot_in_a_name),
		TEST(cgroup),
		TEST(cgroup_access),
		TEST(cgroup_file_unknown),
		TEST(huge_pages_of_unknown_size), TEST(huge_pages_of_unknown_size_limited),
		TEST(no_namespaces),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
