/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of thousands of broken configurations (config_cases.h), as far as they go without a
 * machine: each is refused with a sentence, or comes to a plan, sizes, cgroup files and a description
 * that the agent can read. With sanitizers, all memory errors on the way are failures.
 *
 * CONFIG_CASES sets how many cases at random follow the ordered ones, CONFIG_SEED where they begin.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/wire.h"
#include "cgroup.h"
#include "config_cases.h"
#include "launch_guest.h"
#include "launch_plan.h"
#include "launch_size.h"
#include "net_collect.h"
#include "oci/oci_json.h"
#include "oci/oci_spec.h"
#include "oci/oci_state.h"

#define RANDOM_CASES 3000
#define MESSAGE_MAX (4u << 20)

static char bundle[] = "/tmp/krun-gpu-cases-XXXXXX";
static char what[1024];

/* A configuration without a name in the file system. */
static int load(const char *text, size_t len, struct oci_spec *spec, struct error **err)
{
	cleanup_close int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, len), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return oci_spec_load(AT_FDCWD, path, spec, err);
}

static int describe(struct oci_spec *spec, struct wire_writer *w, struct error **err)
{
	const struct net_found net = { 0 };
	struct oci_state state = { .id = (char *)"id", .bundle = bundle };
	struct launch_plan plan;
	struct launch_size size;
	cleanup_free char *json = NULL;
	cleanup_yajl yajl_val tree = NULL;

	if (launch_plan(spec, bundle, &spec->arena, &plan, err) < 0 ||
	    launch_size(spec, plan.gpu, &size, err) < 0 ||
	    !cgroup_path(spec->cgroups_path, "id", &spec->arena, err))
		return -1;
	assert_true(size.ram_bytes >= 128u << 20 && size.ram_bytes <= 1ull << 42);
	assert_true(size.vcpus >= 1 && size.vcpus <= 64);
	cgroup_needed(&spec->resources);
	json = oci_state_json(&state, spec);
	assert_non_null(json);
	tree = json_parse(json, "state", err);
	if (!tree)
		fail_msg("%s: hooks would be told what is no JSON: %s", what, error_msg(*err));
	return launch_guest_encode(spec, &plan, &net, json, true, &spec->arena, w, err);
}

/* The agent reads in its own process what is written here. */
static void read_back(const struct wire_writer *w)
{
	struct agent_container c = { 0 };
	struct wire_reader r = WIRE_READER(w->data, w->len);

	if (agent_container_decode(&r, &c) < 0)
		fail_msg("%s: the agent could not read it", what);
	agent_container_release(&c);
}

/* 1: it would be started, 0: it is refused */
static int try_case(const char *text, size_t len)
{
	cleanup_error struct error *err = NULL;
	cleanup_wire struct wire_writer w = { 0 };
	struct oci_spec spec = { 0 };
	int r = load(text, len, &spec, &err);

	/* What is created and never started has nothing to be described. */
	if (!r && !spec.has_process) {
		oci_spec_release(&spec);
		return 0;
	}
	if (!r)
		r = describe(&spec, &w, &err);
	if (!r)
		read_back(&w);
	oci_spec_release(&spec);
	if (!r && err)
		fail_msg("%s: accepted, with an error: %s", what, err->msg);
	if (r < 0 && (!err || strlen(err->msg) < 8))
		fail_msg("%s: refused without a sentence", what);
	return r == 0;
}

static struct config_cases *open_cases(void)
{
	const char *srcdir = getenv("srcdir");
	struct config_cases *cases;
	cleanup_close int fd = -1;
	cleanup_free char *text = NULL;
	char path[PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/tests/unit/config.json", srcdir ? srcdir : ".");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	text = fd < 0 ? NULL : fd_read_file(fd, MESSAGE_MAX, &len);
	if (!text)
		fail_msg("cannot read %s: %s", path, strerror(errno));
	strcpy(what, "the good one");
	assert_int_equal(try_case(text, len), 1);
	cases = config_cases_open(text);
	assert_non_null(cases);
	return cases;
}

static uint64_t run_cases(struct config_cases *cases, uint64_t from, uint64_t to)
{
	uint64_t accepted = 0;

	for (uint64_t i = from; i < to; i++) {
		cleanup_free char *text = NULL;
		size_t len;

		text = config_case(cases, i, what, sizeof(what), &len);
		accepted += (uint64_t)try_case(text, len);
	}
	return accepted;
}

static void each_value_is_replaced_by_everything(void **state)
{
	struct config_cases *cases = open_cases();
	const uint64_t count = config_cases_count(cases);
	uint64_t accepted;

	(void)state;
	accepted = run_cases(cases, 0, count);
	print_message("# %llu cases, %llu would be started\n", (unsigned long long)count,
		      (unsigned long long)accepted);
	/* Both have to happen, or the cases are not what they are meant to be. */
	assert_true(count > 10000 && accepted > count / 50 && accepted < count / 2);
	config_cases_close(cases);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void several_at_random(void **state)
{
	struct config_cases *cases = open_cases();
	const uint64_t count = setting("CONFIG_CASES", RANDOM_CASES);
	const uint64_t from = config_cases_count(cases) + setting("CONFIG_SEED", 0);
	uint64_t accepted;

	(void)state;
	accepted = run_cases(cases, from, from + count);
	print_message("# %llu cases, %llu would be started\n", (unsigned long long)count,
		      (unsigned long long)accepted);
	config_cases_close(cases);
}

/* The same number is the same text, in whatever order they are asked for. */
static void cases_repeat(void **state)
{
	struct config_cases *cases = open_cases();
	const uint64_t last = config_cases_count(cases) + 1234;

	(void)state;
	for (uint64_t i = 3; i < last; i += last / 17) {
		cleanup_free char *one = NULL, *other = NULL, *two = NULL;
		size_t len, other_len;

		one = config_case(cases, i, what, sizeof(what), &len);
		other = config_case(cases, i + 1, what, sizeof(what), &other_len);
		assert_false(len == other_len && !memcmp(one, other, len));
		two = config_case(cases, i, what, sizeof(what), &other_len);
		assert_int_equal(len, other_len);
		assert_memory_equal(one, two, len);
	}
	config_cases_close(cases);
}

static int set_up(void **state)
{
	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	return mkdtemp(bundle) && !chdir(bundle) && !mkdir("vol", 0755) && !mkdir("rootfs", 0755) ?
		       0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir("vol") || rmdir("rootfs") || chdir("/") || rmdir(bundle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases_repeat),
		cmocka_unit_test(each_value_is_replaced_by_everything),
		cmocka_unit_test(several_at_random),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
