/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "vmm/vmm_sandbox.h"
#include "vmm/workers/fs_sandbox.h"
#include "vmm/workers/gpu_sandbox.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define UNIT_SANITIZED 1
#endif
#if !defined(UNIT_SANITIZED)
#define UNIT_SANITIZED 0
#endif

/* Runs @body in a child, since what it gives up does not come back; answers the wait status. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int no_caps(void)
{
	if (sandbox_keep_caps(NULL, 0, NULL))
		return 1;
	if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0)
		return 2;
	return setresuid(12345, 12345, 12345) == -1 && errno == EPERM ? 0 : 3;
}

static int one_cap(void)
{
	const int caps[] = { CAP_SETUID };

	if (sandbox_keep_caps(caps, 1, NULL))
		return 1;
	if (prctl(PR_CAPBSET_READ, CAP_SETUID, 0, 0, 0) != 1)
		return 2;
	if (setresgid(1, 1, 1) == 0)
		return 3;
	return setresuid(12345, 12345, 12345);
}

static int empty_root(void)
{
	if (sandbox_empty_root(NULL))
		return 1;
	if (access("/proc/self", F_OK) == 0 || access("/../etc", F_OK) == 0)
		return 2;
	return open("/file", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS ? 0 : 3;
}

static int small_root(void)
{
	static const char *const paths[] = { "/dev/null", "/proc/sys/net" };
	int fd;

	if (sandbox_root_of(paths, 2, NULL))
		return 1;
	if (access("/proc/self", F_OK) == 0 || access("/dev/zero", F_OK) == 0 ||
	    access("/etc", F_OK) == 0)
		return 2;
	if (access("/proc/sys/net/core/../../kernel", F_OK) == 0)
		return 3;
	fd = open("/dev/null", O_RDWR);
	if (fd < 0 || write(fd, "x", 1) != 1 || access("/proc/sys/net/core", F_OK) < 0)
		return 4;
	if (open("/proc/sys/net/core/somaxconn", O_WRONLY) >= 0 || errno != EROFS)
		return 5;
	return open("/file", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS ? 0 : 6;
}

static const struct sandbox_rule rules[] = {
	{ .syscall = "exit_group", .why = "the end" },
	{ .syscall = "exit", .why = "the end of a thread" },
	{ .syscall = "munmap", .why = "free() after the filter is loaded" },
	{ .syscall = "madvise", .why = "likewise" },
	{ .syscall = "brk", .why = "likewise" },
	{ .syscall = "mmap", .why = "a sanitizer's quarantine" },
	{ .syscall = "gettid", .why = "likewise" },
	{ .syscall = "sigaltstack", .why = "a sanitizer at the end of a thread" },
	{ .syscall = "write", .why = "the log" },
	{ .syscall = "clock_gettime", .why = "the log, where the vDSO cannot" },
	{ .syscall = "no_such_call", .why = "unknown names are skipped" },
	{ .syscall = "getpid", .why = "this test" },
	{ .syscall = "kill", .why = "signal 0 only", .arg = 1, .arg_mask = ~0ull, .arg_value = 0 },
};

/* The lists of the programs. */
static const struct list {
	const char *name;
	int (*load)(struct error **err);
} lists[] = {
	{ "krun-gpu-vmm", vmm_sandbox_seccomp },
	{ "krun-gpu-gpu", gpu_sandbox_seccomp },
	{ "krun-gpu-fs", fs_sandbox_seccomp },
};

static const struct list *list;
static pid_t test_pid;

static int list_load(void)
{
	return sandbox_no_new_privs(NULL) || list->load(NULL) ? 1 : 0;
}

/* As abort() and raise() do it, and what is asked of a file. */
static int list_allows_self(void)
{
	const pid_t self = getpid();

	if (list_load())
		return 1;
	if (syscall(SYS_tgkill, self, (pid_t)syscall(SYS_gettid), 0))
		return 2;
	return fcntl(2, F_SETFL, fcntl(2, F_GETFL)) || fcntl(2, F_DUPFD_CLOEXEC, 3) < 0 ? 3 : 0;
}

static int list_kills_tgkill(void)
{
	if (!list_load())
		syscall(SYS_tgkill, test_pid, test_pid, 0);
	return 0;
}

static int list_kills_setown(void)
{
	if (!list_load())
		fcntl(2, F_SETOWN, test_pid);
	return 0;
}

static int list_kills_setown_ex(void)
{
	const struct f_owner_ex owner = { F_OWNER_PID, test_pid };

	if (!list_load())
		fcntl(2, F_SETOWN_EX, &owner);
	return 0;
}

static int list_kills_setsig(void)
{
	if (!list_load())
		fcntl(2, F_SETSIG, SIGKILL);
	return 0;
}

static int other_user(void)
{
	gid_t group;
	uid_t ids[3];
	const uid_t id = SANDBOX_UID_BASE + 77;

	if (sandbox_become_user(id, NULL))
		return 1;
	if (getresuid(&ids[0], &ids[1], &ids[2]) || ids[0] != id || ids[1] != id || ids[2] != id)
		return 2;
	if (getresgid(&ids[0], &ids[1], &ids[2]) || ids[0] != id || ids[1] != id || ids[2] != id)
		return 3;
	if (getgroups(1, &group) || prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0) ||
	    sandbox_has_cap(CAP_SETUID))
		return 4;
	return kill(test_pid, 0) < 0 && errno == EPERM ? 0 : 5;
}

/* The worker as it is when it sees its first message. */
static int worker_user(void)
{
	if (gpu_sandbox_enter_namespaces(NULL))
		return 1;
	return getuid() == SANDBOX_UID_BASE + (uid_t)getpid() && geteuid() == getuid() &&
	       getegid() == getuid() && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
}

static int filter_allows(void)
{
	if (sandbox_no_new_privs(NULL) || sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), NULL))
		return 1;
	return syscall(SYS_getpid) > 0 && !kill((pid_t)syscall(SYS_getpid), 0) ? 0 : 2;
}

static int filter_kills(void)
{
	if (sandbox_no_new_privs(NULL) || sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), NULL))
		return 1;
	syscall(SYS_getuid);
	return 0;
}

static int filter_kills_by_argument(void)
{
	if (sandbox_no_new_privs(NULL) || sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), NULL))
		return 1;
	kill((pid_t)syscall(SYS_getpid), SIGCONT);
	return 0;
}

/* With a time stamp, for which the C library would read a file. */
static int filter_lets_log(void)
{
	int to[2];

	if (pipe(to))
		return 1;
	log_init("unit", to[1], LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	if (sandbox_no_new_privs(NULL) || sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), NULL))
		return 2;
	log_error("a sentence");
	return 0;
}

static void capabilities_go(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(in_child(no_caps), 0);
	assert_int_equal(in_child(one_cap), 0);
}

static void no_path_leads_anywhere(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(in_child(empty_root), 0);
}

static void few_paths_lead_somewhere(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	assert_int_equal(in_child(small_root), 0);
}

static void the_filter_holds(void **state)
{
	(void)state;
	assert_int_equal(in_child(filter_allows), 0);
	assert_int_equal(in_child(filter_lets_log), 0);
	assert_int_equal(WTERMSIG(in_child(filter_kills)), SIGSYS);
	assert_int_equal(WTERMSIG(in_child(filter_kills_by_argument)), SIGSYS);
}

/* Without capabilities a user's process may still signal the user's others, and be user 0. */
static void no_list_lets_signal_others(void **state)
{
	static int (*const killed[])(void) = { list_kills_tgkill, list_kills_setown,
					       list_kills_setown_ex, list_kills_setsig };

	(void)state;
	/* The sanitizers' run-time libraries make calls that no list has. */
	if (UNIT_SANITIZED)
		skip();
	test_pid = getpid();
	for (list = lists; list < lists + sizeof(lists) / sizeof(*lists); list++) {
		int status = in_child(list_allows_self);

		if (status)
			fail_msg("%s: %#x", list->name, status);
		for (size_t i = 0; i < sizeof(killed) / sizeof(*killed); i++) {
			status = in_child(killed[i]);
			if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
				fail_msg("%s: call %zu: %#x", list->name, i, status);
		}
	}
}

static void user_0_becomes_nobody(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	test_pid = getpid();
	assert_int_equal(in_child(other_user), 0);
	assert_int_equal(in_child(worker_user), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_go),
		cmocka_unit_test(no_path_leads_anywhere),
		cmocka_unit_test(few_paths_lead_somewhere),
		cmocka_unit_test(the_filter_holds),
		cmocka_unit_test(no_list_lets_signal_others),
		cmocka_unit_test(user_0_becomes_nobody),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
