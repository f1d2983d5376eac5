/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bzImage: real-mode set-up code that we skip, then the protected-mode kernel with its own
 * decompressor, entered in long mode 0x200 bytes behind its beginning (Linux x86 boot protocol,
 * "64-bit Boot Protocol"). The setup header goes on to the kernel in boot_params.
 */
#include <asm/bootparam.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

#define SETUP_HEADER_AT 0x1f1u
#define SECTOR 512u
#define ENTRY_64 0x200u
/* 2.12 brought xloadflags; with it came the 64-bit entry point. */
#define PROTOCOL_MIN 0x020c

static int check_header(const struct setup_header *h, struct error **err)
{
	if (h->version < PROTOCOL_MIN || !(h->xloadflags & XLF_KERNEL_64))
		return error_set(err, 0, "it has no 64-bit entry point (boot protocol %u.%u)",
				 h->version >> 8, h->version & 0xffu);
	if (!(h->loadflags & LOADED_HIGH))
		return error_set(err, 0, "it does not load at 1 MiB");
	return 0;
}

int kernel_bzimage_load(const struct guest_memory *gm, int fd, const uint8_t *head,
			size_t head_len, struct kernel_image *image, struct error **err)
{
	uint64_t setup_size, load, init_size;
	struct setup_header h;
	struct stat st;

	_Static_assert(sizeof(h) <= KERNEL_BOOT_HEADER_MAX, "a setup header fits into the image");
	if (head_len < SETUP_HEADER_AT + sizeof(h))
		return error_set(err, 0, "the file is shorter than a setup header");
	memcpy(&h, head + SETUP_HEADER_AT, sizeof(h));
	if (check_header(&h, err))
		return -1;
	/* Where it wants to be, it need not relocate itself. */
	load = h.relocatable_kernel && h.pref_address ? h.pref_address : LAYOUT_KERNEL_MIN;
	setup_size = ((h.setup_sects ? h.setup_sects : 4u) + 1u) * SECTOR;
	init_size = h.init_size;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size <= setup_size + ENTRY_64)
		return error_set(err, 0, "the file is shorter than its header says");
	if (!guest_memory_ptr(gm, load, init_size))
		return error_set(err, 0, "its %llu MiB at 0x%llx do not fit into the guest's RAM",
				 (unsigned long long)(init_size >> 20), (unsigned long long)load);
	if (kernel_place(gm, fd, setup_size, (uint64_t)st.st_size - setup_size, load, err))
		return -1;
	h.code32_start = (uint32_t)load;
	image->entry = load + ENTRY_64;
	image->end = load + init_size;
	memcpy(image->boot_header, &h, sizeof(h));
	image->boot_header_len = sizeof(h);
	return 0;
}
