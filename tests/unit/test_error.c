/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void set_adds_the_errno_text(void **state)
{
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_int_equal(error_set(&err, ENOENT, "cannot open %s", "x"), -1);
	assert_int_equal(err->code, ENOENT);
	assert_string_equal(error_msg(err), "cannot open x: No such file or directory");
}

static void set_replaces_and_zero_code_adds_nothing(void **state)
{
	cleanup_error struct error *err = NULL;

	(void)state;
	error_set(&err, EIO, "first");
	error_set(&err, 0, "second");
	assert_int_equal(err->code, 0);
	assert_string_equal(err->msg, "second");
}

static void wrap_puts_context_before(void **state)
{
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_int_equal(error_wrap(&err, "nothing to wrap"), -1);
	assert_null(err);
	error_set(&err, EPERM, "inner");
	error_wrap(&err, "outer %d", 1);
	assert_string_equal(err->msg, "outer 1: inner: Operation not permitted");
	assert_int_equal(err->code, EPERM);
}

static void null_is_not_interested(void **state)
{
	struct error *from = NULL;

	(void)state;
	assert_int_equal(error_set(NULL, EIO, "x"), -1);
	assert_int_equal(error_wrap(NULL, "x"), -1);
	error_set(&from, 0, "x");
	assert_int_equal(error_move(NULL, &from), -1);
	assert_null(from);
}

static void move_hands_over(void **state)
{
	cleanup_error struct error *to = NULL;
	struct error *from = NULL;

	(void)state;
	error_set(&to, 0, "old");
	error_set(&from, 0, "new");
	error_move(&to, &from);
	assert_null(from);
	assert_string_equal(to->msg, "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_adds_the_errno_text),
		cmocka_unit_test(set_replaces_and_zero_code_adds_nothing),
		cmocka_unit_test(wrap_puts_context_before),
		cmocka_unit_test(null_is_not_interested),
		cmocka_unit_test(move_hands_over),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
