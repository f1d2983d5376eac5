/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net by the host kernel's vhost-net, where the container asks for it: a thread of the kernel
 * moves a pair's packets between guest memory and the tap, and reads the rings itself. What we do is
 * to tell it where they are; it hears kicks from the same eventfds as our own threads, and interrupts
 * the guest by the same one.
 *
 * It trusts what a guest writes into its rings no more than we do, but it is the host's kernel that
 * looks at it: that is why nobody has it without having asked.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vmm/guest_memory.h"
#include "vmm/virtio/net_priv.h"

/* What the rings look like is its matter; the rest is between the driver, the tap and us. */
#define VHOST_FEATURES                                                                     \
	(1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX |           \
	 1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_F_VERSION_1)

/* Of its two virtqueues. */
#define VHOST_RX 0u
#define VHOST_TX 1u

static int vhost_do(const struct net_pair *p, unsigned long request, const void *argument)
{
	return ioctl(p->vhost, request, argument) < 0 ? -errno : 0;
}

int net_vhost_offer(const struct net_pair *p, uint64_t *features)
{
	uint64_t has;
	int r = vhost_do(p, VHOST_GET_FEATURES, &has);

	if (r < 0)
		return r;
	if (!(has & 1ull << VIRTIO_F_VERSION_1))
		return -EOPNOTSUPP;
	*features &= has | ~VHOST_FEATURES;
	return 0;
}

int net_vhost_own(const struct net_pair *p)
{
	const struct guest_memory *mem = p->net->dev.mem;
	struct vhost_memory *table =
		calloc(1, sizeof(*table) + mem->count * sizeof(table->regions[0]));
	int r;

	if (!table)
		return -ENOMEM;
	table->nregions = (uint32_t)mem->count;
	for (size_t i = 0; i < mem->count; i++) {
		const struct guest_region *from = &mem->regions[i];

		table->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = from->gpa, .memory_size = from->size,
			.userspace_addr = (uintptr_t)from->hva,
		};
	}
	r = vhost_do(p, VHOST_SET_OWNER, NULL);
	if (r == 0)
		r = vhost_do(p, VHOST_SET_MEM_TABLE, table);
	free(table);
	return r;
}

static int set_up_queue(const struct net_pair *p, unsigned int index, unsigned int queue)
{
	struct virtio_device *dev = &p->net->dev;
	const struct virtqueue *vq = &dev->queues[queue];
	const struct vhost_vring_state size = { index, vq->size }, base = { index, 0 };
	const struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)vq->desc_ring,
		.used_user_addr = (uintptr_t)vq->used_ring,
		.avail_user_addr = (uintptr_t)vq->avail_ring,
	};
	const struct vhost_vring_file kick = { index, virtio_device_kick_fd(dev, queue) };
	const struct vhost_vring_file call = { index, virtio_device_call_fd(dev, queue) };
	int r = vhost_do(p, VHOST_SET_VRING_NUM, &size);

	if (r == 0)
		r = vhost_do(p, VHOST_SET_VRING_BASE, &base);
	if (r == 0)
		r = vhost_do(p, VHOST_SET_VRING_ADDR, &addr);
	if (r == 0)
		r = vhost_do(p, VHOST_SET_VRING_KICK, &kick);
	return r == 0 ? vhost_do(p, VHOST_SET_VRING_CALL, &call) : r;
}

int net_vhost_set_up(const struct net_pair *p)
{
	const uint64_t features = p->net->dev.features & VHOST_FEATURES;
	int r = vhost_do(p, VHOST_SET_FEATURES, &features);

	if (r == 0)
		r = set_up_queue(p, VHOST_RX, NET_QUEUE_RX(p->index));
	return r == 0 ? set_up_queue(p, VHOST_TX, NET_QUEUE_TX(p->index)) : r;
}

int net_vhost_update(struct net_pair *p)
{
	const int tap = p->live && p->attached ? p->tap : -1;
	int r = 0;

	if (tap == p->vhost_tap)
		return 0;
	for (unsigned int i = VHOST_RX; i <= VHOST_TX && r == 0; i++) {
		const struct vhost_vring_file backend = { i, tap };

		r = vhost_do(p, VHOST_NET_SET_BACKEND, &backend);
	}
	p->vhost_tap = tap;
	return r;
}
