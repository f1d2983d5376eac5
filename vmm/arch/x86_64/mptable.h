/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_X86_64_MPTABLE_H
#define VMM_ARCH_X86_64_MPTABLE_H

struct error;
struct guest_memory;

#define MPTABLE_MAX_CPUS 254 /* local APIC ids are 8 bits wide here, and 255 is broadcast */

/**
 * mptable_write() - the Intel MultiProcessor Specification's table (version 1.4), at LAYOUT_MP_TABLE
 * @cpus: local APIC ids are 0 to cpus - 1, the I/O APIC's id is @cpus
 *
 * ISA interrupts 0 to 15 go to the I/O APIC's pins of the same number.
 */
int mptable_write(const struct guest_memory *gm, unsigned int cpus, struct error **err);

#endif
