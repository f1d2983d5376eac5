/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Containers with a user namespace; hooks in the container; how the kernel schedules a process. */
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

/* In a chroot, where some build systems run tests, the kernel makes none. */
static bool user_namespaces(void)
{
	int status = 1;
	pid_t pid = fork();

	if (!pid)
		_exit(unshare(CLONE_NEWUSER) < 0);
	waitpid(pid, &status, 0);
	return !status;
}

static void own_root(struct harness *h, const char *owner)
{
	char command[200];

	snprintf(command, sizeof(command), "chown -R %s '%s'", owner, harness_path(h, "rootfs"));
	assert_int_equal(system(command), 0);
}

static struct agent_container *userns_spec(struct harness *h, const char *script)
{
	static struct agent_mapping ids[] = { { 0, 100000, 1000 }, { 1000, 5000, 10 } };
	struct agent_container *c = harness_sh_spec(script);

	c->namespaces = (c->namespaces & ~(uint64_t)CLONE_NEWNET) | CLONE_NEWUSER;
	c->uids = c->gids = (struct agent_mappings){ ids, 2 };
	own_root(h, "100000:100000");
	return c;
}

static void ids_are_mapped(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;
	char command[200];

	NEED(h);
	if (!user_namespaces())
		skip();
	c = userns_spec(h, "tr -s ' ' < /proc/self/uid_map; id -u; id -g; touch /tmp/a; "
			   "chown 1000:1001 /tmp/a; stat -c %u:%g /tmp/a /bin /dev /dev/null /dev/pts/ptmx; "
			   "echo x > /dev/null; cat /proc/1/comm; hostname; "
			   "cat /proc/self/oom_score_adj; ls -d /sys/class");
	c->process.has_oom_score_adj = true;
	c->process.oom_score_adj = 77;
	harness_expect_output(h, c, " 0 100000 1000\n 1000 5000 10\n0\n0\n1000:1001\n0:0\n0:0\n0:0\n0:0\n"
			    "sh\nbox\n77\n/sys/class\n");
	snprintf(command, sizeof(command), "test \"$(stat -c %%u:%%g '%s')\" = 5000:5001",
		 harness_path(h, "rootfs/tmp/a"));
	assert_int_equal(system(command), 0);
}

static void a_mapped_user_has_its_limits(void **state)
{
	struct agent_rlimit r[] = { { RLIMIT_NOFILE, 400, 900 } };
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	if (!user_namespaces())
		skip();
	c = userns_spec(h, "id -u; ulimit -Sn; ulimit -Hn; echo out > /dev/stdout; "
			   "echo $(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)");
	c->process.uid = 1005;
	c->process.rlimits = r;
	c->process.num_rlimits = 1;
	harness_expect_output(h, c, "1005\n400\n900\nout\n0\n");
}

static void a_port_that_was_asked_for_stays(void **state)
{
	struct agent_pair port = { (char *)"net/ipv4/ip_unprivileged_port_start", (char *)"99" };
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	if (!user_namespaces())
		skip();
	c = userns_spec(h, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
	c->sysctls = &port;
	c->num_sysctls = 1;
	harness_expect_output(h, c, "99\n");
}

static void an_exec_joins(void **state)
{
	static char *args[] = { (char *)"sh", (char *)"-c",
				(char *)"id -u; cat /proc/self/uid_map | wc -l; kill -9 1", NULL };
	struct agent_rlimit r[] = { { RLIMIT_NOFILE, 400, 900 } };
	struct harness *h = *state;
	struct agent_container *c;
	struct agent_process p;
	char text[64] = "";
	uint32_t v[2];
	int out, err;

	NEED(h);
	if (!user_namespaces())
		skip();
	c = userns_spec(h, "exec sleep 100");
	if (access("/proc/self/ns/time", F_OK) == 0) {
		c->namespaces |= CLONE_NEWTIME;
		c->time_offsets[AGENT_CLOCK_BOOTTIME].secs = 5;
	}
	harness_create(h, c);
	harness_start(h);
	close(harness_accept(h, 0, AGENT_STREAM_STDOUT));
	close(harness_accept(h, 0, AGENT_STREAM_STDERR));
	p = c->process;
	p.args = args;
	p.uid = 1001;
	p.rlimits = r;
	p.num_rlimits = 1;
	harness_send_exec(h, 1, &p);
	out = harness_accept(h, 1, AGENT_STREAM_STDOUT);
	err = harness_accept(h, 1, AGENT_STREAM_STDERR);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	assert_int_equal(v[0], 1);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_true(read(out, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "1001\n2\n");
	close(out);
	close(err);
	harness_signal(h, 0, SIGKILL, false);
}

/* Its root can make cgroups in its own where that is mounted writable, and lift no limit. */
static void a_writable_cgroup_is_delegated(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	if (!user_namespaces() || !h->cgroup[0])
		skip();
	c = userns_spec(h, "cd /sys/fs/cgroup; stat -c '%n %u:%g' . cgroup.procs cgroup.threads "
			   "cgroup.subtree_control cgroup.max.depth; mkdir below && "
			   "echo 1 > below/cgroup.procs && grep ^0: /proc/self/cgroup; "
			   "{ echo 5 > cgroup.max.depth; } 2> /dev/null || echo kept; "
			   "echo 1 > cgroup.procs; rmdir below");
	for (size_t i = 0; i < c->num_mounts; i++)
		if (!strcmp(c->mounts[i].type, "cgroup"))
			c->mounts[i].flags &= ~(uint64_t)MS_RDONLY;
	harness_expect_output(h, c, ". 0:0\ncgroup.procs 0:0\ncgroup.threads 0:0\n"
			      "cgroup.subtree_control 0:0\ncgroup.max.depth 65534:65534\n"
			      "0::/below\nkept\n");
}

static void one_that_is_read_only_is_not(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	if (!user_namespaces() || !h->cgroup[0])
		skip();
	c = userns_spec(h, "stat -c %u /sys/fs/cgroup /sys/fs/cgroup/cgroup.procs");
	harness_expect_output(h, c, "65534\n65534\n");
}

static char *hook_env[] = { (char *)"PATH=/bin", (char *)"NAME=value", NULL };

static struct agent_container *hook_spec(struct agent_hook *hook, const char *script)
{
	static char *args[] = { (char *)"sh", (char *)"-c", NULL, NULL };
	struct agent_container *c = harness_sh_spec("cat /tmp/hook; rm /tmp/hook");

	args[2] = (char *)script;
	*hook = (struct agent_hook){ .path = (char *)"/bin/sh", .args = args, .env = hook_env };
	c->hooks = hook;
	c->num_hooks = 1;
	c->state = (char *)"{\"id\":\"c1\"}";
	return c;
}

static void hooks_run_in_the_container(void **state)
{
	struct harness *h = *state;
	struct agent_hook hook;
	struct agent_container *c;

	NEED(h);
	own_root(h, "0:0");
	c = hook_spec(&hook, "{ cat; echo; echo $NAME; hostname; cat /proc/1/comm; id -u; } > /tmp/hook");
	harness_expect_output(h, c, "{\"id\":\"c1\"}\nvalue\nbox\nkrun-gpu-agent-\n0\n");
}

static void a_failing_hook_keeps_the_process_from_starting(void **state)
{
	struct harness *h = *state;
	struct agent_hook hook;
	struct agent_container *c;

	NEED(h);
	c = hook_spec(&hook, "echo no such thing >&2; exit 3");
	harness_expect_refused(h, c, "hooks.startContainer[0]: /bin/sh ended with code 3: no such thing");
}

static void a_slow_hook_is_ended(void **state)
{
	struct harness *h = *state;
	struct agent_hook hook;
	struct agent_container *c;

	NEED(h);
	c = hook_spec(&hook, "sleep 50");
	hook.timeout = 1;
	harness_expect_refused(h, c, "hooks.startContainer[0]: /bin/sh did not end within 1 s");
}

static void a_missing_hook_is_named(void **state)
{
	struct harness *h = *state;
	struct agent_hook hook;
	struct agent_container *c;

	NEED(h);
	c = hook_spec(&hook, "true");
	hook.path = (char *)"/no/hook";
	harness_expect_refused(h, c, "hooks.startContainer[0]: /no/hook ended with code 127: "
			   "No such file or directory");
}

static void scheduling(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;

	NEED(h);
	c = harness_sh_spec("cut -d ' ' -f 19,41 /proc/self/stat; ionice; cat /proc/self/personality");
	c->process.has_scheduler = true;
	c->process.scheduler = (struct agent_scheduler){ .policy = SCHED_BATCH, .nice = 5 };
	c->process.has_io_priority = true;
	c->process.io_priority = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
	c->process.has_personality = true;
	c->process.personality = PER_LINUX32;
	harness_expect_output(h, c, "5 3\nbest-effort: prio 6\n00000008\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(ids_are_mapped),
		TEST(a_mapped_user_has_its_limits),
		TEST(a_port_that_was_asked_for_stays),
		TEST(an_exec_joins),
		TEST(a_writable_cgroup_is_delegated),
		TEST(one_that_is_read_only_is_not),
		TEST(hooks_run_in_the_container),
		TEST(a_failing_hook_keeps_the_process_from_starting),
		TEST(a_slow_hook_is_ended),
		TEST(a_missing_hook_is_named),
		TEST(scheduling),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
