/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of systemd's managers is asked for a scope, and what it is told: a script stands for busctl. */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "cgroup_systemd.h"
#include "oci/arena.h"
#include "rootless.h"

static char dir[] = "/tmp/krun-gpu-systemd-XXXXXX";
static char busctl[64], said[64];

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int make_dir(void **state)
{
	char script[256];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(busctl, sizeof(busctl), "%s/busctl", dir);
	snprintf(said, sizeof(said), "%s/said", dir);
	snprintf(script, sizeof(script), "#!/bin/sh\nfor a; do printf '<%%s>' \"$a\"; done >%s\n", said);
	write_file(busctl, script);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(busctl);
	unlink(said);
	return rmdir(dir);
}

static char *start(bool user)
{
	const struct systemd_scope scope = { (char *)"a.slice", (char *)"b-c.scope", user };
	cleanup_close int fd = -1;

	assert_int_equal(systemd_scope_start(&scope, busctl, 4711, NULL), 0);
	fd = open(said, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd_read_file(fd, 4096, NULL);
}

static void the_manager_and_the_properties(void **state)
{
	cleanup_free char *system = start(false), *user = start(true);

	(void)state;
	assert_string_equal(system,
			    "<--system><--quiet><call><org.freedesktop.systemd1>"
			    "</org/freedesktop/systemd1><org.freedesktop.systemd1.Manager>"
			    "<StartTransientUnit><ssa(sv)a(sa(sv))><b-c.scope><fail><6>"
			    "<Description><s><krun-gpu container b-c.scope><Slice><s><a.slice>"
			    "<Delegate><b><true><DefaultDependencies><b><false>"
			    "<CollectMode><s><inactive-or-failed><PIDs><au><1><4711><0>");
	assert_memory_equal(user, "<--user><--quiet><call>", 23);
	assert_string_equal(strchr(user, '>'), strchr(system, '>'));
}

static void what_it_complains_of_is_told(void **state)
{
	const struct systemd_scope scope = { (char *)"a.slice", (char *)"b-c.scope", false };
	cleanup_error struct error *err = NULL;

	(void)state;
	write_file(busctl, "#!/bin/sh\necho Access denied >&2\nexit 1\n");
	assert_int_equal(systemd_scope_start(&scope, busctl, 1, &err), -1);
	assert_string_equal(error_msg(err), "systemd does not make a scope: Access denied");
	assert_int_equal(systemd_scope_start(&scope, "/no/such/busctl", 1, &err), -1);
	assert_non_null(strstr(error_msg(err), "/no/such/busctl: No such file or directory"));
}

static void write_map(const char *file, unsigned int outside)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", outside);
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		_exit(77);
	close(fd);
}

/* 0: root of a namespace asks the user's manager; 77: this user may not make one */
static int ask_in_user_namespace(void)
{
	cleanup_arena struct arena a = { NULL };
	const unsigned int uid = geteuid();
	struct systemd_scope scope;

	if (unshare(CLONE_NEWUSER) < 0)
		return 77;
	write_map("/proc/self/uid_map", uid);
	if (geteuid() || rootless_is_host_root())
		return 1;
	if (systemd_scope_parse(NULL, "id", &a, &scope, NULL) < 0)
		return 2;
	return scope.user && !strcmp(scope.slice, "user.slice") ? 0 : 3;
}

static void root_of_a_user_namespace_asks_the_users(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid)
		_exit(ask_in_user_namespace());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void who_is_not_root_asks_the_users(void **state)
{
	cleanup_arena struct arena a = { NULL };
	struct systemd_scope scope;

	(void)state;
	assert_int_equal(systemd_scope_parse("", "id", &a, &scope, NULL), 0);
	assert_int_equal(scope.user, !rootless_is_host_root());
	assert_string_equal(scope.slice, scope.user ? "user.slice" : "system.slice");
	if (geteuid())
		assert_true(scope.user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_and_the_properties),
		cmocka_unit_test(what_it_complains_of_is_told),
		cmocka_unit_test(root_of_a_user_namespace_asks_the_users),
		cmocka_unit_test(who_is_not_root_asks_the_users),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
