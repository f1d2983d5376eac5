/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a vCPU's thread runs KVM_RUN in a loop and handles its exits. To take it out
 * of the guest, its kvm_run's immediate_exit is set and its thread gets VCPU_KICK_SIGNAL, whose
 * handler does nothing: whether the signal arrives before, in or after KVM_RUN, the ioctl returns.
 * What the threads are to do (@mode) changes under @lock only; immediate_exit is cleared by its own
 * thread, under @lock, so that no kick is lost.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/kvm.h"

#define VCPU_KICK_SIGNAL SIGRTMIN

enum vcpu_mode { VCPUS_PAUSED, VCPUS_RUNNING, VCPUS_ENDING };

struct vcpu {
	struct vcpus *all; /* the group it belongs to */
	unsigned int id;
	int fd;		     /* owned */
	struct kvm_run *run; /* owned mapping of all->run_size bytes */
	pthread_t thread;
	bool has_thread;
};

struct vcpus {
	struct vcpu_host host;
	size_t run_size;
	pthread_mutex_t lock;
	pthread_cond_t mode_changed;
	enum vcpu_mode mode;
	unsigned int count;
	struct vcpu vcpu[];
};

static void kick_handler(int signo)
{
	(void)signo;
}

static void install_kick_handler(void)
{
	struct sigaction sa = { .sa_handler = kick_handler }; /* no SA_RESTART */

	sigemptyset(&sa.sa_mask);
	sigaction(VCPU_KICK_SIGNAL, &sa, NULL);
}

/* Wait until the vCPU may enter the guest; false: the thread is to end. */
static bool vcpu_may_enter(struct vcpu *v)
{
	struct vcpus *all = v->all;
	bool paused = false, enter;

	if (__atomic_load_n(&all->mode, __ATOMIC_RELAXED) == VCPUS_RUNNING &&
	    !__atomic_load_n(&v->run->immediate_exit, __ATOMIC_RELAXED))
		return true;
	pthread_mutex_lock(&all->lock);
	while (all->mode == VCPUS_PAUSED) {
		paused = true;
		pthread_cond_wait(&all->mode_changed, &all->lock);
	}
	enter = all->mode == VCPUS_RUNNING;
	if (enter)
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&all->lock);
	/* Tell a guest that uses kvmclock, so that its watchdogs do not bark. Others: EINVAL. */
	if (enter && paused)
		kvm_ioctl(v->fd, KVM_KVMCLOCK_CTRL, 0);
	return enter;
}

static void vcpu_fail(struct vcpu *v, const char *what, unsigned long long code)
{
	char where[192], why[320];

	arch_vcpu_describe(v->fd, where, sizeof(where));
	snprintf(why, sizeof(why), "vCPU %u: %s (0x%llx) at %s", v->id, what, code, where);
	v->all->host.stopped(v->all->host.data, why);
}

static void vcpu_exit_io(struct vcpu *v)
{
	const struct vcpu_host *host = &v->all->host;
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size)
		host->pio(host->data, run->io.port, data, run->io.size,
			  run->io.direction == KVM_EXIT_IO_OUT);
}

/* Handle one exit; false: this vCPU is done. */
static bool vcpu_handle_exit(struct vcpu *v)
{
	const struct vcpu_host *host = &v->all->host;
	struct kvm_run *run = v->run;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		vcpu_exit_io(v);
		return true;
	case KVM_EXIT_MMIO:
		host->mmio(host->data, run->mmio.phys_addr, run->mmio.data, run->mmio.len,
			   run->mmio.is_write);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_SHUTDOWN: /* a triple fault: how our guests reset, see reboot=t */
	case KVM_EXIT_SYSTEM_EVENT:
		host->stopped(host->data, NULL);
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu_fail(v, "the CPU refuses to enter the guest",
			  run->fail_entry.hardware_entry_failure_reason);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		vcpu_fail(v, "KVM cannot emulate what the guest does", run->internal.suberror);
		return false;
	default:
		vcpu_fail(v, "KVM left the guest for an unknown reason", run->exit_reason);
		return false;
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *v = arg;

	while (vcpu_may_enter(v)) {
		/* Not kvm_ioctl(): EINTR is the kick. */
		if (ioctl(v->fd, KVM_RUN, 0) == 0) {
			if (!vcpu_handle_exit(v))
				break;
		} else if (errno == EFAULT) {
			vcpu_fail(v, "the guest touched memory that is not there", EFAULT);
			break;
		} else if (errno != EINTR && errno != EAGAIN) {
			vcpu_fail(v, "KVM_RUN failed", (unsigned long long)errno);
			break;
		}
	}
	return NULL;
}

static int vcpu_init(struct vcpus *all, unsigned int id, struct kvm *kvm,
		     const struct arch_boot *boot, struct error **err)
{
	struct vcpu *v = &all->vcpu[id];
	void *run;
	int r;

	v->all = all;
	v->id = id;
	v->fd = kvm_ioctl(kvm->vm_fd, KVM_CREATE_VCPU, id);
	if (v->fd < 0)
		return error_set(err, -v->fd, "KVM cannot make vCPU %u", id);
	run = mmap(NULL, kvm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (run == MAP_FAILED)
		return error_set(err, errno, "cannot map KVM's area of vCPU %u", id);
	v->run = run;
	if (arch_vcpu_init(kvm, v->fd, id, boot, err))
		return -1;
	r = pthread_create(&v->thread, NULL, vcpu_thread, v);
	if (r)
		return error_set(err, r, "cannot make a thread for vCPU %u", id);
	v->has_thread = true;
	return 0;
}

struct vcpus *vcpus_create(struct kvm *kvm, const struct arch_boot *boot,
			   const struct vcpu_host *host, struct error **err)
{
	struct vcpus *all = calloc(1, sizeof(*all) + boot->vcpus * sizeof(all->vcpu[0]));

	if (!all) {
		error_set(err, ENOMEM, "cannot make vCPUs");
		return NULL;
	}
	install_kick_handler();
	all->host = *host;
	all->run_size = kvm->run_size;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->mode_changed, NULL);
	for (unsigned int i = 0; i < boot->vcpus; i++)
		all->vcpu[i].fd = -1;
	all->count = boot->vcpus;
	for (unsigned int i = 0; i < all->count; i++) {
		if (vcpu_init(all, i, kvm, boot, err)) {
			vcpus_free(all);
			return NULL;
		}
	}
	return all;
}

/* Change what the threads are to do, and take them out of the guest so that they notice. */
static void vcpus_set_mode(struct vcpus *all, enum vcpu_mode mode)
{
	pthread_mutex_lock(&all->lock);
	__atomic_store_n(&all->mode, mode, __ATOMIC_RELAXED);
	for (unsigned int i = 0; mode != VCPUS_RUNNING && i < all->count; i++) {
		struct vcpu *v = &all->vcpu[i];

		if (!v->has_thread)
			continue;
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELAXED);
		pthread_kill(v->thread, VCPU_KICK_SIGNAL);
	}
	pthread_cond_broadcast(&all->mode_changed);
	pthread_mutex_unlock(&all->lock);
}

void vcpus_run(struct vcpus *all)
{
	vcpus_set_mode(all, VCPUS_RUNNING);
}

void vcpus_pause(struct vcpus *all)
{
	vcpus_set_mode(all, VCPUS_PAUSED);
}

void vcpus_free(struct vcpus *all)
{
	if (!all)
		return;
	vcpus_set_mode(all, VCPUS_ENDING);
	for (unsigned int i = 0; i < all->count; i++) {
		struct vcpu *v = &all->vcpu[i];

		if (v->has_thread)
			pthread_join(v->thread, NULL);
		if (v->run)
			munmap(v->run, all->run_size);
		if (v->fd >= 0)
			close(v->fd);
	}
	pthread_cond_destroy(&all->mode_changed);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
