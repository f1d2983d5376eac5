/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/kvm.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/vcpu_state.h"
#include "vmm/kernel_load.h"
#include "vmm/kvm.h"

int arch_vm_init(struct kvm *kvm, struct error **err)
{
	const uint64_t identity_map = LAYOUT_IDENTITY_MAP;
	int r;

	/* Old Intel CPUs run real mode as a task with page tables, in pages that nobody uses. */
	r = kvm_ioctl_ptr(kvm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	if (r >= 0)
		r = kvm_ioctl(kvm->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_TSS);
	if (r < 0)
		return error_set(err, -r, "KVM refuses its reserved pages");
	/*
	 * I/O APIC and local APICs in the kernel. No PIT: Linux needs none where the local APIC's
	 * timer takes TSC deadlines, and calibrates it by kvmclock where it does not.
	 */
	r = kvm_ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0);
	return r < 0 ? error_set(err, -r, "KVM cannot make interrupt controllers") : 0;
}

unsigned int arch_vm_address_bits(struct kvm *kvm)
{
	struct kvm_cpuid2 *c = cpuid_supported(kvm, NULL);
	unsigned int bits = 36; /* what every 64-bit CPU has */

	for (uint32_t i = 0; c && i < c->nent; i++)
		if (c->entries[i].function == 0x80000008)
			bits = c->entries[i].eax & 0xff;
	free(c);
	return bits;
}

int arch_vcpu_init(struct kvm *kvm, int vcpu_fd, unsigned int id, const struct arch_boot *boot,
		   struct error **err)
{
	const struct cpuid_topology topology = {
		.id = id,
		.cpus = boot->vcpus,
		.tsc_deadline = kvm_ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION,
					  KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};
	cleanup_free struct kvm_cpuid2 *cpuid = cpuid_supported(kvm, err);
	int r;

	if (!cpuid)
		return -1;
	cpuid_adapt(cpuid, &topology);
	r = kvm_ioctl_ptr(vcpu_fd, KVM_SET_CPUID2, cpuid);
	if (r < 0)
		return error_set(err, -r, "KVM refuses the CPUID of vCPU %u", id);
	if (vcpu_state_init(vcpu_fd, err))
		return -1;
	/* The others wait for the kernel's INIT and SIPI. */
	return id == 0 ? vcpu_state_enter_kernel(vcpu_fd, boot->kernel->entry, err) : 0;
}
