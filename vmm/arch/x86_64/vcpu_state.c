/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/arch/x86_64/vcpu_state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/kvm.h"

#define CR0_PE 0x1u
#define CR0_ET 0x10u
#define CR0_NE 0x20u
#define CR0_WP 0x10000u
#define CR0_PG 0x80000000u
#define CR4_PAE 0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define RFLAGS_FIXED 0x2u

#define MSR_IA32_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRING 0x1u
#define MSR_MTRR_DEF_TYPE 0x2ffu
#define MTRR_ENABLED_WRITE_BACK 0xc06u /* enabled, fixed ranges enabled, default write-back */

int vcpu_state_init(int vcpu_fd, struct error **err)
{
	/* struct kvm_msrs, with the entries that end it */
	const struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entries[2];
	} msrs = {
		.nmsrs = 2,
		.entries = {
			{ .index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING },
			/*
			 * Firmware's job. With MTRRs off the kernel takes all memory for uncached,
			 * and maps cached GPU blobs so; on AMD the guest's word counts.
			 */
			{ .index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK },
		},
	};
	const int r = kvm_ioctl_ptr(vcpu_fd, KVM_SET_MSRS, &msrs);

	if (r != (int)msrs.nmsrs)
		return error_set(err, r < 0 ? -r : 0, "KVM refuses a vCPU's MSR 0x%x",
				 msrs.entries[r < 0 ? 0 : r].index);
	return 0;
}

static void set_segments(struct kvm_sregs *s)
{
	const struct kvm_segment code = {
		.limit = 0xffffffff, .selector = VCPU_CODE_SELECTOR, .type = 11 /* code, read */,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	const struct kvm_segment data = {
		.limit = 0xffffffff, .selector = VCPU_DATA_SELECTOR, .type = 3 /* data, write */,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	const struct kvm_segment tss = {
		.limit = 0xffff, .selector = VCPU_TSS_SELECTOR, .type = 11 /* busy TSS */,
		.present = 1,
	};
	const uint64_t gdt[] = VCPU_GDT;

	s->cs = code;
	s->ds = s->es = s->fs = s->gs = s->ss = data;
	s->tr = tss;
	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = sizeof(gdt) - 1;
	s->idt.base = 0; /* interrupts are off until the kernel has an IDT */
	s->idt.limit = 0;
}

int vcpu_state_enter_kernel(int vcpu_fd, uint64_t entry, struct error **err)
{
	const struct kvm_regs regs = {
		.rip = entry,
		.rsi = LAYOUT_ZERO_PAGE,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;
	int r = kvm_ioctl_ptr(vcpu_fd, KVM_GET_SREGS, &sregs);

	if (r < 0)
		return error_set(err, -r, "cannot read a vCPU's registers");
	set_segments(&sregs);
	sregs.cr3 = LAYOUT_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.efer = EFER_LME | EFER_LMA;
	r = kvm_ioctl_ptr(vcpu_fd, KVM_SET_SREGS, &sregs);
	if (r >= 0)
		r = kvm_ioctl_ptr(vcpu_fd, KVM_SET_REGS, &regs);
	return r < 0 ? error_set(err, -r, "cannot set a vCPU's registers") : 0;
}

void arch_vcpu_describe(int vcpu_fd, char *buf, size_t size)
{
	struct kvm_sregs sregs = { 0 };
	struct kvm_regs regs = { 0 };

	if (kvm_ioctl_ptr(vcpu_fd, KVM_GET_REGS, &regs) < 0 ||
	    kvm_ioctl_ptr(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(buf, size, "registers unknown");
		return;
	}
	snprintf(buf, size, "rip 0x%llx rsp 0x%llx cr0 0x%llx cr2 0x%llx cr3 0x%llx efer 0x%llx",
		 (unsigned long long)regs.rip, (unsigned long long)regs.rsp,
		 (unsigned long long)sregs.cr0, (unsigned long long)sregs.cr2,
		 (unsigned long long)sregs.cr3, (unsigned long long)sregs.efer);
}
