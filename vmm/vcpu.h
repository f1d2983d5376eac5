/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

/* A machine's vCPUs, each with a thread of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arch_boot;
struct error;
struct kvm;
struct vcpus;

/** struct vcpu_host - where a vCPU's exits go; called on its thread, without any lock held */
struct vcpu_host {
	void (*mmio)(void *data, uint64_t gpa, void *buf, size_t len, bool write);
	void (*pio)(void *data, uint16_t port, void *buf, size_t len, bool write);
	/* The guest reset or powered off the machine (@why is NULL), or this vCPU cannot go on. */
	void (*stopped)(void *data, const char *why);
	void *data;
};

/**
 * vcpus_create() - make the vCPUs and their threads, which wait for vcpus_run()
 * @host: copied
 *
 * The threads exist early so that a seccomp filter can be put on all of them before they run.
 */
struct vcpus *vcpus_create(struct kvm *kvm, const struct arch_boot *boot,
			   const struct vcpu_host *host, struct error **err);

/** vcpus_run() - start, or go on after vcpus_pause() */
void vcpus_run(struct vcpus *v);

/**
 * vcpus_pause() - take all vCPUs out of the guest
 *
 * Does not wait: a vCPU may be on its way to the caller's lock. Each finishes the exit it is in.
 */
void vcpus_pause(struct vcpus *v);

/** vcpus_free() - end the threads and wait for them; no lock that an exit takes may be held */
void vcpus_free(struct vcpus *v);

#endif
