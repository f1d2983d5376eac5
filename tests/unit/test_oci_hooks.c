/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/oci_hooks.h"

/* Runs one shell hook at @point; its text may use $OUT. */
static int run(enum oci_hook_point point, const char *script, uint32_t timeout, struct error **err)
{
	char *args[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	char *env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"OUT=/tmp", NULL };
	struct oci_hook hook = { (char *)"/bin/sh", args, env, timeout };
	struct oci_spec spec = { 0 };

	spec.hooks[point] = (struct oci_hooks){ &hook, 1 };
	return oci_hooks_run(&spec, point, "{\"id\":\"c\"}", err);
}

static void a_hook_reads_the_state_and_has_its_own_environment(void **state)
{
	cleanup_error struct error *err = NULL;

	(void)state;
	setenv("LEAK", "1", 1);
	if (run(OCI_HOOK_PRESTART, "read s; [ \"$s\" = '{\"id\":\"c\"}' ] || [ -z \"$s\" ] || exit 9;"
		" [ -z \"$LEAK\" ] && [ \"$OUT\" = /tmp ]", 0, &err) < 0)
		fail_msg("%s", error_msg(err));
	assert_int_equal(run(OCI_HOOK_PRESTART, "[ \"$(cat)\" = '{\"id\":\"c\"}' ]", 5, NULL), 0);
}

static void a_failing_hook_is_named_with_what_it_said(void **state)
{
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_int_equal(run(OCI_HOOK_CREATE_RUNTIME, "echo no luck >&2; exit 3", 0, &err), -1);
	assert_string_equal(error_msg(err),
			    "hooks.createRuntime[0]: /bin/sh ended with code 3: no luck");
	assert_int_equal(run(OCI_HOOK_CREATE_CONTAINER, "kill -9 $$", 0, &err), -1);
	assert_string_equal(error_msg(err),
			    "hooks.createContainer[0]: /bin/sh was ended by signal 9");
}

static void late_hooks_only_warn(void **state)
{
	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(run(OCI_HOOK_POSTSTART, "exit 1", 0, NULL), 0);
	assert_int_equal(run(OCI_HOOK_POSTSTOP, "exit 1", 0, NULL), 0);
}

static void a_hook_that_hangs_is_ended(void **state)
{
	cleanup_error struct error *err = NULL;
	time_t begin = time(NULL);

	(void)state;
	assert_int_equal(run(OCI_HOOK_PRESTART, "exec sleep 30", 1, &err), -1);
	assert_string_equal(error_msg(err), "hooks.prestart[0]: /bin/sh did not end within 1 s");
	assert_true(time(NULL) - begin < 10);
}

static void a_hook_that_is_not_there(void **state)
{
	struct oci_hook hook = { .path = (char *)"/no/such/hook" };
	struct oci_spec spec = { 0 };
	cleanup_error struct error *err = NULL;

	(void)state;
	spec.hooks[OCI_HOOK_PRESTART] = (struct oci_hooks){ &hook, 1 };
	assert_int_equal(oci_hooks_run(&spec, OCI_HOOK_PRESTART, "{}", &err), -1);
	assert_non_null(strstr(error_msg(err), "/no/such/hook ended with code 127: No such file"));
}

static void no_file_of_ours_reaches_a_hook(void **state)
{
	int fd = open("/dev/null", O_RDONLY); /* not close-on-exec */

	(void)state;
	assert_true(fd > 2);
	assert_int_equal(run(OCI_HOOK_PRESTART, "for f in /proc/self/fd/*; do case ${f##*/} in "
			     "[0-2]) ;; *) [ -e \"$f\" ] && exit 1 ;; esac; done; exit 0", 0, NULL), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_reads_the_state_and_has_its_own_environment),
		cmocka_unit_test(a_failing_hook_is_named_with_what_it_said),
		cmocka_unit_test(late_hooks_only_warn),
		cmocka_unit_test(a_hook_that_hangs_is_ended),
		cmocka_unit_test(a_hook_that_is_not_there),
		cmocka_unit_test(no_file_of_ours_reaches_a_hook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
