/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_ARCH_H
#define VMM_ARCH_ARCH_H

/*
 * What the machine asks of its architecture. One directory below this one implements it; each has
 * a layout.h with the constants ARCH_* that are named here:
 *
 * ARCH_LOW_RAM_MAX	 RAM reaches from 0 to at most here, the rest goes on at 4 GiB
 * ARCH_MMIO_BASE	 first address of the virtio-mmio devices
 * ARCH_MMIO_FIRST_GSI	 interrupt line of the first of them
 * ARCH_MMIO_DEVICES_MAX how many have an interrupt line
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __x86_64__
#include "vmm/arch/x86_64/layout.h"
#include "vmm/arch/x86_64/serial.h"
#else
#error "no machine for this architecture"
#endif

struct error;
struct guest_memory;
struct kernel_image;
struct kvm;

/** struct arch_boot - what lies in guest RAM when the first vCPU starts */
struct arch_boot {
	const struct kernel_image *kernel; /* borrowed */
	const char *cmdline;		   /* borrowed */
	uint64_t initramfs_gpa, initramfs_size; /* size 0: none */
	unsigned int vcpus;
};

/** arch_vm_init() - what must be done to a VM before its vCPUs are made: irqchip, reserved pages */
int arch_vm_init(struct kvm *kvm, struct error **err);

/** arch_vm_address_bits() - width of a guest physical address on this host */
unsigned int arch_vm_address_bits(struct kvm *kvm);

/** arch_boot_write() - write what the kernel is told (boot parameters, tables) into RAM */
int arch_boot_write(const struct guest_memory *gm, const struct arch_boot *boot,
		    struct error **err);

/** arch_vcpu_init() - the vCPU's features and identity; vCPU 0 also gets the kernel's entry state */
int arch_vcpu_init(struct kvm *kvm, int vcpu_fd, unsigned int id, const struct arch_boot *boot,
		   struct error **err);

/** arch_vcpu_describe() - where a vCPU stands, for a message about its end */
void arch_vcpu_describe(int vcpu_fd, char *buf, size_t size);

#endif
