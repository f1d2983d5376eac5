/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the calling thread runs the event loop with all devices of this process;
 * each vCPU has a thread. One lock guards everything but the vCPUs' own state: the loop holds it
 * around each callback, a vCPU's thread around each exit. Kicks of the queues and interrupts pass
 * by the lock, through KVM's eventfds, straight to the loop or to a worker.
 *
 * The machine ends when the container says so, when a vCPU stops, or when a worker dies: whoever
 * sees it first records why and stops the loop.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "vmm/arch/arch.h"
#include "vmm/container.h"
#include "vmm/event_loop.h"
#include "vmm/guest_memory.h"
#include "vmm/initramfs.h"
#include "vmm/irq.h"
#include "vmm/kernel_load.h"
#include "vmm/kvm.h"
#include "vmm/last_words.h"
#include "vmm/memslot.h"
#include "vmm/mmio_bus.h"
#include "vmm/net_plugs.h"
#include "vmm/shm_window.h"
#include "vmm/vcpu.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/net.h"
#include "vmm/virtio/rng.h"
#include "vmm/virtio/transport_mmio.h"
#include "vmm/virtio/vhost_user.h"
#include "vmm/virtio/vsock.h"

#define CMDLINE_MAX 4096u
/* Shared-memory windows lie at multiples of this, so that any page size can map them. */
#define WINDOW_ALIGN (1ull << 30)
#define REGISTERS_SIZE ((size_t)ARCH_MMIO_DEVICES_MAX * TRANSPORT_MMIO_SIZE)

/*
 * What every guest kernel is told. tsc=reliable and random.trust_cpu=on spare it measurements at
 * boot; swiotlb=noforce a bounce buffer that virtio here never uses; dummy.numdummies=0 an
 * interface that nobody asked for; reboot=t makes a reset a triple fault, which KVM reports at
 * once; panic=-1 makes a panic a reset, and oops=panic an oops: what it leaves behind are locks
 * that nobody releases and a container that hangs; earlyprintk is for those that die before they
 * have a console.
 */
#define CMDLINE_BASE                                                                           \
	"console=hvc0 quiet reboot=t panic=-1 oops=panic tsc=reliable swiotlb=noforce "        \
	"8250.nr_uarts=0 dummy.numdummies=0 random.trust_cpu=on "                              \
	"earlyprintk=serial,ttyS0,115200"
/*
 * For a kernel without initramfs support: the agent lies in the export. "rw", since the agent mounts
 * the export a second time, which shares the superblock; its top is read-only on the host.
 */
#define CMDLINE_NO_INITRD                                                                      \
	" rootfstype=virtiofs root=" AGENT_FS_TAG " rw init=/" AGENT_FS_AGENT

struct machine {
	const struct vmm_config *cfg; /* borrowed from main() */
	pthread_mutex_t lock;
	struct event_loop *loop;
	struct kvm kvm;
	struct guest_memory mem;
	struct mmio_bus mmio;
	struct serial serial;
	int console_fd; /* owned */
	struct last_words last_words;
	struct virtio_transport *transports[ARCH_MMIO_DEVICES_MAX];
	struct irq_line lines[ARCH_MMIO_DEVICES_MAX];
	size_t num_transports;
	uint8_t *registers; /* owned: REGISTERS_SIZE bytes, a page a device; NULL: none needed */
	struct shm_window *gpu_window;
	struct vsock *vsock; /* borrowed from its transport */
	struct virtio_device *nets[VMM_NET_MAX]; /* borrowed likewise; NULL: none */
	struct net_plugs *net_plugs;
	struct container *container;
	struct kernel_image kernel;
	struct arch_boot boot;
	char cmdline[CMDLINE_MAX];
	struct vcpus *vcpus;
	bool ended; /* the container did: wait_status is valid */
	int wait_status;
	char *failure; /* owned: why the machine ended otherwise */
};

/* Record the end of the machine, the first one counts. With the lock held, on any thread. */
__attribute__((format(printf, 2, 3))) static void machine_stop(struct machine *m, const char *fmt,
							       ...)
{
	va_list ap;

	if (m->ended || m->failure)
		return;
	va_start(ap, fmt);
	if (vasprintf(&m->failure, fmt, ap) < 0)
		m->failure = NULL;
	va_end(ap);
	event_loop_stop(m->loop);
}

/* From the container's state machine. */

static void container_ended(void *data, int wait_status)
{
	struct machine *m = data;

	if (m->ended || m->failure)
		return;
	m->ended = true;
	m->wait_status = wait_status;
	event_loop_stop(m->loop);
}

static void container_failed(void *data, const char *why)
{
	machine_stop(data, "%s", why);
}

static int container_pause(void *data)
{
	struct machine *m = data;

	vcpus_pause(m->vcpus);
	return 0;
}

static int container_resume(void *data)
{
	struct machine *m = data;

	vcpus_run(m->vcpus);
	return 0;
}

/* From a worker's front end: no root file system, GPU or network can be taken from a guest. */
static void worker_died(void *data, const char *device, const char *why)
{
	struct machine *m = data;

	machine_stop(m, "the %s device's worker is lost: %s", device, why);
}

/* From the vCPUs. */

static void vcpu_mmio(void *data, uint64_t gpa, void *buf, size_t len, bool write)
{
	struct machine *m = data;

	pthread_mutex_lock(&m->lock);
	mmio_bus_access(&m->mmio, gpa, buf, len, write);
	pthread_mutex_unlock(&m->lock);
}

static void vcpu_pio(void *data, uint16_t port, void *buf, size_t len, bool write)
{
	struct machine *m = data;

	pthread_mutex_lock(&m->lock);
	serial_access(&m->serial, port, buf, len, write);
	if (write && len == 1 && serial_is_data(port))
		last_words_scan(&m->last_words, buf, 1);
	pthread_mutex_unlock(&m->lock);
}

static void vcpu_stopped(void *data, const char *why)
{
	struct machine *m = data;
	const char *words;

	pthread_mutex_lock(&m->lock);
	serial_flush(&m->serial);
	words = last_words(&m->last_words);
	if (why)
		machine_stop(m, "%s", why);
	else if (words)
		machine_stop(m, "the guest stopped: %s", words);
	else
		machine_stop(m, "the guest stopped before the container's process ended");
	pthread_mutex_unlock(&m->lock);
}

/* Building. */

struct machine *machine_create(const struct vmm_config *cfg, int fds[VMM_FD_COUNT],
			       struct error **err)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m) {
		error_set(err, ENOMEM, "cannot make a machine");
		return NULL;
	}
	m->cfg = cfg;
	m->console_fd = -1;
	m->mem.memfd = -1;
	pthread_mutex_init(&m->lock, NULL);
	if (kvm_create(&m->kvm, steal_fd(&fds[VMM_FD_KVM]), err))
		goto fail;
	m->loop = event_loop_create(&m->lock, err);
	if (!m->loop || guest_memory_create(&m->mem, cfg->ram_bytes, ARCH_LOW_RAM_MAX, err) ||
	    memslot_add_ram(&m->kvm, &m->mem, err) || arch_vm_init(&m->kvm, err))
		goto fail;
	m->boot.vcpus = cfg->vcpus;
	if (m->boot.vcpus > m->kvm.max_vcpus)
		m->boot.vcpus = m->kvm.max_vcpus;
	return m;
fail:
	machine_free(m);
	return NULL;
}

static void transport_read(void *data, uint64_t offset, void *buf, size_t len)
{
	transport_mmio_read(data, offset, buf, len);
}

static void transport_write(void *data, uint64_t offset, const void *buf, size_t len)
{
	transport_mmio_write(data, offset, buf, len);
}

/* Whoever has only an eventfd interrupts by it; this process does without. */
static int attach_line(struct machine *m, struct virtio_transport *t,
		       const struct virtio_device *dev, size_t n, struct error **err)
{
	const struct transport_line line = { irq_line_pulse, &m->lines[n] };

	m->lines[n] = (struct irq_line){ &m->kvm, ARCH_MMIO_FIRST_GSI + (uint32_t)n };
	if (dev->irqfd)
		return irq_attach(&m->kvm, m->lines[n].gsi, transport_mmio_irq_fd(t), err);
	transport_mmio_set_line(t, &line);
	return 0;
}

/*
 * An interrupt of a device whose queues are not this loop's is no exit to us: the driver reads the
 * registers from a page, and what it acknowledges by stays with KVM.
 */
static int attach_page(struct machine *m, struct virtio_transport *t, size_t n, struct error **err)
{
	const uint64_t base = ARCH_MMIO_BASE + n * TRANSPORT_MMIO_SIZE;
	const int ack = transport_mmio_ack_fd(t);
	uint8_t *page;

	if (ack < 0)
		return 0;
	if (irq_attach_kick(&m->kvm, base + TRANSPORT_MMIO_ACK, 1, ack, err))
		return -1;
	if (!m->kvm.readonly_mem)
		return 0;
	if (!m->registers) {
		m->registers = mmap(NULL, REGISTERS_SIZE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m->registers == MAP_FAILED) {
			m->registers = NULL;
			return error_set(err, errno, "cannot make the devices' registers");
		}
	}
	page = m->registers + n * TRANSPORT_MMIO_SIZE;
	transport_mmio_set_page(t, page);
	return memslot_add_readonly(&m->kvm, base, TRANSPORT_MMIO_SIZE, page, err);
}

/* Plug in a device at the next address and interrupt line. @dev is owned from now on. */
static int add_device(struct machine *m, struct virtio_device *dev, struct error **err)
{
	const size_t n = m->num_transports;
	const uint64_t base = ARCH_MMIO_BASE + n * TRANSPORT_MMIO_SIZE;
	const unsigned int queues = dev->ops->num_queues;
	struct mmio_range range = { base, TRANSPORT_MMIO_SIZE, transport_read, transport_write,
				    NULL };
	struct virtio_transport *t = transport_mmio_create(dev, m->loop, err);

	if (!t)
		return -1;
	range.data = t;
	if (n == ARCH_MMIO_DEVICES_MAX || mmio_bus_add(&m->mmio, &range)) {
		transport_mmio_free(t);
		return error_set(err, ENOSPC, "the machine has too many devices");
	}
	m->transports[m->num_transports++] = t;
	if (attach_line(m, t, dev, n, err))
		return -1;
	for (unsigned int i = 0; i < queues; i++)
		if (irq_attach_kick(&m->kvm, base + TRANSPORT_MMIO_QUEUE_NOTIFY, i,
				    transport_mmio_kick_fd(t, i), err))
			return -1;
	return attach_page(m, t, n, err);
}

static uint64_t ram_end(const struct guest_memory *gm)
{
	const struct guest_region *last = &gm->regions[gm->count - 1];

	return last->gpa + last->size;
}

/* The GPU's host-visible memory lies above all RAM. */
static int add_gpu_window(struct machine *m, struct error **err)
{
	const uint64_t above = ram_end(&m->mem) > (4ull << 30) ? ram_end(&m->mem) : 4ull << 30;
	const uint64_t gpa = (above + WINDOW_ALIGN - 1) & ~(WINDOW_ALIGN - 1);
	const unsigned int bits = arch_vm_address_bits(&m->kvm);

	if (m->cfg->gpu_window > (1ull << bits) - gpa)
		return error_set(err, ERANGE, "this CPU's %u-bit addresses have no room for a GPU "
				 "window of %llu MiB", bits,
				 (unsigned long long)(m->cfg->gpu_window >> 20));
	m->gpu_window = shm_window_create(gpa, m->cfg->gpu_window, err);
	if (!m->gpu_window)
		return -1;
	return memslot_add(&m->kvm, gpa, m->cfg->gpu_window, shm_window_hva(m->gpu_window), err);
}

static int add_workers(struct machine *m, int fds[VMM_FD_COUNT], struct error **err)
{
	const struct vhost_user_host host = { .died = worker_died, .data = m };
	struct virtio_device *dev;

	if (fds[VMM_FD_FS] >= 0) {
		dev = vhost_user_fs_create(&m->mem, m->loop, steal_fd(&fds[VMM_FD_FS]),
					   AGENT_FS_TAG, &host, err);
		if (!dev || add_device(m, dev, err))
			return -1;
	}
	if (fds[VMM_FD_GPU] >= 0) {
		if (m->cfg->gpu_window && add_gpu_window(m, err))
			return -1;
		dev = vhost_user_gpu_create(&m->mem, m->loop, steal_fd(&fds[VMM_FD_GPU]),
					    m->gpu_window, &host, err);
		if (!dev || add_device(m, dev, err))
			return -1;
	}
	return 0;
}

_Static_assert(NET_PAIRS_MAX == VMM_NET_QUEUES_MAX, "as the command line counts them");

static int add_nets(struct machine *m, int fds[VMM_FD_COUNT], struct error **err)
{
	const struct vhost_user_host host = { .died = worker_died, .data = m };

	if (fds[VMM_FD_NET_WORKER] >= 0) {
		struct virtio_device *dev =
			vhost_user_net_create(&m->mem, m->loop, steal_fd(&fds[VMM_FD_NET_WORKER]),
					      m->cfg->net[0].mac, m->cfg->net[0].mtu, &host, err);

		return dev ? add_device(m, dev, err) : -1;
	}
	for (size_t i = 0; i < VMM_NET_MAX; i++) {
		const struct vmm_net *n = &m->cfg->net[i];

		if (!n->mtu)
			continue;
		m->nets[i] = net_create(&m->mem, m->loop, &fds[VMM_FD_NET + i * VMM_NET_QUEUES_MAX],
					&fds[VMM_FD_VHOST + i * VMM_NET_QUEUES_MAX],
					n->mac, n->mtu, m->cfg->net_queues, err);
		if (!m->nets[i] || add_device(m, m->nets[i], err))
			return -1;
	}
	return 0;
}

int machine_add_devices(struct machine *m, int fds[VMM_FD_COUNT], struct error **err)
{
	struct virtio_device *dev;

	m->console_fd = m->serial.out_fd = steal_fd(&fds[VMM_FD_CONSOLE]);
	dev = console_create(&m->mem, m->console_fd, &m->last_words, err);
	if (!dev || add_device(m, dev, err))
		return -1;
	m->vsock = vsock_create(&m->mem, m->loop, err);
	if (!m->vsock || add_device(m, vsock_device(m->vsock), err))
		return -1;
	dev = rng_create(&m->mem, err);
	if (!dev || add_device(m, dev, err))
		return -1;
	if (add_nets(m, fds, err))
		return -1;
	return add_workers(m, fds, err);
}

static int build_cmdline(struct machine *m, struct error **err)
{
	FILE *f = fmemopen(m->cmdline, sizeof(m->cmdline), "w");
	bool full;

	if (!f)
		return error_set(err, errno, "cannot write the guest kernel's command line");
	fputs(CMDLINE_BASE, f);
	if (m->kernel.no_initrd)
		fputs(CMDLINE_NO_INITRD, f);
	for (size_t i = 0; i < m->num_transports; i++)
		fprintf(f, " virtio_mmio.device=4K@0x%zx:%zu",
			ARCH_MMIO_BASE + i * TRANSPORT_MMIO_SIZE, ARCH_MMIO_FIRST_GSI + i);
	if (*m->cfg->cmdline_extra)
		fprintf(f, " %s", m->cfg->cmdline_extra);
	full = fflush(f) != 0 || ftell(f) >= (long)sizeof(m->cmdline);
	fclose(f);
	log_debug("guest kernel command line: %s", m->cmdline);
	return full ? error_set(err, E2BIG, "the guest kernel's command line is too long") : 0;
}

int machine_load(struct machine *m, int fds[VMM_FD_COUNT], struct error **err)
{
	cleanup_close int kernel_fd = steal_fd(&fds[VMM_FD_KERNEL]);
	cleanup_close int agent_fd = steal_fd(&fds[VMM_FD_AGENT]);
	int r;

	if (m->cfg->kernel == VMM_KERNEL_KRUNFW)
		r = kernel_load_krunfw(&m->mem, m->cfg->kernel_path, &m->kernel, err);
	else
		r = kernel_load_file(&m->mem, kernel_fd, m->cfg->kernel_path, &m->kernel, err);
	if (r)
		return -1;
	if (!m->kernel.no_initrd &&
	    initramfs_build(&m->mem, agent_fd, m->kernel.end, &m->boot.initramfs_gpa,
			    &m->boot.initramfs_size, err))
		return -1;
	if (build_cmdline(m, err))
		return -1;
	m->boot.kernel = &m->kernel;
	m->boot.cmdline = m->cmdline;
	return arch_boot_write(&m->mem, &m->boot, err);
}

int machine_start_devices(struct machine *m, struct error **err)
{
	for (size_t i = 0; i < VMM_NET_MAX; i++)
		if (m->nets[i] && net_start(m->nets[i], err))
			return -1;
	return 0;
}

int machine_add_vcpus(struct machine *m, struct error **err)
{
	const struct vcpu_host host = {
		.mmio = vcpu_mmio, .pio = vcpu_pio, .stopped = vcpu_stopped, .data = m,
	};

	m->vcpus = vcpus_create(&m->kvm, &m->boot, &host, err);
	if (!m->vcpus)
		return -1;
	kvm_close_device(&m->kvm);
	return 0;
}

int machine_add_container(struct machine *m, int fds[VMM_FD_COUNT], int setup, struct error **err)
{
	const struct container_host host = {
		.ended = container_ended,
		.failed = container_failed,
		.pause = container_pause,
		.resume = container_resume,
		.data = m,
	};

	m->container = container_create(m->loop, m->vsock, m->cfg, fds, setup, &host, err);
	if (!m->container)
		return -1;
	if (fds[VMM_FD_NET_WATCH] < 0)
		return 0;
	m->net_plugs = net_plugs_create(m->loop, steal_fd(&fds[VMM_FD_NET_WATCH]), m->cfg, m->nets,
					m->container, err);
	return m->net_plugs ? 0 : -1;
}

int machine_run(struct machine *m, int *wait_status, struct error **err)
{
	int r;

	vcpus_run(m->vcpus);
	r = event_loop_run(m->loop);
	if (r)
		return error_set(err, -r, "the event loop failed");
	if (!m->ended)
		return error_set(err, 0, "%s", m->failure ? m->failure : "out of memory");
	*wait_status = m->wait_status;
	return 0;
}

void machine_fail(struct machine *m, const char *why)
{
	pthread_mutex_lock(&m->lock);
	container_machine_failed(m->container, why);
	pthread_mutex_unlock(&m->lock);
}

bool machine_creator_told(struct machine *m)
{
	/* A container that could not be begun has told it. */
	return !m->container || container_creator_told(m->container);
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	vcpus_free(m->vcpus);
	net_plugs_free(m->net_plugs);
	container_free(m->container);
	for (size_t i = 0; i < m->num_transports; i++)
		transport_mmio_free(m->transports[i]);
	if (m->registers)
		munmap(m->registers, REGISTERS_SIZE);
	shm_window_free(m->gpu_window);
	guest_memory_release(&m->mem);
	kvm_release(&m->kvm);
	event_loop_free(m->loop);
	if (m->console_fd >= 0)
		close(m->console_fd);
	pthread_mutex_destroy(&m->lock);
	free(m->failure);
	free(m);
}
