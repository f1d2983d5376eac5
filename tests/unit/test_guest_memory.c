/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/unit.h"
#include "vmm/guest_memory.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define LOW_MAX 0xd0000000ull

static void one_region_below_the_gap(void **state)
{
	struct guest_memory gm;

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 64 * MIB, LOW_MAX, NULL), 0);
	assert_int_equal(gm.count, 1);
	assert_int_equal(gm.regions[0].gpa, 0);
	assert_int_equal(gm.regions[0].size, 64 * MIB);
	guest_memory_release(&gm);
	assert_int_equal(gm.memfd, -1);
}

static void two_regions_around_the_gap(void **state)
{
	struct guest_memory gm;
	uint8_t *p;

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 8 * GIB, LOW_MAX, NULL), 0);
	assert_int_equal(gm.count, 2);
	assert_int_equal(gm.regions[0].size, LOW_MAX);
	assert_int_equal(gm.regions[1].gpa, 4 * GIB);
	assert_int_equal(gm.regions[1].size, 8 * GIB - LOW_MAX);
	assert_int_equal(gm.regions[1].fd_offset, LOW_MAX);
	/* A huge page of the file can be one in the mapping. */
	assert_int_equal((uintptr_t)gm.regions[0].hva % (2 * MIB), 0);
	assert_int_equal((uintptr_t)gm.regions[1].hva % (2 * MIB), 0);
	/* Both are the same file: what is written through one mapping is at its place in it. */
	p = guest_memory_ptr(&gm, 4 * GIB, 1);
	assert_non_null(p);
	*p = 0x5a;
	*p = 0;
	assert_int_equal(pread(gm.memfd, &(char){ 1 }, 1, (off_t)LOW_MAX), 1);
	assert_null(guest_memory_ptr(&gm, LOW_MAX, 1));
	assert_null(guest_memory_ptr(&gm, LOW_MAX - 1, 2));
	assert_null(guest_memory_ptr(&gm, 4 * GIB - 1, 2));
	guest_memory_release(&gm);
}

static void addresses_are_checked_with_their_length(void **state)
{
	struct guest_memory gm;

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 2 * MIB, LOW_MAX, NULL), 0);
	assert_non_null(guest_memory_ptr(&gm, 0, 2 * MIB));
	assert_non_null(guest_memory_ptr(&gm, 2 * MIB - 1, 1));
	assert_null(guest_memory_ptr(&gm, 2 * MIB - 1, 2));
	assert_null(guest_memory_ptr(&gm, 2 * MIB, 0));
	assert_null(guest_memory_ptr(&gm, 0, 2 * MIB + 1));
	assert_null(guest_memory_ptr(&gm, 1, UINT64_MAX));
	assert_null(guest_memory_ptr(&gm, UINT64_MAX, 1));
	assert_null(guest_memory_ptr(&gm, UINT64_MAX - 1, UINT64_MAX));
	guest_memory_release(&gm);
}

static void read_and_write_copy_or_refuse(void **state)
{
	struct guest_memory gm;
	char buf[4] = "abc";

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 2 * MIB, LOW_MAX, NULL), 0);
	assert_int_equal(guest_memory_write(&gm, 4096, buf, sizeof(buf)), 0);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(guest_memory_read(&gm, 4096, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "abc");
	assert_int_equal(guest_memory_write(&gm, 2 * MIB - 1, buf, 2), -EFAULT);
	assert_int_equal(guest_memory_read(&gm, 2 * MIB - 1, buf, 2), -EFAULT);
	guest_memory_release(&gm);
}

static void ram_cannot_be_resized(void **state)
{
	struct guest_memory gm;

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 2 * MIB, LOW_MAX, NULL), 0);
	assert_int_equal(ftruncate(gm.memfd, 0), -1);
	assert_int_equal(ftruncate(gm.memfd, (off_t)(4 * MIB)), -1);
	guest_memory_release(&gm);
}

static void odd_sizes_are_refused(void **state)
{
	struct error *err = NULL;
	struct guest_memory gm;

	(void)state;
	assert_int_equal(guest_memory_create(&gm, 0, LOW_MAX, &err), -1);
	assert_int_equal(guest_memory_create(&gm, 3 * MIB, LOW_MAX, &err), -1);
	assert_non_null(strstr(error_msg(err), "2 MiB"));
	error_free(&err);
}

static void foreign_regions_are_checked(void **state)
{
	struct guest_memory gm = { .memfd = -1 };
	const int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(4 * MIB)), 0);
	assert_int_equal(guest_memory_add(&gm, 0, 2 * MIB, fd, 0), 0);
	assert_int_equal(guest_memory_add(&gm, MIB, 2 * MIB, fd, 0), -EEXIST);
	assert_int_equal(guest_memory_add(&gm, 2 * MIB, 2 * MIB, fd, 2 * MIB), 0);
	assert_int_equal(guest_memory_add(&gm, 8 * MIB, 2 * MIB, fd, 3 * MIB), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, 8 * MIB, 0, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, 8 * MIB + 1, MIB, fd, 0), -EINVAL);
	assert_int_equal(guest_memory_add(&gm, UINT64_MAX - MIB + 1, 2 * MIB, fd, 0), -EOVERFLOW);
	assert_int_equal(guest_memory_add(&gm, 8 * MIB, MIB, fd, UINT64_MAX - MIB + 1),
			 -EOVERFLOW);
	assert_int_equal(guest_memory_add(&gm, 8 * MIB, MIB, STDIN_FILENO, 0), -EINVAL);
	for (uint64_t i = gm.count; i < GUEST_MEMORY_MAX_REGIONS; i++)
		assert_int_equal(guest_memory_add(&gm, (8 + i) * MIB, MIB, fd, 0), 0);
	assert_int_equal(guest_memory_add(&gm, 64 * MIB, MIB, fd, 0), -ENOSPC);
	guest_memory_release(&gm);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_region_below_the_gap),
		cmocka_unit_test(two_regions_around_the_gap),
		cmocka_unit_test(addresses_are_checked_with_their_length),
		cmocka_unit_test(read_and_write_copy_or_refuse),
		cmocka_unit_test(ram_cannot_be_resized),
		cmocka_unit_test(odd_sizes_are_refused),
		cmocka_unit_test(foreign_regions_are_checked),
	};

	/* The fd that is no file must not depend on how the test is started. */
	close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY) != STDIN_FILENO)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
