/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_X86_64_VCPU_STATE_H
#define VMM_ARCH_X86_64_VCPU_STATE_H

#include <stdint.h>

struct error;

/*
 * Selectors as the boot protocol wants them: __BOOT_CS 0x10 (64-bit code) and __BOOT_DS 0x18
 * (data), both flat, accessed already. The GDT in RAM and the hidden parts of the segment registers
 * say the same.
 */
#define VCPU_CODE_SELECTOR 0x10u
#define VCPU_DATA_SELECTOR 0x18u
#define VCPU_TSS_SELECTOR 0x20u
#define VCPU_GDT                                                                             \
	{                                                                                    \
		0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull, 0x008f8b000000ffffull, 0 \
	}

/** vcpu_state_init() - MSRs that a PC's firmware leaves behind; every vCPU */
int vcpu_state_init(int vcpu_fd, struct error **err);

/** vcpu_state_enter_kernel() - long mode at @entry with boot_params in RSI; the first vCPU */
int vcpu_state_enter_kernel(int vcpu_fd, uint64_t entry, struct error **err);

#endif
