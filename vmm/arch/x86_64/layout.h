/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_X86_64_LAYOUT_H
#define VMM_ARCH_X86_64_LAYOUT_H

/*
 * Guest physical addresses.
 *
 *	0x500		GDT
 *	0x7000		boot_params ("zero page")
 *	0x9000-0xeff8	page tables: identity map of the first 4 GiB
 *	0x20000		kernel command line
 *	0x9fc00		end of base RAM, as a PC's firmware would say
 *	0xf0000		MP table, where the kernel looks for one
 *	0x100000	kernel (or higher, as it says itself)
 *	…		initramfs at the end of low RAM
 *	0xd0000000	virtio-mmio devices, one page each
 *	0xfec00000	I/O APIC, local APICs at 0xfee00000 (in the kernel)
 *	0xfffbc000	pages that KVM needs for real mode on old Intel CPUs
 *	4 GiB		the rest of RAM, then shared-memory windows
 */
#define LAYOUT_GDT 0x500u
#define LAYOUT_ZERO_PAGE 0x7000u
#define LAYOUT_PML4 0x9000u
#define LAYOUT_PDPT 0xa000u
#define LAYOUT_PD 0xb000u /* four pages */
#define LAYOUT_CMDLINE 0x20000u
#define LAYOUT_CMDLINE_MAX 2048u /* COMMAND_LINE_SIZE, with its NUL */
#define LAYOUT_BASE_RAM_END 0x9fc00u
#define LAYOUT_MP_TABLE 0xf0000u
#define LAYOUT_MP_TABLE_END 0x100000u
#define LAYOUT_KERNEL_MIN 0x100000u
#define LAYOUT_IDENTITY_MAP 0xfffbc000u
#define LAYOUT_TSS 0xfffbd000u /* three pages */
#define LAYOUT_IO_APIC 0xfec00000u
#define LAYOUT_LOCAL_APIC 0xfee00000u

#define ARCH_LOW_RAM_MAX 0xd0000000u
#define ARCH_MMIO_BASE 0xd0000000u
/* ISA interrupts that no PC device of ours uses: 5 to 15. */
#define ARCH_MMIO_FIRST_GSI 5u
#define ARCH_MMIO_DEVICES_MAX 11u

#endif
