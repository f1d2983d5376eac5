/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a container's process is: arguments, user, rights, limits; and how it ends. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

static void args_env_cwd(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"sh", (char *)"-c", (char *)"echo \"$0|$1|$2\"; env | sort; pwd",
			 (char *)"a b", (char *)"", (char *)"$x", NULL };
	char *env[] = { (char *)"PATH=/bin", (char *)"A=1 2", (char *)"B=", NULL };
	struct agent_container *c = harness_spec(args);

	NEED(h);
	c->process.env = env;
	c->process.cwd = (char *)"/tmp";
	harness_expect_output(h, c, "a b||$x\nA=1 2\nB=\nPATH=/bin\nPWD=/tmp\nSHLVL=1\n/tmp\n");
}

static void missing_cwd_is_made(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("pwd");

	NEED(h);
	c->process.cwd = (char *)"/new/work/dir";
	harness_expect_output(h, c, "/new/work/dir\n");
}

static void user_and_groups(void **state)
{
	struct harness *h = *state;
	uint32_t gids[] = { 20, 30 };
	struct agent_container *c = harness_sh_spec(
		"id -u; id -g; id -G; umask; grep -E 'Cap(Prm|Eff|Bnd|Amb)' /proc/self/status; "
		"echo x > /dev/stdout; echo y > /home/user/f; ls -ln /home/user/f | cut -c 1-22");

	NEED(h);
	c->process.uid = 1000;
	c->process.gid = 1001;
	c->process.additional_gids = gids;
	c->process.num_additional_gids = 2;
	c->process.has_umask = true;
	c->process.umask = 0027;
	memset(c->process.capabilities, 0, sizeof(c->process.capabilities));
	c->process.capabilities[AGENT_CAP_BOUNDING] = 0x421;
	harness_expect_output(h, c, "1000\n1001\n1001 20 30\n0027\nCapPrm:\t0000000000000000\n"
			    "CapEff:\t0000000000000000\nCapBnd:\t0000000000000421\n"
			    "CapAmb:\t0000000000000000\nx\n-rw-r-----    1 1000  \n");
}

static void capabilities(void **state)
{
	struct harness *h = *state;
	struct agent_container *c = harness_sh_spec("grep Cap /proc/self/status");

	NEED(h);
	c->process.uid = 1000;
	memset(c->process.capabilities, 0, sizeof(c->process.capabilities));
	for (int i = 0; i < AGENT_CAP_SETS; i++)
		c->process.capabilities[i] = 0x400;
	c->process.capabilities[AGENT_CAP_BOUNDING] = 0x20000000400;
	harness_expect_output(h, c, "CapInh:\t0000000000000400\nCapPrm:\t0000000000000400\n"
			    "CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\n"
			    "CapAmb:\t0000000000000400\n");
}

static void limits(void **state)
{
	struct harness *h = *state;
	struct agent_rlimit r[] = { { RLIMIT_NOFILE, 123, 456 }, { RLIMIT_CORE, 0, 0 } };
	struct agent_container *c = harness_sh_spec(
		"ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; "
		"grep NoNewPrivs /proc/self/status; ls /proc/self/fd | wc -l");

	NEED(h);
	c->process.rlimits = r;
	c->process.num_rlimits = 2;
	c->process.has_oom_score_adj = true;
	c->process.oom_score_adj = 77;
	c->process.no_new_privileges = true;
	harness_expect_output(h, c, "123\n456\n0\n77\nNoNewPrivs:\t1\n4\n");
}

static void seccomp(void **state, bool no_new_privileges)
{
	struct harness *h = *state;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct agent_container *c = harness_sh_spec("mkdir /tmp/denied 2>&1; grep ^Seccomp: /proc/self/status");

	NEED(h);
	c->process.seccomp = (char *)filter;
	c->process.seccomp_len = sizeof(filter);
	c->process.no_new_privileges = no_new_privileges;
	harness_expect_output(h, c, "mkdir: can't create directory '/tmp/denied': "
			    "Numerical argument out of domain\nSeccomp:\t2\n");
}

static void seccomp_with_nnp(void **state)
{
	seccomp(state, true);
}

static void seccomp_without_nnp(void **state)
{
	seccomp(state, false);
}

/* A profile has to allow nothing for the agent's sake but execve() and capset(). */
static void seccomp_comes_last(void **state)
{
	static const uint32_t deadly[] = { SYS_faccessat2, SYS_chdir, SYS_close_range, SYS_getcwd,
					   SYS_setresuid, SYS_setgroups };
	const size_t count = sizeof(deadly) / sizeof(*deadly);
	struct sock_filter filter[16] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	char *args[] = { (char *)"echo", (char *)"fine", NULL };
	struct harness *h = *state;

	NEED(h);
	for (size_t i = 0; i < count; i++)
		filter[i + 1] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, deadly[i], (uint8_t)(count - i), 0);
	filter[count + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[count + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	for (int nnp = 0; nnp < 2; nnp++) {
		struct agent_container *c = harness_spec(args);

		c->process.seccomp = (char *)filter;
		c->process.seccomp_len = (count + 3) * sizeof(*filter);
		c->process.no_new_privileges = nnp;
		c->process.uid = 1000;
		harness_expect_output(h, c, "fine\n");
		if (!nnp) {
			harness_teardown(state);
			harness_setup(state);
		}
	}
}

static void exit_codes(void **state)
{
	struct harness *h = *state;
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	r = harness_run(h, harness_sh_spec("exit 7"), NULL);
	assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7);
}

/* A pid namespace's first process ignores its own signals: a child's death shows instead. */
static void death_by_signal(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];
	char *args[] = { (char *)"sleep", (char *)"1000", NULL };

	NEED(h);
	harness_create(h, harness_spec(args));
	harness_start(h);
	harness_signal(h, 0, SIGKILL, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	assert_int_equal(v[1], 0);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_true(WIFSIGNALED(v[1]) && WTERMSIG(v[1]) == SIGKILL);
	harness_signal(h, 0, SIGTERM, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	assert_int_equal(v[1], ESRCH);
}

static void handled_signal(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];
	char buf[8];
	int out;

	NEED(h);
	harness_create(h, harness_sh_spec("trap 'exit 42' TERM; echo; while :; do sleep 0.1; done"));
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	harness_start(h);
	assert_int_equal(read(out, buf, sizeof(buf)), 1);
	harness_signal(h, 0, SIGTERM, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(WEXITSTATUS(v[1]), 42);
	close(out);
}

/* runc: a created container dies of SIGTERM though its program has not begun. */
static void signal_before_start(void **state)
{
	struct harness *h = *state;
	uint32_t v[2];

	NEED(h);
	harness_create(h, harness_sh_spec("exit 0"));
	harness_signal(h, 0, SIGWINCH, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	assert_int_equal(v[1], 0);
	harness_signal(h, 0, SIGTERM, false);
	harness_expect_u32s(h, AGENT_SIGNALED, v, 2);
	assert_int_equal(v[1], 0);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_true(WIFSIGNALED(v[1]) && WTERMSIG(v[1]) == SIGTERM);
}

static void expect_error(struct harness *h, const struct agent_container *c, uint32_t code,
			 const char *text)
{
	cleanup_result struct harness_result r = harness_run(h, c, NULL);

	assert_int_equal(r.status, -1);
	assert_int_equal(r.code, code);
	assert_string_equal(r.err, text);
}

static void no_program(void **state)
{
	char *args[] = { (char *)"nothere", NULL };

	NEED((struct harness *)*state);
	expect_error(*state, harness_spec(args), ENOENT,
		     "executable file `nothere` not found in $PATH: No such file or directory");
}

static void no_program_by_path(void **state)
{
	char *args[] = { (char *)"/bin/nothere", NULL };

	NEED((struct harness *)*state);
	expect_error(*state, harness_spec(args), ENOENT,
		     "executable file `/bin/nothere` not found: No such file or directory");
}

static void not_executable(void **state)
{
	char *args[] = { (char *)"/etc/passwd", NULL };

	NEED((struct harness *)*state);
	expect_error(*state, harness_spec(args), EACCES,
		     "open executable `/etc/passwd`: Permission denied");
}

static void exec_format(void **state)
{
	struct harness *h = *state;
	char *args[] = { (char *)"/bin/noformat", NULL };
	FILE *f;

	NEED(h);
	f = fopen(harness_path(h, "rootfs/bin/noformat"), "w");
	fputs("neither", f);
	fclose(f);
	assert_int_equal(chmod(harness_path(h, "rootfs/bin/noformat"), 0755), 0);
	expect_error(h, harness_spec(args), ENOEXEC, "exec `/bin/noformat`: Exec format error");
}

/* Both clocks, with nobody in the agent's own time namespace the wiser; an exec has them as well. */
static void clocks(void **state)
{
	static char *args[] = { (char *)"sh", (char *)"-c",
				(char *)"cut -d. -f1 /proc/uptime; kill -9 1", NULL };
	struct agent_container *c = harness_sh_spec("tr -s ' ' < /proc/self/timens_offsets;"
						    "cut -d. -f1 /proc/uptime; exec sleep 100");
	struct harness *h = *state;
	char text[128] = "";
	struct agent_process p;
	uint32_t v[2];
	int out;

	NEED(h);
	if (access("/proc/self/ns/time", F_OK) < 0)
		skip();
	c->namespaces |= CLONE_NEWTIME;
	c->time_offsets[AGENT_CLOCK_MONOTONIC] = (struct agent_time_offset){ 1000000, 500 };
	c->time_offsets[AGENT_CLOCK_BOOTTIME] = (struct agent_time_offset){ 4000000000, 0 };
	harness_create(h, c);
	harness_start(h);
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	close(harness_accept(h, 0, AGENT_STREAM_STDERR));
	while (!strstr(text, "\n4"))
		assert_true(read(out, text + strlen(text), sizeof(text) - 1 - strlen(text)) > 0);
	assert_memory_equal(text, "monotonic 1000000 500\nboottime 4000000000 0\n", 44);
	assert_true(strtoll(strstr(text, "\n4"), NULL, 10) >= 4000000000);
	close(out);
	p = c->process;
	p.args = args;
	harness_send_exec(h, 1, &p);
	out = harness_accept(h, 1, AGENT_STREAM_STDOUT);
	close(harness_accept(h, 1, AGENT_STREAM_STDERR));
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_true(read(out, text, sizeof(text) - 1) > 0);
	assert_true(strtoll(text, NULL, 10) >= 4000000000);
	close(out);
	harness_signal(h, 0, SIGKILL, false);
}

static void a_clock_before_its_beginning_is_refused(void **state)
{
	struct agent_container *c = harness_sh_spec("true");
	struct harness *h = *state;

	NEED(h);
	if (access("/proc/self/ns/time", F_OK) < 0)
		skip();
	c->namespaces |= CLONE_NEWTIME;
	c->time_offsets[AGENT_CLOCK_BOOTTIME] = (struct agent_time_offset){ -7000000000, 0 };
	harness_expect_refused(h, c, "linux.timeOffsets: write `boottime -7000000000 0` to "
			       "/proc/self/timens_offsets: Numerical result out of range");
}

/* krun-gpu-net looks at the network while the machine boots. */
static void what_is_told_of_the_network_before_the_container_waits(void **state)
{
	static const uint32_t nothing[] = { 0 }, malformed[] = { 1 };
	struct harness *h = *state;

	harness_send_u32s(h, AGENT_INTERFACE, nothing, 1);
	harness_send_u32s(h, AGENT_INTERFACE, malformed, 1);
	harness_send_u32s(h, AGENT_INTERFACE_GONE, malformed, 1);
	harness_expect_output(h, harness_sh_spec("echo here"), "here\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(args_env_cwd),	 TEST(missing_cwd_is_made), TEST(user_and_groups),
		TEST(capabilities),	 TEST(limits),		    TEST(seccomp_with_nnp),
		TEST(seccomp_without_nnp), TEST(seccomp_comes_last), TEST(exit_codes),
		TEST(death_by_signal),
		TEST(handled_signal),	 TEST(signal_before_start), TEST(no_program),
		TEST(no_program_by_path), TEST(not_executable),	    TEST(exec_format),
		TEST(clocks), TEST(a_clock_before_its_beginning_is_refused),
		TEST(what_is_told_of_the_network_before_the_container_waits),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
