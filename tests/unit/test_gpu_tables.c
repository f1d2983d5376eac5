/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The GPU worker's tables: the window's ranges, pending fences, resources. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "vmm/workers/gpu_device.h"
#include "vmm/workers/gpu_fence.h"
#include "vmm/workers/gpu_resource.h"
#include "vmm/workers/gpu_window.h"

#define PAGE ((uint64_t)GPU_PAGE_SIZE)

static void test_window_bounds(void **state)
{
	static const struct {
		uint64_t offset, len;
	} bad[] = {
		{ 0, 0 },		  { 1, PAGE },		    { 0, PAGE + 1 },
		{ 16 * PAGE, PAGE },	  { 15 * PAGE, 2 * PAGE },  { 0, 17 * PAGE },
		{ UINT64_MAX - PAGE + 1, PAGE }, { PAGE, UINT64_MAX - PAGE + 1 },
	};
	struct gpu_window win;

	(void)state;
	gpu_window_init(&win, 16 * PAGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(gpu_window_take(&win, bad[i].offset, bad[i].len), -EINVAL);
	assert_int_equal(gpu_window_take(&win, 0, 16 * PAGE), 0);
	gpu_window_drop(&win, PAGE);
	assert_int_equal(gpu_window_take(&win, PAGE, PAGE), -EEXIST);
	gpu_window_drop(&win, 0);
	assert_int_equal(gpu_window_take(&win, 15 * PAGE, PAGE), 0);
	gpu_window_release(&win);
}

/* Against a byte a page: 20,000 random requests give the same answers. */
static void test_window_random(void **state)
{
	enum { PAGES = 512 };
	uint16_t owner[PAGES] = { 0 };
	unsigned int seed = 1, taken = 0;
	struct gpu_window win;

	(void)state;
	gpu_window_init(&win, PAGES * PAGE);
	for (int n = 0; n < 20000; n++) {
		unsigned int at = (unsigned int)rand_r(&seed) % PAGES;
		unsigned int len = 1 + (unsigned int)rand_r(&seed) % 8;
		bool is_free = at + len <= PAGES;

		if (rand_r(&seed) % 2) {
			/* owner holds the range's start + 1 */
			if (owner[at] == at + 1) {
				gpu_window_drop(&win, at * PAGE);
				for (unsigned int i = at; i < PAGES && owner[i] == at + 1; i++)
					owner[i] = 0;
			}
			continue;
		}
		for (unsigned int i = at; is_free && i < at + len; i++)
			is_free = !owner[i];
		assert_int_equal(gpu_window_take(&win, at * PAGE, len * PAGE) == 0, is_free);
		taken += is_free;
		for (unsigned int i = at; is_free && i < at + len; i++)
			owner[i] = (uint16_t)(at + 1);
	}
	assert_true(taken > 1000);
	gpu_window_clear(&win);
	assert_int_equal(gpu_window_take(&win, 0, PAGES * PAGE), 0);
	gpu_window_release(&win);
}

static uint16_t take_head(struct gpu_fences *fences)
{
	struct gpu_fence *f = gpu_fence_take_passed(fences);
	uint16_t head = f ? f->head : UINT16_MAX;

	free(f);
	return head;
}

static void test_fences(void **state)
{
	struct gpu_fences fences;
	uint64_t n[5];

	(void)state;
	gpu_fences_init(&fences);
	n[0] = gpu_fence_add(&fences, 1, 0, 10, 24);
	n[1] = gpu_fence_add(&fences, 1, 1, 11, 24);
	n[2] = gpu_fence_add(&fences, 2, 0, 12, 24);
	n[3] = gpu_fence_add(&fences, 1, 0, 13, 24);
	n[4] = gpu_fence_add(&fences, 1, 0, 14, 24);
	assert_int_equal(take_head(&fences), UINT16_MAX);
	/* Passing one passes those before it on its ring, and no others. */
	gpu_fence_pass(&fences, 1, 0, n[3]);
	assert_int_equal(take_head(&fences), 10);
	assert_int_equal(take_head(&fences), 13);
	assert_int_equal(take_head(&fences), UINT16_MAX);
	/* What comes late for numbers that are gone means nothing. */
	gpu_fence_pass(&fences, 1, 0, n[0]);
	assert_int_equal(take_head(&fences), UINT16_MAX);
	gpu_fence_pass_context(&fences, 1);
	assert_int_equal(take_head(&fences), 11);
	assert_int_equal(take_head(&fences), 14);
	/* The list's end is right after its last element went. */
	assert_true(gpu_fence_add(&fences, 3, 0, 15, 24) > n[4]);
	gpu_fence_pass_all(&fences);
	assert_int_equal(take_head(&fences), 12);
	assert_int_equal(take_head(&fences), 15);
	assert_true(gpu_fence_add(&fences, 3, 0, 16, 24) > n[4]);
	gpu_fences_release(&fences);
}

static void test_resources(void **state)
{
	static struct gpu_resources resources = { .max_bytes = 100, .max_count = GPU_MAX_RESOURCES };
	struct gpu_resource *res, *other;

	(void)state;
	assert_int_equal(gpu_resource_add(&resources, 0, 1, &res), -EINVAL);
	assert_int_equal(gpu_resource_add(&resources, 1, 101, &res), -ENOSPC);
	assert_int_equal(gpu_resource_add(&resources, 1, 60, &res), 0);
	assert_int_equal(gpu_resource_add(&resources, 1, 1, &other), -EEXIST);
	assert_int_equal(gpu_resource_add(&resources, 1 + GPU_RESOURCE_BUCKETS, 41, &other),
			 -ENOSPC);
	assert_int_equal(gpu_resource_add(&resources, 1 + GPU_RESOURCE_BUCKETS, 40, &other), 0);
	assert_ptr_equal(gpu_resource_find(&resources, 1), res);
	gpu_resource_remove(&resources, res);
	assert_null(gpu_resource_find(&resources, 1));
	assert_ptr_equal(gpu_resource_any(&resources), other);
	gpu_resource_remove(&resources, other);
	assert_null(gpu_resource_any(&resources));
	for (uint32_t id = 1; id <= GPU_MAX_RESOURCES; id++)
		assert_int_equal(gpu_resource_add(&resources, id, 0, &res), 0);
	assert_int_equal(gpu_resource_add(&resources, UINT32_MAX, 0, &res), -ENOSPC);
	while ((res = gpu_resource_any(&resources)))
		gpu_resource_remove(&resources, res);
}

/* A resource keeps a file open: with few files there are few of them. */
static void test_files(void **state)
{
	static struct gpu_device dev;
	struct gpu_resource *res;
	uint32_t count = 0;

	(void)state;
	gpu_device_init(&dev, 16 * PAGE, 100);
	gpu_device_limit_files(&dev, 1024);
	while (gpu_resource_add(&dev.resources, count + 1, 0, &res) == 0)
		count++;
	assert_in_range(count, 256, 1023 - GPU_MAX_CONTEXTS);
	gpu_device_limit_files(&dev, 16);
	assert_int_equal(dev.resources.max_count, 0);
	gpu_device_limit_files(&dev, INT32_MAX);
	assert_int_equal(dev.resources.max_count, GPU_MAX_RESOURCES);
	gpu_device_release(&dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_bounds),
		cmocka_unit_test(test_window_random),
		cmocka_unit_test(test_fences),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
