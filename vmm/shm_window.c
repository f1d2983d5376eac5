/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the range is one PROT_NONE mapping from beginning to end, so that no other
 * mapping of this process can ever come to lie in it; MAP_FIXED replaces parts of it and puts
 * PROT_NONE back. KVM follows through its MMU notifiers, the memslot stays the same. Mappings are
 * kept in a sorted array of intervals: it decides what MAP_FIXED may replace.
 *
 * A file may be shrunk by its owner later. That is the guest's misfortune (EFAULT from KVM_RUN
 * ends the machine), not ours: no code here reads or writes the window.
 */
#include "vmm/shm_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* One mapping is one VMA; the kernel's own limit for a process is 65530 by default. */
#define MAX_INTERVALS 32768

struct interval {
	uint64_t offset, len;
};

struct shm_window {
	uint64_t gpa, size;
	uint8_t *hva; /* owned: size bytes of address space */
	struct interval *intervals; /* owned, sorted, disjoint */
	size_t count, room;
};

static bool page_aligned(uint64_t v)
{
	return v % (uint64_t)sysconf(_SC_PAGESIZE) == 0;
}

static void *map_nothing(void *at, uint64_t len, int fixed)
{
	return mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}

struct shm_window *shm_window_create(uint64_t gpa, uint64_t size, struct error **err)
{
	struct shm_window *win;
	void *hva;

	if (!size || !page_aligned(gpa | size)) {
		error_set(err, EINVAL, "shared-memory window of %llu bytes",
			  (unsigned long long)size);
		return NULL;
	}
	win = calloc(1, sizeof(*win));
	hva = win ? map_nothing(NULL, size, 0) : MAP_FAILED;
	if (hva == MAP_FAILED) {
		error_set(err, errno, "cannot reserve a shared-memory window of %llu MiB",
			  (unsigned long long)(size >> 20));
		free(win);
		return NULL;
	}
	madvise(hva, size, MADV_DONTDUMP);
	win->gpa = gpa;
	win->size = size;
	win->hva = hva;
	return win;
}

void shm_window_free(struct shm_window *win)
{
	if (!win)
		return;
	munmap(win->hva, win->size);
	free(win->intervals);
	free(win);
}

uint64_t shm_window_gpa(const struct shm_window *win)
{
	return win->gpa;
}

uint64_t shm_window_size(const struct shm_window *win)
{
	return win->size;
}

void *shm_window_hva(const struct shm_window *win)
{
	return win->hva;
}

/* Index of the first interval that ends behind @offset. */
static size_t interval_find(const struct shm_window *win, uint64_t offset)
{
	size_t low = 0, high = win->count;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;

		if (win->intervals[mid].offset + win->intervals[mid].len > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int interval_reserve(struct shm_window *win)
{
	struct interval *grown;
	size_t room;

	if (win->count < win->room)
		return 0;
	if (win->count == MAX_INTERVALS)
		return -ENOSPC;
	room = win->room ? win->room * 2 : 64;
	grown = reallocarray(win->intervals, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	win->intervals = grown;
	win->room = room;
	return 0;
}

/* Is there a file of at least @end bytes behind @fd? (dma-bufs know their size by lseek() only) */
static int file_reaches(int fd, uint64_t end)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st) < 0)
		return -errno;
	size = S_ISREG(st.st_mode) ? st.st_size : lseek(fd, 0, SEEK_END);
	return size < 0 || (uint64_t)size < end ? -EINVAL : 0;
}

static int check_range(const struct shm_window *win, uint64_t offset, uint64_t len)
{
	if (!len || !page_aligned(offset | len) || offset > win->size || len > win->size - offset)
		return -EINVAL;
	return 0;
}

int shm_window_map(struct shm_window *win, uint64_t offset, uint64_t len, int fd,
		   uint64_t fd_offset, bool writable)
{
	const int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	uint64_t file_end;
	size_t i;
	int r;

	r = check_range(win, offset, len);
	if (r)
		return r;
	if (!page_aligned(fd_offset) || __builtin_add_overflow(fd_offset, len, &file_end) ||
	    file_end > INT64_MAX)
		return -EINVAL;
	r = file_reaches(fd, file_end);
	if (r)
		return r;
	i = interval_find(win, offset);
	if (i < win->count && win->intervals[i].offset < offset + len)
		return -EEXIST;
	r = interval_reserve(win);
	if (r)
		return r;
	if (mmap(win->hva + offset, len, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)fd_offset) ==
	    MAP_FAILED) {
		r = -errno;
		/* A failed MAP_FIXED may have unmapped already: close the hole. */
		map_nothing(win->hva + offset, len, MAP_FIXED);
		return r;
	}
	memmove(&win->intervals[i + 1], &win->intervals[i],
		(win->count - i) * sizeof(*win->intervals));
	win->intervals[i] = (struct interval){ offset, len };
	win->count++;
	return 0;
}

int shm_window_unmap(struct shm_window *win, uint64_t offset, uint64_t len)
{
	size_t i;
	int r;

	r = check_range(win, offset, len);
	if (r)
		return r;
	i = interval_find(win, offset);
	if (i == win->count || win->intervals[i].offset != offset || win->intervals[i].len != len)
		return -ENOENT;
	if (map_nothing(win->hva + offset, len, MAP_FIXED) == MAP_FAILED)
		return -errno;
	win->count--;
	memmove(&win->intervals[i], &win->intervals[i + 1],
		(win->count - i) * sizeof(*win->intervals));
	return 0;
}

void shm_window_clear(struct shm_window *win)
{
	if (map_nothing(win->hva, win->size, MAP_FIXED) != MAP_FAILED)
		win->count = 0;
}
