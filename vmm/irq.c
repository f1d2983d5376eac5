/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/irq.h"

#include <linux/kvm.h>

#include "base/error.h"
#include "vmm/kvm.h"

int irq_attach(struct kvm *kvm, uint32_t gsi, int eventfd, struct error **err)
{
	const struct kvm_irqfd irqfd = { .fd = (uint32_t)eventfd, .gsi = gsi };
	int r = kvm_ioctl_ptr(kvm->vm_fd, KVM_IRQFD, &irqfd);

	return r < 0 ? error_set(err, -r, "KVM refuses an irqfd for gsi %u", gsi) : 0;
}

void irq_line_pulse(void *line)
{
	const struct irq_line *l = line;

	for (uint32_t level = 2; level-- > 0;) {
		const struct kvm_irq_level irq = { .irq = l->gsi, .level = level };

		kvm_ioctl_ptr(l->kvm->vm_fd, KVM_IRQ_LINE, &irq);
	}
}

int irq_attach_kick(struct kvm *kvm, uint64_t gpa, uint32_t value, int eventfd, struct error **err)
{
	const struct kvm_ioeventfd io = {
		.datamatch = value,
		.addr = gpa,
		.len = sizeof(value),
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	int r = kvm_ioctl_ptr(kvm->vm_fd, KVM_IOEVENTFD, &io);

	return r < 0 ? error_set(err, -r, "KVM refuses an ioeventfd at 0x%llx",
				 (unsigned long long)gpa) : 0;
}
