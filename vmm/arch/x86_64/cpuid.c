/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: KVM_GET_SUPPORTED_CPUID answers what the host's CPU and KVM can do, with the
 * topology of the CPU that asked. Features go to the guest as they are, but for nested
 * virtualization and performance counters, which containers do not need and which widen what a
 * guest can reach in the host's kernel. Topology leaves are rewritten: the guest sees one package
 * with as many single-threaded cores as it has vCPUs, so that its scheduler assumes nothing about
 * siblings and caches that is not so.
 */
#include "vmm/arch/x86_64/cpuid.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>

#include "base/error.h"
#include "vmm/kvm.h"

#define MAX_ENTRIES 256u

/* Leaf 1 */
#define ECX1_VMX (1u << 5)
#define ECX1_TSC_DEADLINE (1u << 24)
#define ECX1_HYPERVISOR (1u << 31)
#define EDX1_HTT (1u << 28)
/* Leaf 0x80000001 */
#define ECX81_CMP_LEGACY (1u << 1)
#define ECX81_SVM (1u << 2)
#define ECX81_PERFCTR_CORE (1u << 23)
#define ECX81_PERFCTR_NB (1u << 24)
#define ECX81_PERFCTR_LLC (1u << 28)

enum { LEVEL_SMT = 1, LEVEL_CORE = 2 };

static uint32_t field_set(uint32_t word, unsigned int shift, unsigned int width, uint32_t value)
{
	const uint32_t mask = ((1u << width) - 1) << shift;

	return (word & ~mask) | ((value << shift) & mask);
}

static uint32_t flag_set(uint32_t word, uint32_t flag, bool on)
{
	return on ? word | flag : word & ~flag;
}

/* How many bits of the APIC id tell cores apart. */
static unsigned int core_bits(unsigned int cpus)
{
	unsigned int bits = 0;

	while ((1u << bits) < cpus)
		bits++;
	return bits;
}

static void adapt_features(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	e->ebx = field_set(e->ebx, 16, 8, t->cpus);
	e->ebx = field_set(e->ebx, 24, 8, t->id);
	e->ecx = flag_set(e->ecx, ECX1_HYPERVISOR, true);
	e->ecx = flag_set(e->ecx, ECX1_TSC_DEADLINE, t->tsc_deadline);
	e->ecx = flag_set(e->ecx, ECX1_VMX, false);
	e->edx = flag_set(e->edx, EDX1_HTT, t->cpus > 1);
}

/* Leaf 4 (Intel) and 0x8000001d (AMD): one for each cache. The last level is shared by all. */
static void adapt_cache(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	const uint32_t type = e->eax & 0x1f, level = (e->eax >> 5) & 0x7;

	if (!type)
		return; /* no more caches */
	e->eax = field_set(e->eax, 14, 12, level >= 3 ? (1u << core_bits(t->cpus)) - 1 : 0);
	if (e->function == 4)
		e->eax = field_set(e->eax, 26, 6, (1u << core_bits(t->cpus)) - 1);
}

/* Leaf 0xb and 0x1f: extended topology. */
static void adapt_topology(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	e->eax = e->ebx = 0;
	e->ecx = e->index & 0xff;
	e->edx = t->id;
	if (e->index == 0) {
		e->ebx = 1;
		e->ecx |= LEVEL_SMT << 8;
	} else if (e->index == 1) {
		e->eax = core_bits(t->cpus);
		e->ebx = t->cpus;
		e->ecx |= LEVEL_CORE << 8;
	}
}

static void adapt_amd_features(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	const uint32_t counters = ECX81_PERFCTR_CORE | ECX81_PERFCTR_NB | ECX81_PERFCTR_LLC;

	e->ecx = flag_set(e->ecx, ECX81_SVM | counters, false);
	if (e->ecx & ECX81_CMP_LEGACY)
		e->ecx = flag_set(e->ecx, ECX81_CMP_LEGACY, t->cpus > 1);
}

static void adapt_entry(struct kvm_cpuid_entry2 *e, const struct cpuid_topology *t)
{
	switch (e->function) {
	case 0x1:
		adapt_features(e, t);
		break;
	case 0x4:
	case 0x8000001d:
		adapt_cache(e, t);
		break;
	case 0xa: /* Intel's performance counters */
	case 0x80000022: /* AMD's */
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xb:
	case 0x1f:
		adapt_topology(e, t);
		break;
	case 0x80000001:
		adapt_amd_features(e, t);
		break;
	case 0x80000008: /* AMD: number of cores, and bits of the APIC id */
		e->ecx = field_set(e->ecx, 0, 8, t->cpus - 1);
		e->ecx = field_set(e->ecx, 12, 4, core_bits(t->cpus));
		break;
	case 0x8000001e: /* AMD: APIC id, core id with one thread, node 0 of one */
		e->eax = t->id;
		e->ebx = t->id & 0xff;
		e->ecx = 0;
		break;
	}
}

/* Entry of a leaf and subleaf; added when KVM gave none and there is room. */
static void entry_ensure(struct kvm_cpuid2 *c, uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && c->entries[i].index == index)
			return;
	if (c->nent < MAX_ENTRIES)
		c->entries[c->nent++] = (struct kvm_cpuid_entry2){
			.function = function, .index = index,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		};
}

static bool has_leaf(const struct kvm_cpuid2 *c, uint32_t function)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function)
			return true;
	return false;
}

void cpuid_adapt(struct kvm_cpuid2 *c, const struct cpuid_topology *t)
{
	/* Both levels must be there to be found, and something that ends the list. */
	for (uint32_t index = 0; index < 3; index++) {
		if (has_leaf(c, 0xb))
			entry_ensure(c, 0xb, index);
		if (has_leaf(c, 0x1f))
			entry_ensure(c, 0x1f, index);
	}
	for (uint32_t i = 0; i < c->nent; i++)
		adapt_entry(&c->entries[i], t);
}

struct kvm_cpuid2 *cpuid_supported(struct kvm *kvm, struct error **err)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + MAX_ENTRIES * sizeof(c->entries[0]));
	int r = -ENOMEM;

	if (c) {
		c->nent = MAX_ENTRIES;
		r = kvm_ioctl_ptr(kvm->dev_fd, KVM_GET_SUPPORTED_CPUID, c);
	}
	if (r < 0) {
		error_set(err, -r, "cannot learn what CPU features KVM offers");
		free(c);
		return NULL;
	}
	return c;
}
