/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/memslot.h"

#include <linux/kvm.h>

#include "base/error.h"
#include "vmm/guest_memory.h"
#include "vmm/kvm.h"

static int add(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, uint32_t flags,
	       struct error **err)
{
	const struct kvm_userspace_memory_region region = {
		.slot = kvm->next_slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};
	int r = kvm_ioctl_ptr(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region);

	if (r < 0)
		return error_set(err, -r, "KVM refuses %llu MiB of memory at 0x%llx",
				 (unsigned long long)(size >> 20), (unsigned long long)gpa);
	kvm->next_slot++;
	return 0;
}

int memslot_add(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, struct error **err)
{
	return add(kvm, gpa, size, hva, 0, err);
}

int memslot_add_readonly(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva,
			 struct error **err)
{
	return add(kvm, gpa, size, hva, KVM_MEM_READONLY, err);
}

int memslot_add_ram(struct kvm *kvm, const struct guest_memory *gm, struct error **err)
{
	for (size_t i = 0; i < gm->count; i++) {
		const struct guest_region *r = &gm->regions[i];

		if (memslot_add(kvm, r->gpa, r->size, r->hva, err))
			return -1;
	}
	return 0;
}
