/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

#define RAM_ALIGN (2ull << 20)
#define HIGH_RAM_GPA (4ull << 30)

/*
 * Maps size bytes of a file where address and file offset agree modulo a huge page: only then can the
 * kernel map one to the guest. Where the host lets programs ask for huge pages of shared memory, this
 * asks; a boot takes one nested page fault for each page then, of 2 MiB instead of 4 KiB.
 */
static void *map_for_huge_pages(uint64_t size, int fd, uint64_t fd_offset)
{
	const uint64_t room = size + RAM_ALIGN;
	char *start, *hva;

	if (room < size)
		return MAP_FAILED;
	start = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED)
		return MAP_FAILED;
	hva = start + (RAM_ALIGN - (uintptr_t)start % RAM_ALIGN) % RAM_ALIGN;
	if (mmap(hva, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
		 (off_t)fd_offset) == MAP_FAILED) {
		const int saved = errno;

		munmap(start, room);
		errno = saved;
		return MAP_FAILED;
	}
	if (hva > start)
		munmap(start, (size_t)(hva - start));
	munmap(hva + size, room - size - (size_t)(hva - start));
	madvise(hva, size, MADV_HUGEPAGE);
	return hva;
}

static int region_map(struct guest_memory *gm, uint64_t gpa, uint64_t size, int fd,
		      uint64_t fd_offset)
{
	void *hva;

	if (gm->count == GUEST_MEMORY_MAX_REGIONS)
		return -ENOSPC;
	hva = map_for_huge_pages(size, fd, fd_offset);
	if (hva == MAP_FAILED)
		return -errno;
	/* A crash of ours must not write the container's memory to disk. */
	madvise(hva, size, MADV_DONTDUMP);
	gm->regions[gm->count++] = (struct guest_region){
		.gpa = gpa, .size = size, .hva = hva, .fd_offset = fd_offset,
	};
	return 0;
}

static int ram_memfd(uint64_t ram_bytes, struct error **err)
{
	cleanup_close int fd = memfd_create("krun-gpu-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return error_set(err, errno, "cannot make a memory file for the guest's RAM");
	if (ftruncate(fd, (off_t)ram_bytes) < 0)
		return error_set(err, errno, "cannot size the guest's RAM to %llu MiB",
				 (unsigned long long)(ram_bytes >> 20));
	/* No worker that holds the fd can shrink it under the others' mappings (SIGBUS). */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set(err, errno, "cannot seal the guest's RAM");
	return steal_fd(&fd);
}

int guest_memory_create(struct guest_memory *gm, uint64_t ram_bytes, uint64_t low_max,
			struct error **err)
{
	const uint64_t low = ram_bytes < low_max ? ram_bytes : low_max;
	int r;

	memset(gm, 0, sizeof(*gm));
	gm->memfd = -1;
	if (ram_bytes == 0 || ram_bytes % RAM_ALIGN || low_max % RAM_ALIGN ||
	    low_max > HIGH_RAM_GPA || ram_bytes > INT64_MAX)
		return error_set(err, EINVAL, "RAM of %llu bytes is not a multiple of 2 MiB",
				 (unsigned long long)ram_bytes);
	gm->memfd = ram_memfd(ram_bytes, err);
	if (gm->memfd < 0)
		return -1;
	r = region_map(gm, 0, low, gm->memfd, 0);
	if (!r && ram_bytes > low)
		r = region_map(gm, HIGH_RAM_GPA, ram_bytes - low, gm->memfd, low);
	if (r) {
		guest_memory_release(gm);
		return error_set(err, -r, "cannot map the guest's RAM of %llu MiB",
				 (unsigned long long)(ram_bytes >> 20));
	}
	return 0;
}

static bool region_overlaps(const struct guest_memory *gm, uint64_t gpa, uint64_t size)
{
	for (size_t i = 0; i < gm->count; i++) {
		const struct guest_region *r = &gm->regions[i];

		if (gpa < r->gpa + r->size && r->gpa < gpa + size)
			return true;
	}
	return false;
}

int guest_memory_add(struct guest_memory *gm, uint64_t gpa, uint64_t size, int fd,
		     uint64_t fd_offset)
{
	const uint64_t page_mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	uint64_t gpa_end, file_end;
	struct stat st;

	if (size == 0 || ((gpa | size | fd_offset) & page_mask))
		return -EINVAL;
	if (__builtin_add_overflow(gpa, size, &gpa_end) ||
	    __builtin_add_overflow(fd_offset, size, &file_end) || file_end > INT64_MAX)
		return -EOVERFLOW;
	if (region_overlaps(gm, gpa, size))
		return -EEXIST;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < file_end)
		return -EINVAL;
	return region_map(gm, gpa, size, fd, fd_offset);
}

void guest_memory_release(struct guest_memory *gm)
{
	for (size_t i = 0; i < gm->count; i++)
		munmap(gm->regions[i].hva, gm->regions[i].size);
	gm->count = 0;
	if (gm->memfd >= 0)
		close(gm->memfd);
	gm->memfd = -1;
}

void *guest_memory_ptr(const struct guest_memory *gm, uint64_t gpa, uint64_t len)
{
	for (size_t i = 0; i < gm->count; i++) {
		const struct guest_region *r = &gm->regions[i];

		/* In this form nothing can overflow: an offset below size, then what is left. */
		if (gpa >= r->gpa && gpa - r->gpa < r->size && len <= r->size - (gpa - r->gpa))
			return r->hva + (gpa - r->gpa);
	}
	return NULL;
}

int guest_memory_read(const struct guest_memory *gm, uint64_t gpa, void *buf, size_t len)
{
	const void *p = guest_memory_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	return 0;
}

int guest_memory_write(const struct guest_memory *gm, uint64_t gpa, const void *buf, size_t len)
{
	void *p = guest_memory_ptr(gm, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}
