/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/msg.h"
#include "base/wire.h"

static void what_is_put_is_got(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	char *strv[] = { (char *)"a", (char *)"", (char *)"ccc", NULL };
	struct wire_reader r;
	cleanup_free char *s = NULL;
	char **v;
	size_t len;

	(void)state;
	wire_put_u8(&w, 0xfe);
	wire_put_u32(&w, 0xdeadbeef);
	wire_put_u64(&w, UINT64_MAX - 1);
	wire_put_str(&w, "héllo");
	wire_put_strv(&w, strv);
	wire_put_bytes(&w, "\0\1", 2);
	assert_false(w.failed);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(wire_get_u8(&r), 0xfe);
	assert_int_equal(wire_get_u32(&r), 0xdeadbeef);
	assert_true(wire_get_u64(&r) == UINT64_MAX - 1);
	s = wire_get_str(&r);
	assert_string_equal(s, "héllo");
	v = wire_get_strv(&r);
	assert_string_equal(v[0], "a");
	assert_string_equal(v[1], "");
	assert_string_equal(v[2], "ccc");
	assert_null(v[3]);
	wire_strv_free(v);
	assert_memory_equal(wire_get_bytes(&r, &len), "\0\1", 2);
	assert_int_equal(len, 2);
	assert_true(wire_done(&r));
}

static void every_truncation_fails(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	char *strv[] = { (char *)"one", (char *)"two", NULL };

	(void)state;
	wire_put_u32(&w, 5);
	wire_put_strv(&w, strv);
	wire_put_u64(&w, 1);
	for (size_t cut = 0; cut < w.len; cut++) {
		char *copy = malloc(cut + 1);
		struct wire_reader r = WIRE_READER(copy, cut);

		memcpy(copy, w.data, cut);
		wire_get_u32(&r);
		wire_strv_free(wire_get_strv(&r));
		wire_get_u64(&r);
		assert_true(r.failed);
		assert_false(wire_done(&r));
		free(copy);
	}
}

static void hostile_lengths_fail(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct wire_reader r;
	size_t len;

	(void)state;
	wire_put_u32(&w, 0xffffffff);
	r = WIRE_READER(w.data, w.len);
	assert_null(wire_get_bytes(&r, &len));
	assert_int_equal(len, 0);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(wire_get_count(&r, 8), 0);
	assert_true(r.failed);
	r = WIRE_READER(w.data, w.len);
	assert_null(wire_get_strv(&r));
	assert_true(r.failed);
}

static void a_string_with_a_nul_inside_fails(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct wire_reader r;

	(void)state;
	wire_put_bytes(&w, "a\0b", 3);
	r = WIRE_READER(w.data, w.len);
	assert_null(wire_get_str(&r));
	assert_true(r.failed);
}

static void a_writer_has_a_limit(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	cleanup_free char *large = calloc(1, MSG_PAYLOAD_MAX);

	(void)state;
	wire_put_bytes(&w, large, MSG_PAYLOAD_MAX);
	assert_true(w.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_got),
		cmocka_unit_test(every_truncation_fails),
		cmocka_unit_test(hostile_lengths_fail),
		cmocka_unit_test(a_string_with_a_nul_inside_fails),
		cmocka_unit_test(a_writer_has_a_limit),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
