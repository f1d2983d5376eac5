/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles are compiled and then loaded, in a child, by the kernel that runs the test. */
#include "unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "oci/oci_seccomp.h"
#include "oci/oci_spec.h"

static char *name_getpriority[] = { (char *)"getpriority", (char *)"no_such_call", NULL };
static char *arch_x32[] = { (char *)"SCMP_ARCH_X86_64", (char *)"SCMP_ARCH_X86",
			    (char *)"SCMP_ARCH_X32", NULL };

/* What getpriority(which, 0) gives under the profile: 0, its errno, or 1000 and a signal. */
static int call_under(const struct oci_seccomp *s, int which)
{
	cleanup_error struct error *err = NULL;
	cleanup_free char *bpf = NULL;
	uint32_t flags;
	size_t len;
	int status;
	pid_t pid;

	if (oci_seccomp_validate(s, &err) < 0 || oci_seccomp_compile(s, &bpf, &len, &flags, &err) < 0)
		fail_msg("%s", error_msg(err));
	pid = fork();
	if (!pid) {
		const struct sock_fprog prog = { (unsigned short)(len / sizeof(struct sock_filter)),
						 (struct sock_filter *)(void *)bpf };
		const struct rlimit no_core = { 0, 0 };

		signal(SIGSYS, SIG_DFL); /* the test library catches it */
		setrlimit(RLIMIT_CORE, &no_core);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog))
			_exit(255);
		/* Not by exit(): a sanitizer's has calls of its own, which a profile may forbid. */
		syscall(SYS_exit_group, syscall(SYS_getpriority, which, 0) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static struct oci_seccomp profile(struct oci_seccomp_rule *rule)
{
	return (struct oci_seccomp){ .default_action = (char *)"SCMP_ACT_ALLOW",
				     .architectures = arch_x32, .rules = rule, .num_rules = 1 };
}

static void every_action_acts(void **state)
{
	static const struct {
		const char *action;
		bool has_errno;
		uint32_t errno_ret;
		int expect;
	} actions[] = {
		{ "SCMP_ACT_ALLOW", false, 0, 0 },
		{ "SCMP_ACT_LOG", false, 0, 0 },
		{ "SCMP_ACT_ERRNO", false, 0, EPERM },
		{ "SCMP_ACT_ERRNO", true, ENOSYS, ENOSYS },
		{ "SCMP_ACT_ERRNO", true, 0, 0 },
		{ "SCMP_ACT_TRAP", false, 0, 1000 + SIGSYS },
		{ "SCMP_ACT_KILL_PROCESS", false, 0, 1000 + SIGSYS },
		{ "SCMP_ACT_KILL", false, 0, 1000 + SIGSYS },
		{ "SCMP_ACT_TRACE", true, 7, ENOSYS }, /* nobody traces */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		struct oci_seccomp_rule rule = {
			.names = name_getpriority, .action = (char *)actions[i].action,
			.has_errno = actions[i].has_errno, .errno_ret = actions[i].errno_ret,
		};
		const struct oci_seccomp s = profile(&rule);
		int got = call_under(&s, PRIO_PROCESS);

		if (got != actions[i].expect && !(got == 0 && actions[i].expect == 0))
			fail_msg("%s: %d, not %d", actions[i].action, got, actions[i].expect);
	}
}

static void arguments_are_compared(void **state)
{
	struct oci_seccomp_arg arg = { 0, PRIO_USER, 0, (char *)"SCMP_CMP_EQ" };
	struct oci_seccomp_rule rule = { .names = name_getpriority, .num_args = 1, .args = &arg,
					 .action = (char *)"SCMP_ACT_ERRNO", .has_errno = true,
					 .errno_ret = EXDEV };
	const struct oci_seccomp s = profile(&rule);

	(void)state;
	assert_int_equal(call_under(&s, PRIO_PROCESS), 0);
	assert_int_equal(call_under(&s, PRIO_USER), EXDEV);
	arg = (struct oci_seccomp_arg){ 0, 2, PRIO_USER, (char *)"SCMP_CMP_MASKED_EQ" };
	assert_int_equal(call_under(&s, PRIO_USER), EXDEV);
	assert_int_equal(call_under(&s, PRIO_PROCESS), 0);
	arg = (struct oci_seccomp_arg){ 0, PRIO_PGRP, 0, (char *)"SCMP_CMP_LE" };
	assert_int_equal(call_under(&s, PRIO_PGRP), EXDEV);
	assert_int_equal(call_under(&s, PRIO_USER), 0);
}

static void two_values_of_one_argument_are_alternatives(void **state)
{
	struct oci_seccomp_arg args[] = { { 0, PRIO_USER, 0, (char *)"SCMP_CMP_EQ" },
					  { 0, PRIO_PGRP, 0, (char *)"SCMP_CMP_EQ" } };
	struct oci_seccomp_rule rule = { .names = name_getpriority, .num_args = 2, .args = args,
					 .action = (char *)"SCMP_ACT_ERRNO" };
	const struct oci_seccomp s = profile(&rule);

	(void)state;
	assert_int_equal(call_under(&s, PRIO_USER), EPERM);
	assert_int_equal(call_under(&s, PRIO_PGRP), EPERM);
	assert_int_equal(call_under(&s, PRIO_PROCESS), 0);
}

static void an_allow_list_with_a_default_errno(void **state)
{
	char *allowed[] = { (char *)"exit_group", (char *)"exit", NULL };
	struct oci_seccomp_rule rule = { .names = allowed, .action = (char *)"SCMP_ACT_ALLOW" };
	const struct oci_seccomp s = {
		.default_action = (char *)"SCMP_ACT_ERRNO", .has_default_errno = true,
		.default_errno = EDOM, .rules = &rule, .num_rules = 1,
	};

	(void)state;
	assert_int_equal(call_under(&s, PRIO_PROCESS), EDOM);
}

static void flags_reach_the_kernel(void **state)
{
	char *log_flags[] = { (char *)"SECCOMP_FILTER_FLAG_LOG",
			      (char *)"SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL };
	struct oci_seccomp_rule rule = { .names = name_getpriority,
					 .action = (char *)"SCMP_ACT_ERRNO" };
	struct oci_seccomp s = profile(&rule);
	cleanup_free char *bpf = NULL;
	uint32_t flags = 0;
	size_t len;

	(void)state;
	s.flags = log_flags;
	assert_int_equal(oci_seccomp_compile(&s, &bpf, &len, &flags, NULL), 0);
	assert_int_equal(flags, SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW);
	assert_int_equal(len % sizeof(struct sock_filter), 0);
	assert_int_equal(call_under(&s, PRIO_PROCESS), EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_action_acts),
		cmocka_unit_test(arguments_are_compared),
		cmocka_unit_test(two_values_of_one_argument_are_alternatives),
		cmocka_unit_test(an_allow_list_with_a_default_errno),
		cmocka_unit_test(flags_reach_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
