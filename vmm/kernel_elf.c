/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmlinux: an ELF executable whose PT_LOAD segments name physical addresses and whose entry point
 * is startup_64's physical address. RAM is zero to begin with, so .bss needs no work.
 */
#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

static int check_header(const Elf64_Ehdr *eh, size_t head_len, struct error **err)
{
	if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh->e_machine != EM_X86_64 || eh->e_type != ET_EXEC)
		return error_set(err, 0, "not a 64-bit x86 executable");
	if (eh->e_phentsize != sizeof(Elf64_Phdr) || eh->e_phnum == 0 || eh->e_phoff > head_len ||
	    eh->e_phnum > (head_len - eh->e_phoff) / sizeof(Elf64_Phdr))
		return error_set(err, 0, "its program headers are not at the beginning");
	return 0;
}

static int load_segment(const struct guest_memory *gm, int fd, const Elf64_Phdr *ph,
			struct kernel_image *image, struct error **err)
{
	uint64_t file_end;

	if (ph->p_filesz > ph->p_memsz || ph->p_offset > INT64_MAX ||
	    __builtin_add_overflow(ph->p_offset, ph->p_filesz, &file_end) || file_end > INT64_MAX)
		return error_set(err, 0, "a segment's sizes make no sense");
	if (!guest_memory_ptr(gm, ph->p_paddr, ph->p_memsz))
		return error_set(err, 0, "its %llu MiB at 0x%llx do not fit into the guest's RAM",
				 (unsigned long long)(ph->p_memsz >> 20),
				 (unsigned long long)ph->p_paddr);
	if (ph->p_filesz &&
	    kernel_place(gm, fd, ph->p_offset, ph->p_filesz, ph->p_paddr, err))
		return -1;
	if (ph->p_paddr + ph->p_memsz > image->end)
		image->end = ph->p_paddr + ph->p_memsz;
	return 0;
}

int kernel_elf_load(const struct guest_memory *gm, int fd, const uint8_t *head, size_t head_len,
		    struct kernel_image *image, struct error **err)
{
	bool entry_loaded = false;
	Elf64_Ehdr eh;

	if (head_len < sizeof(eh))
		return error_set(err, 0, "the file is shorter than an ELF header");
	memcpy(&eh, head, sizeof(eh));
	if (check_header(&eh, head_len, err))
		return -1;
	for (unsigned int i = 0; i < eh.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, head + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		if (load_segment(gm, fd, &ph, image, err))
			return -1;
		if (eh.e_entry >= ph.p_paddr && eh.e_entry - ph.p_paddr < ph.p_filesz)
			entry_loaded = true;
	}
	if (!entry_loaded)
		return error_set(err, 0, "its entry point 0x%llx is in no segment",
				 (unsigned long long)eh.e_entry);
	image->entry = eh.e_entry;
	return 0;
}
