/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of a tap device beside packets. Tests put something else in the place of this. */
#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "vmm/virtio/net_priv.h"

int net_tap_set_queue(int tap, bool attach)
{
	struct ifreq ifr = { 0 };

	ifr.ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE;
	return ioctl(tap, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

int net_tap_set_offload(int tap, uint64_t features)
{
	static const struct {
		unsigned int feature, offload;
	} map[] = {
		{ VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },  { VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
		{ VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 },  { VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
		{ VIRTIO_NET_F_GUEST_USO4, TUN_F_USO4 },  { VIRTIO_NET_F_GUEST_USO6, TUN_F_USO6 },
	};
	unsigned int offload = 0;

	/* 5.1.3.1: none of the others without checksums. */
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (features & (1ull << map[i].feature) &&
		    features & (1ull << VIRTIO_NET_F_GUEST_CSUM))
			offload |= map[i].offload;
	return ioctl(tap, TUNSETOFFLOAD, (unsigned long)offload) < 0 ? -errno : 0;
}
