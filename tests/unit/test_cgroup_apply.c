/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.resources to the files of a cgroup of the host's, for which a directory of files stands. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "cgroup.h"
#include "oci/oci_spec.h"

static int dir = -1;
static char dir_path[] = "/tmp/krun-gpu-cgroup-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(strcpy(dir_path, "/tmp/krun-gpu-cgroup-XXXXXX")))
		return -1;
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int remove_dir(void **state)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;

	(void)state;
	while (d && (e = readdir(d)))
		if (*e->d_name != '.')
			unlinkat(dir, e->d_name, 0);
	if (d)
		closedir(d);
	return rmdir(dir_path);
}

/* The cgroup has @file, which is empty. */
static void has(const char *file)
{
	cleanup_close int fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static void says(const char *file, const char *expected)
{
	cleanup_close int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = fd < 0 ? NULL : fd_read_file(fd, 4096, NULL);

	assert_non_null(text);
	assert_string_equal(text, expected);
}

static void apply(const struct oci_resources *r, uint64_t memory_max)
{
	cleanup_error struct error *err = NULL;

	if (cgroup_apply(dir, r, memory_max, &err) < 0)
		fail_msg("%s", error_msg(err));
}

static void refused(const struct oci_resources *r, const char *why)
{
	cleanup_error struct error *err = NULL;

	assert_int_equal(cgroup_apply(dir, r, 0, &err), -1);
	if (!strstr(error_msg(err), why))
		fail_msg("%s", error_msg(err));
}

static void nothing_is_written_for_nothing(void **state)
{
	const struct oci_resources r = { 0 };

	(void)state;
	apply(&r, 0);
}

static void throttles_name_the_device(void **state)
{
	static const struct {
		enum oci_throttle_kind kind;
		const char *file, *text, *field;
	} cases[] = {
		{ OCI_THROTTLE_READ_BPS, "io.max", "8:16 rbps=77", "throttleReadBpsDevice" },
		{ OCI_THROTTLE_WRITE_BPS, "io.max", "8:16 wbps=77", "throttleWriteBpsDevice" },
		{ OCI_THROTTLE_READ_IOPS, "io.max", "8:16 riops=77", "throttleReadIOPSDevice" },
		{ OCI_THROTTLE_WRITE_IOPS, "io.max", "8:16 wiops=77", "throttleWriteIOPSDevice" },
		{ OCI_THROTTLE_WEIGHT, "io.bfq.weight", "8:16 77", "weightDevice" },
	};
	struct oci_throttle item = { 8, 16, 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct oci_resources r = { 0 };

		r.throttle[cases[i].kind] = (struct oci_throttles){ &item, 1 };
		refused(&r, cases[i].field);
		refused(&r, "the host's cgroup has no io.");
		has(cases[i].file);
		apply(&r, 0);
		says(cases[i].file, cases[i].text);
		unlinkat(dir, cases[i].file, 0);
		assert_string_equal(cgroup_needed(&r), "blockIO");
	}
}

static void weights_are_converted(void **state)
{
	static const struct {
		uint32_t weight;
		const char *text;
	} cases[] = { { 10, "1" }, { 500, "4950" }, { 1000, "10000" } };
	struct oci_resources r = { .blkio_weight = 500 };

	(void)state;
	refused(&r, "linux.resources.blockIO.weight: the host's cgroup has no io.weight");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		r.blkio_weight = cases[i].weight;
		has("io.weight");
		apply(&r, 0);
		says("io.weight", cases[i].text);
	}
	/* BFQ counts as the specification does, and is asked first. */
	has("io.weight");
	has("io.bfq.weight");
	apply(&r, 0);
	says("io.bfq.weight", "1000");
	says("io.weight", "");
}

static void cpusets(void **state)
{
	struct oci_resources r = { .cpus = (char *)"0-3,7" };

	(void)state;
	refused(&r, "linux.resources.cpu.cpus: the host's cgroup has no cpuset.cpus");
	has("cpuset.cpus");
	r.mems = (char *)"1";
	refused(&r, "linux.resources.cpu.mems: the host's cgroup has no cpuset.mems");
	has("cpuset.cpus");
	has("cpuset.mems");
	apply(&r, 0);
	says("cpuset.cpus", "0-3,7");
	says("cpuset.mems", "1");
	r.cpus = r.mems = (char *)"";
	apply(&r, 0);
	says("cpuset.cpus", "0-3,7");
	assert_null(cgroup_needed(&r));
	r.mems = (char *)"0";
	assert_string_equal(cgroup_needed(&r), "cpu.cpus");
}

static void processor_time(void **state)
{
	struct oci_resources r = { .cpu_burst = 5000 };

	(void)state;
	refused(&r, "linux.resources.cpu.burst: the host's cgroup has no cpu.max.burst");
	assert_string_equal(cgroup_needed(&r), "cpu.burst");
	r = (struct oci_resources){ .has_cpu_idle = true, .cpu_idle = 1 };
	refused(&r, "linux.resources.cpu.idle: the host's cgroup has no cpu.idle");
	assert_string_equal(cgroup_needed(&r), "cpu.idle");
	r.cpu_idle = 0;
	assert_null(cgroup_needed(&r));
	r = (struct oci_resources){ .cpu_burst = 5000, .has_cpu_idle = true, .cpu_idle = 1,
				    .cpu_quota = 20000, .cpu_shares = 1024 };
	has("cpu.max.burst");
	has("cpu.idle");
	has("cpu.max");
	has("cpu.weight");
	apply(&r, 0);
	says("cpu.max.burst", "5000");
	says("cpu.idle", "1");
	says("cpu.max", "20000 100000");
	says("cpu.weight", "39");
	/* A period without a quota is no limit. */
	r = (struct oci_resources){ .cpu_period = 7000 };
	has("cpu.max");
	apply(&r, 0);
	says("cpu.max", "max 7000");
}

static void memory(void **state)
{
	struct oci_resources r = { .has_memory_limit = true, .memory_limit = 1000,
				   .has_memory_swap = true, .memory_swap = 1500 };

	(void)state;
	assert_string_equal(cgroup_needed(&r), "memory.swap");
	has("memory.max");
	has("memory.swap.max");
	apply(&r, 9000);
	says("memory.max", "9000");
	says("memory.swap.max", "500");
	r.memory_swap = -1;
	assert_null(cgroup_needed(&r));
	has("memory.swap.max");
	apply(&r, 0);
	says("memory.swap.max", "max");
	/* For a limit that stays as it is: `update --memory-swap` */
	r = (struct oci_resources){ .memory_limit = 1000, .has_memory_swap = true,
				    .memory_swap = 1000 };
	has("memory.swap.max");
	apply(&r, 0);
	says("memory.swap.max", "0");
	/* The reservation is for the container's processes: it is kept in the guest. */
	r = (struct oci_resources){ .has_memory_reservation = true, .memory_reservation = 7 };
	apply(&r, 0);
	assert_null(cgroup_needed(&r));
}

static void processes(void **state)
{
	struct oci_resources r = { .pids_limit = 10 };

	(void)state;
	apply(&r, 0);
	has("pids.max");
	apply(&r, 0);
	says("pids.max", "522");
	r.pids_limit = -1;
	has("pids.max");
	apply(&r, 0);
	says("pids.max", "max");
}

static void unified_keys_go_where_they_are_kept(void **state)
{
	struct oci_pair all[] = {
		{ (char *)"memory.high", (char *)"1" },	    { (char *)"pids.max", (char *)"2" },
		{ (char *)"hugetlb.2MB.max", (char *)"3" }, { (char *)"memory.swap.max", (char *)"4" },
		{ (char *)"memory.zswap.max", (char *)"5" }, { (char *)"cpu.weight", (char *)"6" },
	};
	struct oci_pair outside = { (char *)"../x", (char *)"1" };
	struct oci_resources r = { .unified = all, .num_unified = 3 };

	(void)state;
	apply(&r, 0);
	assert_null(cgroup_needed(&r));
	r.num_unified = 6;
	assert_string_equal(cgroup_needed(&r), "unified");
	refused(&r, "linux.resources.unified: the host's cgroup has no memory.swap.max");
	has("memory.swap.max");
	has("memory.zswap.max");
	has("cpu.weight");
	apply(&r, 0);
	says("memory.swap.max", "4");
	says("memory.zswap.max", "5");
	says("cpu.weight", "6");
	r = (struct oci_resources){ .unified = &outside, .num_unified = 1 };
	refused(&r, "linux.resources.unified: ../x is not the name of a cgroup file");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_written_for_nothing),
		TEST(throttles_name_the_device),
		TEST(weights_are_converted),
		TEST(cpusets),
		TEST(processor_time),
		TEST(memory),
		TEST(processes),
		TEST(unified_keys_go_where_they_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
