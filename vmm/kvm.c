/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/kvm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"

/* The stable KVM API has this number since Linux 2.6.22. */
#define KVM_API 12

struct needed_cap {
	int cap;
	const char *name, *why;
};

static const struct needed_cap needed_caps[] = {
	{ KVM_CAP_USER_MEMORY, "USER_MEMORY", "guest RAM is memory of the VMM" },
	{ KVM_CAP_IRQCHIP, "IRQCHIP", "interrupts are delivered inside the kernel" },
	{ KVM_CAP_IRQFD, "IRQFD", "devices interrupt the guest through eventfds" },
	{ KVM_CAP_IOEVENTFD, "IOEVENTFD", "the guest kicks devices through eventfds" },
	{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT", "vCPUs are stopped without a race" },
	{ KVM_CAP_SYNC_MMU, "SYNC_MMU", "memory is mapped while the guest runs" },
#ifdef __x86_64__
	{ KVM_CAP_SET_TSS_ADDR, "SET_TSS_ADDR", "vCPUs start in real mode" },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, "SET_IDENTITY_MAP_ADDR", "vCPUs start in real mode" },
	{ KVM_CAP_EXT_CPUID, "EXT_CPUID", "the guest is told what its CPU can do" },
#endif
};

int kvm_ioctl(int fd, unsigned long request, unsigned long arg)
{
	int r;

	do
		r = ioctl(fd, request, arg);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int check_caps(struct kvm *kvm, struct error **err)
{
	int r = kvm_ioctl(kvm->dev_fd, KVM_GET_API_VERSION, 0);

	if (r < 0)
		return error_set(err, -r, "/dev/kvm is not KVM's device");
	if (r != KVM_API)
		return error_set(err, 0, "KVM speaks version %d of its API, %d is needed", r,
				 KVM_API);
	for (size_t i = 0; i < sizeof(needed_caps) / sizeof(needed_caps[0]); i++) {
		const struct needed_cap *c = &needed_caps[i];

		if (kvm_ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, (unsigned long)c->cap) <= 0)
			return error_set(err, 0,
					 "this host's KVM lacks KVM_CAP_%s, which is needed: %s",
					 c->name, c->why);
	}
	kvm->readonly_mem = kvm_ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0;
	r = kvm_ioctl(kvm->dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	kvm->max_vcpus = r > 0 ? (unsigned int)r : 4; /* the API's documentation says 4 */
	return 0;
}

int kvm_create(struct kvm *kvm, int dev_fd, struct error **err)
{
	int r;

	*kvm = (struct kvm){ .dev_fd = dev_fd, .vm_fd = -1 };
	if (check_caps(kvm, err))
		goto fail;
	r = kvm_ioctl(dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < (int)sizeof(struct kvm_run)) {
		error_set(err, r < 0 ? -r : 0, "cannot learn the size of KVM's vCPU area");
		goto fail;
	}
	kvm->run_size = (size_t)r;
	r = kvm_ioctl(dev_fd, KVM_CREATE_VM, 0);
	if (r < 0) {
		error_set(err, -r, "KVM cannot make a virtual machine");
		goto fail;
	}
	kvm->vm_fd = r;
	return 0;
fail:
	kvm_release(kvm);
	return -1;
}

void kvm_close_device(struct kvm *kvm)
{
	if (kvm->dev_fd >= 0)
		close(kvm->dev_fd);
	kvm->dev_fd = -1;
}

void kvm_release(struct kvm *kvm)
{
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	kvm->vm_fd = -1;
	kvm_close_device(kvm);
}
