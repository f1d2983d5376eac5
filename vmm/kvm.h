/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/** struct kvm - a virtual machine as KVM knows it */
struct kvm {
	int dev_fd;	 /* owned: /dev/kvm; -1 after kvm_close_device() */
	int vm_fd;	 /* owned */
	size_t run_size; /* bytes of a vCPU's struct kvm_run mapping */
	unsigned int max_vcpus;
	bool readonly_mem; /* memslots that the guest cannot write to */
	uint32_t next_slot; /* memslots are numbered in the order they come */
};

/**
 * kvm_create() - check what this host's KVM can do and make a VM
 * @dev_fd: /dev/kvm, owned from now on, also when this fails
 *
 * Every capability that the machine relies on is asked for by name, so that a host that lacks one
 * is told here.
 */
int kvm_create(struct kvm *kvm, int dev_fd, struct error **err);

/** kvm_close_device() - give up /dev/kvm once all vCPUs are made: no further VM can be created */
void kvm_close_device(struct kvm *kvm);

void kvm_release(struct kvm *kvm);

/** kvm_ioctl() - ioctl() that restarts after EINTR; its answer, or -errno */
int kvm_ioctl(int fd, unsigned long request, unsigned long arg);
#define kvm_ioctl_ptr(fd, request, p) kvm_ioctl(fd, request, (unsigned long)(uintptr_t)(p))

#endif
