/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/kernel_load.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/guest_memory.h"

/* Where a bzImage's boot protocol says that it is one (Linux x86 boot protocol, offset 0x202). */
#define BZIMAGE_MAGIC_AT 0x202u

int kernel_place(const struct guest_memory *gm, int fd, uint64_t offset, uint64_t len,
		 uint64_t gpa, struct error **err)
{
	uint8_t *to = guest_memory_ptr(gm, gpa, len);

	/* Below that address lies what the kernel is told about the machine. */
	if (!to || gpa < LAYOUT_KERNEL_MIN)
		return error_set(err, 0, "%llu MiB at 0x%llx do not fit into the guest's RAM",
				 (unsigned long long)(len >> 20), (unsigned long long)gpa);
	while (len) {
		const ssize_t n = pread(fd, to, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, errno, "cannot be read");
		if (n == 0)
			return error_set(err, 0, "the file is shorter than its header says");
		to += n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int load_by_magic(const struct guest_memory *gm, int fd, struct kernel_image *image,
			 struct error **err)
{
	uint8_t head[KERNEL_HEAD_SIZE] = { 0 };
	const ssize_t n = pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return error_set(err, errno, "cannot be read");
	if ((size_t)n > SELFMAG && !memcmp(head, ELFMAG, SELFMAG))
		return kernel_elf_load(gm, fd, head, (size_t)n, image, err);
	if ((size_t)n > BZIMAGE_MAGIC_AT + 4 && !memcmp(head + BZIMAGE_MAGIC_AT, "HdrS", 4))
		return kernel_bzimage_load(gm, fd, head, (size_t)n, image, err);
	return error_set(err, 0, "neither an ELF vmlinux nor a bzImage");
}

int kernel_load_file(const struct guest_memory *gm, int fd, const char *name,
		     struct kernel_image *image, struct error **err)
{
	memset(image, 0, sizeof(*image));
	if (load_by_magic(gm, fd, image, err))
		return error_wrap(err, "guest kernel %s", name);
	return 0;
}
