/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int log_pipe[2];
static char got[8192];

static const char *logged(void)
{
	ssize_t n = read(log_pipe[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = 0;
	return got;
}

static void text_has_the_name_and_one_line(void **state)
{
	(void)state;
	log_init("unit", log_pipe[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	log_error("a\nb\033[31m%s", "\"q\"");
	assert_string_equal(logged(), "unit: a\\u000ab\\u001b[31m\"q\"\n");
}

static void json_is_runc_shaped_and_escaped(void **state)
{
	(void)state;
	log_init("unit", log_pipe[1], LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_warning("say \"hi\" \\ \t");
	logged();
	assert_non_null(strstr(got, "{\"level\":\"warning\",\"msg\":\"say \\\"hi\\\" \\\\ \\u0009\",\"time\":\""));
	assert_true(got[strlen(got) - 1] == '\n');
}

static void levels_are_filtered(void **state)
{
	(void)state;
	log_init("unit", log_pipe[1], LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	log_info("not seen");
	log_error("seen");
	assert_string_equal(logged(), "unit: seen\n");
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud"), -1);
}

static void overlong_text_is_cut(void **state)
{
	char text[6000];

	(void)state;
	memset(text, 1, sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_init("unit", log_pipe[1], LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_error("%s", text);
	assert_true(strlen(logged()) < 8192);
	assert_int_equal(got[strlen(got) - 1], '\n');
	assert_non_null(strstr(got, "\"time\":"));
}

static void guests_are_rate_limited(void **state)
{
	struct log_ratelimit rl = { 0 };
	int ok = 0;

	(void)state;
	for (int i = 0; i < 1000; i++)
		ok += log_ratelimit_ok(&rl);
	assert_true(ok >= 10 && ok <= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_has_the_name_and_one_line),
		cmocka_unit_test(json_is_runc_shaped_and_escaped),
		cmocka_unit_test(levels_are_filtered),
		cmocka_unit_test(overlong_text_is_cut),
		cmocka_unit_test(guests_are_rate_limited),
	};

	if (pipe(log_pipe) < 0)
		return 1;
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
