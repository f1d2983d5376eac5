/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a container uses of a GPU, by the word of a /proc made of files. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "gpu_usage.h"
#include "unit.h"

static char top[64], proc[80];
static int state_dir = -1;

static void put(const char *dir, const char *name, const void *text, size_t len)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void put_text(const char *name, const char *text)
{
	put(proc, name, text, strlen(text));
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-usage-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(proc, sizeof(proc), "%s/proc", top);
	state_dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* 100 ticks a second: 1.5 s, 0.5 s of which of processes that have ended. A guest chose the
	 * name. */
	put_text("20/stat", "20 (a) b) (c) S 1 1 1 0 -1 4194304 1 0 0 0 60 40 30 20 20 0 1 0");
	put_text("21/stat", "21 (virgl) S 1 1 1 0 -1 4194304 1 0 0 0 100 0 0 0 20 0 1 0");
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	close(state_dir);
	return nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_counts(uint64_t version)
{
	const struct gpu_stats s = { .version = version, .contexts = 2, .blobs = 7,
				     .blob_bytes = 12345, .fences = 1 };

	put(top, GPU_STATS_FILE, &s, sizeof(s));
}

static int read_usage(struct gpu_usage *out)
{
	static const pid_t pids[] = { 20, 21, 22 }; /* the last has gone */
	struct error *err = NULL;
	int r = gpu_usage_read(state_dir, proc, pids, 3, out, &err);

	error_free(&err);
	return r;
}

static void test_no_gpu(void **state)
{
	struct gpu_usage u;

	(void)state;
	assert_int_equal(read_usage(&u), 0);
}

static void test_counts_of_another_version(void **state)
{
	struct gpu_usage u;

	(void)state;
	put_counts(GPU_STATS_VERSION + 1);
	assert_int_equal(read_usage(&u), -1);
	put(top, GPU_STATS_FILE, "short", 5);
	assert_int_equal(read_usage(&u), -1);
}

static void test_software(void **state)
{
	struct gpu_usage u;
	const uint64_t tick = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	put_counts(GPU_STATS_VERSION);
	assert_int_equal(read_usage(&u), 1);
	assert_int_equal(u.time_ns, 250 * tick);
	assert_string_equal(u.time_source, "processor");
	assert_int_equal(u.memory, 12345);
	assert_string_equal(u.memory_source, "blobs");
	assert_int_equal(u.counts.contexts, 2);
	assert_int_equal(u.counts.fences, 1);
}

/* Two files of one client in two processes, and one of another; the forms of several drivers. */
static void test_drm(void **state)
{
	static const char client1[] = "pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t5\n"
				      "drm-engine-gfx:\t1000 ns\ndrm-engine-compute:\t500 ns\n"
				      "drm-engine-capacity-gfx:\t2\ndrm-memory-vram:\t4 KiB\n";
	static const char client2[] = "drm-client-id:\t6\ndrm-engine-render:\t7 ns\n"
				      "drm-total-system0:\t100 MiB\ndrm-resident-system0:\t2 MiB\n"
				      "drm-memory-system0:\t100 MiB\n";
	struct gpu_usage u;

	(void)state;
	put_counts(GPU_STATS_VERSION);
	put_text("20/fdinfo/3", client1);
	put_text("21/fdinfo/4", client1);
	put_text("21/fdinfo/5", client2);
	put_text("21/fdinfo/6", "pos:\t0\nflags:\t02\n");
	assert_int_equal(read_usage(&u), 1);
	assert_int_equal(u.time_ns, 1507);
	assert_string_equal(u.time_source, "drm");
	assert_int_equal(u.memory, 4096 + (2 << 20));
	assert_string_equal(u.memory_source, "drm");
	assert_false(u.has_utilization);
}

/* xe tells cycles of the GPU's, and no time: what is shown is the processor's, and said to be. */
static void test_drm_cycles(void **state)
{
	static const char client[] = "drm-client-id:\t5\ndrm-cycles-rcs:\t1000\n"
				     "drm-total-cycles-rcs:\t5000\ndrm-resident-vram0:\t3 MiB\n";
	struct gpu_usage u;

	(void)state;
	put_counts(GPU_STATS_VERSION);
	put_text("20/fdinfo/3", client);
	assert_int_equal(read_usage(&u), 1);
	assert_string_equal(u.time_source, "processor");
	assert_int_equal(u.memory, 3 << 20);
	assert_string_equal(u.memory_source, "drm");
}

/* The last counts of a worker that has gone are not those of now. */
static void test_worker_lost(void **state)
{
	static const struct {
		const char *stat; /* of process 30; NULL: there is none */
		bool lost;
	} cases[] = {
		{ "30 (krun-gpu-gpu) S 1 1", false }, { "30 (krun-gpu-gpu) R 1 1", false },
		{ "30 (krun-gpu-gpu) D 1 1", false }, { "30 (krun-gpu-gpu) T 1 1", true },
		{ "30 (krun-gpu-gpu) Z 1 1", true },  { "30 (krun-gpu-fs) S 1 1", true },
		{ NULL, true },
	};
	static const pid_t workers[] = { 29, 30 };
	struct gpu_usage u;

	(void)state;
	put_counts(GPU_STATS_VERSION);
	put_text("29/stat", "29 (krun-gpu-fs) S 1 1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (cases[i].stat)
			put_text("30/stat", cases[i].stat);
		assert_int_equal(read_usage(&u), 1);
		gpu_usage_lost(proc, workers, cases[i].stat ? 2 : 1, &u);
		assert_int_equal(u.lost, cases[i].lost);
		assert_int_equal(u.counts.contexts, u.lost ? 0 : 2);
		assert_int_equal(u.counts.blobs, u.lost ? 0 : 7);
		assert_int_equal(u.memory, u.lost ? 0 : 12345);
	}
}

static void test_processes(void **state)
{
	pid_t pids[8];

	(void)state;
	put_text("10/task/10/children", "11 ");
	put_text("11/task/11/children", "12 13 ");
	put_text("12/task/12/children", "");
	put_text("13/task/13/children", "14 0 -3 x ");
	assert_int_equal(gpu_usage_processes(proc, 10, pids, 8), 4);
	assert_int_equal(pids[0], 11);
	assert_int_equal(pids[1], 12);
	assert_int_equal(pids[2], 13);
	assert_int_equal(pids[3], 14);
	assert_int_equal(gpu_usage_processes(proc, 10, pids, 2), 2);
	assert_int_equal(gpu_usage_processes(proc, 99, pids, 8), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_gpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_of_another_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_software, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drm_cycles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_worker_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
