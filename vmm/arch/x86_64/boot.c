/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a 64-bit kernel finds in RAM when it is entered (Linux, Documentation/arch/x86/boot.rst,
 * "64-bit Boot Protocol"): boot_params with the memory map, a GDT with flat segments at selectors
 * 0x10 and 0x18, page tables that map memory one to one, and the MP table.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/mptable.h"
#include "vmm/arch/x86_64/vcpu_state.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

#define E820_RAM 1u
#define E820_RESERVED 2u

#define BOOT_FLAG 0xaa55u
#define HEADER_MAGIC 0x53726448u /* "HdrS" */
#define PROTOCOL_2_15 0x020fu
#define LOADER_UNDEFINED 0xffu /* a boot loader without an assigned number */

#define PTE_PRESENT 0x1u
#define PTE_WRITABLE 0x2u
#define PDE_LARGE 0x80u
#define PAGE_SIZE 4096u
#define TABLE_ENTRIES 512u
#define LARGE_PAGE (2ull << 20)

static void e820_add(struct boot_params *bp, uint64_t addr, uint64_t size, uint32_t type)
{
	bp->e820_table[bp->e820_entries++] = (struct boot_e820_entry){
		.addr = addr, .size = size, .type = type,
	};
}

static void fill_e820(struct boot_params *bp, const struct guest_memory *gm)
{
	e820_add(bp, 0, LAYOUT_BASE_RAM_END, E820_RAM);
	e820_add(bp, LAYOUT_BASE_RAM_END, LAYOUT_KERNEL_MIN - LAYOUT_BASE_RAM_END, E820_RESERVED);
	e820_add(bp, LAYOUT_KERNEL_MIN, gm->regions[0].size - LAYOUT_KERNEL_MIN, E820_RAM);
	for (size_t i = 1; i < gm->count; i++)
		e820_add(bp, gm->regions[i].gpa, gm->regions[i].size, E820_RAM);
}

static void fill_header(struct setup_header *h, const struct arch_boot *boot)
{
	if (boot->kernel->boot_header_len) {
		memcpy(h, boot->kernel->boot_header, sizeof(*h));
	} else {
		h->boot_flag = BOOT_FLAG;
		h->header = HEADER_MAGIC;
		h->version = PROTOCOL_2_15;
		h->loadflags = LOADED_HIGH;
		h->kernel_alignment = 0x1000000;
	}
	h->type_of_loader = LOADER_UNDEFINED;
	h->cmd_line_ptr = LAYOUT_CMDLINE;
	h->cmdline_size = LAYOUT_CMDLINE_MAX - 1;
	h->ramdisk_image = (uint32_t)boot->initramfs_gpa;
	h->ramdisk_size = (uint32_t)boot->initramfs_size;
}

static void write_page_tables(const struct guest_memory *gm)
{
	uint64_t *pml4 = guest_memory_ptr(gm, LAYOUT_PML4, PAGE_SIZE);
	uint64_t *pdpt = guest_memory_ptr(gm, LAYOUT_PDPT, PAGE_SIZE);
	uint64_t *pd = guest_memory_ptr(gm, LAYOUT_PD, 4 * PAGE_SIZE);

	pml4[0] = LAYOUT_PDPT | PTE_PRESENT | PTE_WRITABLE;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (LAYOUT_PD + i * PAGE_SIZE) | PTE_PRESENT | PTE_WRITABLE;
	for (uint64_t i = 0; i < 4 * TABLE_ENTRIES; i++)
		pd[i] = (i * LARGE_PAGE) | PTE_PRESENT | PTE_WRITABLE | PDE_LARGE;
}

int arch_boot_write(const struct guest_memory *gm, const struct arch_boot *boot,
		    struct error **err)
{
	const uint64_t gdt[] = VCPU_GDT;
	const size_t cmdline_size = strlen(boot->cmdline) + 1;
	struct boot_params bp = { 0 };

	if (gm->regions[0].size <= 2 * LAYOUT_KERNEL_MIN)
		return error_set(err, EINVAL, "too little RAM to boot");
	if (cmdline_size > LAYOUT_CMDLINE_MAX)
		return error_set(err, E2BIG, "the guest kernel's command line takes %zu bytes, "
				 "it may have %u", cmdline_size, LAYOUT_CMDLINE_MAX);
	fill_header(&bp.hdr, boot);
	fill_e820(&bp, gm);
	guest_memory_write(gm, LAYOUT_ZERO_PAGE, &bp, sizeof(bp));
	guest_memory_write(gm, LAYOUT_CMDLINE, boot->cmdline, cmdline_size);
	guest_memory_write(gm, LAYOUT_GDT, gdt, sizeof(gdt));
	write_page_tables(gm);
	return mptable_write(gm, boot->vcpus, err);
}
