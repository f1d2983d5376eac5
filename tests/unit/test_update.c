/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `update` is told, and how that is completed by what is in force. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "update_limits.h"
#include "update_options.h"

/* `update` with up to two options, and an id. */
static int parse(struct update_options *u, const char *one, const char *two, struct error **err)
{
	char *argv[] = { (char *)"update", (char *)one, (char *)(two ? two : "c1"),
			 two ? (char *)"c1" : NULL, NULL };

	*u = (struct update_options){ 0 };
	return update_options_parse(u, two ? 4 : 3, argv, err);
}

static void zero_is_not_asked(void **state)
{
	static const char *const options[] = { "--memory=0", "--memory-reservation=0",
					       "--memory-swap=0" };
	struct update_options u;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(parse(&u, options[i], NULL, NULL), 2);
		assert_false(u.r.has_memory_limit || u.r.has_memory_reservation ||
			     u.r.has_memory_swap);
	}
	assert_int_equal(parse(&u, "--memory=5m", "--memory-swap=-1", NULL), 3);
	assert_true(u.r.has_memory_limit && u.r.has_memory_swap);
	assert_false(u.r.has_memory_reservation);
	assert_int_equal(u.r.memory_limit, 5 << 20);
	assert_int_equal(u.r.memory_swap, -1);
	assert_int_equal(parse(&u, "--memory-reservation=7", NULL, NULL), 2);
	assert_true(u.r.has_memory_reservation);
}

static void bad_values_are_named(void **state)
{
	static const struct {
		const char *option, *why;
	} bad[] = {
		{ "--memory=x", "--memory: expected a number of bytes" },
		{ "--memory=-2", "--memory: expected" },
		{ "--memory=9223372036854775807g", "--memory: expected" },
		{ "--cpu-period=-1", "--cpu-period: expected" },
		{ "--blkio-weight=5", "--blkio-weight: expected a number from 10" },
		{ "--resources=/no/such/file", "cannot read /no/such/file" },
	};
	struct update_options u;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cleanup_error struct error *err = NULL;

		assert_int_equal(parse(&u, bad[i].option, NULL, &err), -1);
		if (!strstr(error_msg(err), bad[i].why))
			fail_msg("%s: %s", bad[i].option, error_msg(err));
		arena_release(&u.arena);
	}
}

static void json_is_read(void **state)
{
	static const char text[] = "{\"memory\":{\"limit\":0,\"reservation\":5,"
				   "\"checkBeforeUpdate\":true},\"cpu\":{\"period\":7}}";
	char path[] = "/tmp/krun-gpu-update-XXXXXX", option[64];
	struct update_options u;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(option, sizeof(option), "--resources=%s", path);
	assert_int_equal(parse(&u, option, NULL, NULL), 2);
	unlink(path);
	assert_false(u.r.has_memory_limit);
	assert_true(u.r.has_memory_reservation && u.r.memory_check_before_update);
	assert_int_equal(u.r.cpu_period, 7);
	arena_release(&u.arena);
}

static struct oci_resources complete_cpu(int64_t quota, uint64_t period, const char *cpu_max)
{
	const struct update_present now = { cpu_max, UINT64_MAX, 0 };
	struct oci_resources r = { .cpu_quota = quota, .cpu_period = period };

	assert_int_equal(update_limits_complete(&r, &now, NULL), 0);
	return r;
}

static void half_a_quota_keeps_the_other(void **state)
{
	struct oci_resources r;

	(void)state;
	r = complete_cpu(0, 50000, "150000 100000\n");
	assert_int_equal(r.cpu_quota, 150000);
	assert_int_equal(r.cpu_period, 50000);
	r = complete_cpu(20000, 0, "150000 40000\n");
	assert_int_equal(r.cpu_quota, 20000);
	assert_int_equal(r.cpu_period, 40000);
	r = complete_cpu(-1, 0, "150000 40000\n");
	assert_int_equal(r.cpu_quota, -1);
	assert_int_equal(r.cpu_period, 40000);
	r = complete_cpu(0, 50000, "max 100000\n");
	assert_int_equal(r.cpu_quota, -1);
	assert_int_equal(r.cpu_period, 50000);
	r = complete_cpu(0, 0, "150000 100000\n");
	assert_int_equal(r.cpu_quota, 0);
	assert_int_equal(r.cpu_period, 0);
	r = complete_cpu(1000, 2000, "150000 100000\n");
	assert_int_equal(r.cpu_quota, 1000);
	assert_int_equal(r.cpu_period, 2000);
}

/* The text may be a guest's. */
static void nonsense_completes_nothing(void **state)
{
	static const char *const texts[] = { NULL, "", "max", "max ", "x y", "5", "5 0", "-5 7",
					     "99999999999999999999 100000", "0 100000",
					     "18446744073709551615 100000" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct oci_resources r = complete_cpu(0, 50000, texts[i]);

		assert_int_equal(r.cpu_quota, 0);
	}
}

static void swap_is_for_a_limit(void **state)
{
	const struct update_present limited = { NULL, 100, 0 }, unlimited = { NULL, UINT64_MAX, 0 };
	struct oci_resources r = { .has_memory_swap = true, .memory_swap = 150 };
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_true(update_needs_memory(&r));
	assert_int_equal(update_limits_complete(&r, &limited, NULL), 0);
	assert_int_equal(r.memory_limit, 100);
	assert_false(r.has_memory_limit);
	r.memory_limit = 0;
	assert_int_equal(update_limits_complete(&r, &unlimited, &err), -1);
	assert_non_null(strstr(error_msg(err), "has no memory.limit"));
	r = (struct oci_resources){ .has_memory_swap = true, .memory_swap = 99 };
	assert_int_equal(update_limits_complete(&r, &limited, &err), -1);
	assert_non_null(strstr(error_msg(err), "is below memory.limit, which is 100"));
	r = (struct oci_resources){ .has_memory_swap = true, .memory_swap = -1 };
	assert_false(update_needs_memory(&r));
	assert_int_equal(update_limits_complete(&r, &unlimited, NULL), 0);
	r = (struct oci_resources){ .has_memory_swap = true, .memory_swap = 300,
				    .has_memory_limit = true, .memory_limit = 200 };
	assert_int_equal(update_limits_complete(&r, &limited, NULL), 0);
	assert_int_equal(r.memory_limit, 200);
	r.memory_limit = -1;
	assert_int_equal(update_limits_complete(&r, &limited, NULL), -1);
}

static void usage_is_checked_when_asked(void **state)
{
	const struct update_present now = { NULL, UINT64_MAX, 100 };
	struct oci_resources r = { .has_memory_limit = true, .memory_limit = 99 };
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_false(update_needs_memory(&r));
	assert_int_equal(update_limits_complete(&r, &now, NULL), 0);
	r.memory_check_before_update = true;
	assert_true(update_needs_memory(&r));
	assert_int_equal(update_limits_complete(&r, &now, &err), -1);
	assert_non_null(strstr(error_msg(err), "memory.checkBeforeUpdate"));
	r.memory_limit = 100;
	assert_int_equal(update_limits_complete(&r, &now, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_not_asked),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(json_is_read),
		cmocka_unit_test(half_a_quota_keeps_the_other),
		cmocka_unit_test(nonsense_completes_nothing),
		cmocka_unit_test(swap_is_for_a_limit),
		cmocka_unit_test(usage_is_checked_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
