/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MEMSLOT_H
#define VMM_MEMSLOT_H

#include <stdint.h>

struct error;
struct guest_memory;
struct kvm;

/** memslot_add() - let the guest see @size bytes of ours at @hva as its @gpa; page aligned */
int memslot_add(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva, struct error **err);

/**
 * memslot_add_readonly() - the same, but what the guest writes there is an exit or an ioeventfd's
 *
 * Only where kvm.readonly_mem says that KVM can.
 */
int memslot_add_readonly(struct kvm *kvm, uint64_t gpa, uint64_t size, void *hva,
			 struct error **err);

/** memslot_add_ram() - one memslot for each region of RAM */
int memslot_add_ram(struct kvm *kvm, const struct guest_memory *gm, struct error **err);

#endif
