/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/unit.h"
#include "vmm/mmio_bus.h"
#include "vmm/shm_window.h"

#define PAGE 4096ull
#define SIZE (64 * PAGE)

struct fixture {
	struct shm_window *win;
	int fd;
};

static int set_up(void **state)
{
	static struct fixture f;

	f.win = shm_window_create(4ull << 30, SIZE, NULL);
	f.fd = memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	*state = &f;
	if (!f.win || f.fd < 0 || ftruncate(f.fd, (off_t)(8 * PAGE)))
		return -1;
	return pwrite(f.fd, "blob", 4, (off_t)PAGE) == 4 ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shm_window_free(f->win);
	close(f->fd);
	return 0;
}

static const char *at(struct fixture *f, uint64_t offset)
{
	return (const char *)shm_window_hva(f->win) + offset;
}

/* Is the page readable? msync() cannot tell, write() can: it answers EFAULT instead of a signal. */
static bool readable(struct fixture *f, uint64_t offset)
{
	int p[2];
	bool ok;

	assert_int_equal(pipe(p), 0);
	ok = write(p[1], at(f, offset), 1) == 1;
	assert_true(ok || errno == EFAULT);
	close(p[0]);
	close(p[1]);
	return ok;
}

static void a_file_appears_and_disappears(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_window_gpa(f->win), 4ull << 30);
	assert_int_equal(shm_window_size(f->win), SIZE);
	assert_false(readable(f, 2 * PAGE));
	assert_int_equal(shm_window_map(f->win, 2 * PAGE, PAGE, f->fd, PAGE, true), 0);
	assert_memory_equal(at(f, 2 * PAGE), "blob", 4);
	assert_false(readable(f, PAGE));
	assert_false(readable(f, 3 * PAGE));
	assert_int_equal(shm_window_unmap(f->win, 2 * PAGE, PAGE), 0);
	assert_false(readable(f, 2 * PAGE));
}

static void ranges_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint64_t offset, len, fd_offset;
	} bad[] = {
		{ "no length", 0, 0, 0 },
		{ "offset misaligned", 1, PAGE, 0 },
		{ "length misaligned", 0, 1, 0 },
		{ "file offset misaligned", 0, PAGE, 1 },
		{ "outside the window", SIZE, PAGE, 0 },
		{ "over the window's end", SIZE - PAGE, 2 * PAGE, 0 },
		{ "offset overflow", UINT64_MAX - PAGE + 1, PAGE, 0 },
		{ "length overflow", PAGE, UINT64_MAX - PAGE + 1, 0 },
		{ "over the file's end", 0, 2 * PAGE, 7 * PAGE },
		{ "file offset overflow", 0, PAGE, UINT64_MAX - PAGE + 1 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("%s\n", bad[i].what);
		assert_int_equal(shm_window_map(f->win, bad[i].offset, bad[i].len, f->fd,
						bad[i].fd_offset, true), -EINVAL);
	}
	assert_int_equal(shm_window_map(f->win, 0, PAGE, -1, 0, true), -EBADF);
	for (uint64_t p = 0; p < SIZE; p += PAGE)
		assert_false(readable(f, p));
}

static void mappings_do_not_overlap(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_window_map(f->win, 8 * PAGE, 4 * PAGE, f->fd, 0, true), 0);
	for (uint64_t p = 5; p < 12; p++)
		assert_int_equal(shm_window_map(f->win, p * PAGE, 4 * PAGE, f->fd, 0, true),
				 -EEXIST);
	assert_int_equal(shm_window_map(f->win, 7 * PAGE, 6 * PAGE, f->fd, 0, true), -EEXIST);
	assert_int_equal(shm_window_map(f->win, 9 * PAGE, PAGE, f->fd, 0, true), -EEXIST);
	assert_int_equal(shm_window_map(f->win, 4 * PAGE, 4 * PAGE, f->fd, 0, true), 0);
	assert_int_equal(shm_window_map(f->win, 12 * PAGE, 4 * PAGE, f->fd, 0, true), 0);
}

static void only_what_was_mapped_is_unmapped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(shm_window_map(f->win, 8 * PAGE, 4 * PAGE, f->fd, 0, true), 0);
	assert_int_equal(shm_window_unmap(f->win, 8 * PAGE, 2 * PAGE), -ENOENT);
	assert_int_equal(shm_window_unmap(f->win, 9 * PAGE, 3 * PAGE), -ENOENT);
	assert_int_equal(shm_window_unmap(f->win, 0, PAGE), -ENOENT);
	assert_int_equal(shm_window_unmap(f->win, 8 * PAGE, 0), -EINVAL);
	assert_true(readable(f, 8 * PAGE));
	assert_int_equal(shm_window_unmap(f->win, 8 * PAGE, 4 * PAGE), 0);
	assert_int_equal(shm_window_unmap(f->win, 8 * PAGE, 4 * PAGE), -ENOENT);
}

static void many_mappings_stay_sorted(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 64; i++) /* 37 and 64 have no common factor: all pages, shuffled */
		assert_int_equal(shm_window_map(f->win, i * 37 % 64 * PAGE, PAGE, f->fd, 0, true),
				 0);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(shm_window_map(f->win, i * PAGE, PAGE, f->fd, 0, true), -EEXIST);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(shm_window_unmap(f->win, i * 11 % 64 * PAGE, PAGE), 0);
	assert_int_equal(shm_window_map(f->win, 0, 8 * PAGE, f->fd, 0, true), 0);
	shm_window_clear(f->win);
	assert_false(readable(f, 0));
	assert_int_equal(shm_window_map(f->win, 0, 8 * PAGE, f->fd, 0, true), 0);
}

static void a_refused_mapping_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fcntl(f->fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(shm_window_map(f->win, 0, PAGE, f->fd, 0, true), -EPERM);
	assert_false(readable(f, 0));
	assert_int_equal(shm_window_map(f->win, 0, PAGE, f->fd, PAGE, false), 0);
	assert_memory_equal(at(f, 0), "blob", 4);
}

static void odd_windows_are_refused(void **state)
{
	struct error *err = NULL;

	(void)state;
	assert_null(shm_window_create(0, 0, &err));
	assert_null(shm_window_create(1, PAGE, &err));
	assert_null(shm_window_create(0, PAGE + 1, &err));
	assert_null(shm_window_create(0, 1ull << 62, &err));
	error_free(&err);
}

static void bus_read(void *data, uint64_t offset, void *buf, size_t len)
{
	(void)data;
	memset(buf, (int)offset, len);
}

static void bus_write(void *data, uint64_t offset, const void *buf, size_t len)
{
	(void)offset;
	memcpy(data, buf, len);
}

static void the_bus_finds_who_answers(void **state)
{
	uint8_t seen[8] = { 0 }, buf[8] = { 0 };
	const struct mmio_range range = { 0x1000, 0x1000, bus_read, bus_write, seen };
	struct mmio_range other = range;
	struct mmio_bus bus = { 0 };

	(void)state;
	assert_int_equal(mmio_bus_add(&bus, &range), 0);
	other.base = 0x1fff;
	assert_int_equal(mmio_bus_add(&bus, &other), -EEXIST);
	mmio_bus_access(&bus, 0x1007, buf, 4, false);
	assert_int_equal(buf[3], 7);
	assert_int_equal(buf[4], 0);
	mmio_bus_access(&bus, 0x1007, "ab", 2, true);
	assert_memory_equal(seen, "ab", 2);
	mmio_bus_access(&bus, 0x1ffe, buf, 4, false); /* half outside: nobody */
	assert_int_equal(buf[0], 0xff);
	mmio_bus_access(&bus, UINT64_MAX - 1, buf, 8, false);
	mmio_bus_access(&bus, 0x1ffe, "cdef", 4, true);
	assert_memory_equal(seen, "ab", 2);
	for (uint64_t i = 1; i < MMIO_BUS_MAX; i++) {
		other.base = 0x1000 + i * 0x1000;
		assert_int_equal(mmio_bus_add(&bus, &other), 0);
	}
	other.base = 0x100000;
	assert_int_equal(mmio_bus_add(&bus, &other), -ENOSPC);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_appears_and_disappears),
		TEST(ranges_are_checked),
		TEST(mappings_do_not_overlap),
		TEST(only_what_was_mapped_is_unmapped),
		TEST(many_mappings_stay_sorted),
		TEST(a_refused_mapping_leaves_nothing_behind),
		cmocka_unit_test(odd_windows_are_refused),
		cmocka_unit_test(the_bus_finds_who_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
