/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

/* The eventfds between KVM and whoever serves a device, in this process or in a worker. */

#include <stdint.h>

struct error;
struct kvm;

/** irq_attach() - have @eventfd raise interrupt line @gsi (edge-triggered) */
int irq_attach(struct kvm *kvm, uint32_t gsi, int eventfd, struct error **err);

/** struct irq_line - an interrupt line that this process pulses itself */
struct irq_line {
	const struct kvm *kvm; /* borrowed */
	uint32_t gsi;
};

/**
 * irq_line_pulse() - raise and lower a line
 * @line: a struct irq_line; on any thread, but not on two at once, nor with an irqfd for the same gsi
 */
void irq_line_pulse(void *line);

/** irq_attach_kick() - have the guest's 32-bit write of @value to @gpa signal @eventfd */
int irq_attach_kick(struct kvm *kvm, uint64_t gpa, uint32_t value, int eventfd,
		    struct error **err);

#endif
