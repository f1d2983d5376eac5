/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_X86_64_CPUID_H
#define VMM_ARCH_X86_64_CPUID_H

#include <stdbool.h>

struct error;
struct kvm;
struct kvm_cpuid2;

/** struct cpuid_topology - one package of single-threaded cores; APIC ids are 0 to cpus - 1 */
struct cpuid_topology {
	unsigned int id; /* of this vCPU, its APIC id */
	unsigned int cpus;
	bool tsc_deadline; /* KVM emulates the local APIC's TSC-deadline timer */
};

/** cpuid_supported() - what this host's KVM can offer; malloc'ed, NULL on error */
struct kvm_cpuid2 *cpuid_supported(struct kvm *kvm, struct error **err);

/** cpuid_adapt() - turn the host's answers in @c into those of one vCPU of ours */
void cpuid_adapt(struct kvm_cpuid2 *c, const struct cpuid_topology *t);

#endif
