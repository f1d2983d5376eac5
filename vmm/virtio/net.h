/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_NET_H
#define VMM_VIRTIO_NET_H

/* virtio-net on a tap device (virtio 1.2, 5.1). */

#include <stdint.h>

#include "vmm/virtio/virtio_device.h"

struct error;
struct event_loop;

#define NET_PAIRS_MAX 4

/**
 * net_create() - a network device
 * @loop: the machine's; hears of a queue that broke
 * @taps: the queues of a tap (IFF_TAP|IFF_NO_PI|IFF_VNET_HDR, and IFF_MULTI_QUEUE for more than one),
 *        non-blocking, with headers of 12 bytes and in little-endian. Taken where they are set to -1.
 *        The first one -1: the link is down.
 * @vhosts: as many of /dev/vhost-net; taken likewise. The first one -1: packets are moved here.
 * @mac:  6 bytes
 * @mtu:  of the interface that the device stands for
 * @pairs: of queues, 1 to NET_PAIRS_MAX; as many are in the arrays
 *
 * What the tap can do decides what the driver is offered.
 */
struct virtio_device *net_create(const struct guest_memory *mem, struct event_loop *loop, int *taps,
				 int *vhosts, const uint8_t *mac, uint32_t mtu,
				 unsigned int pairs, struct error **err);

/**
 * net_start() - start the threads that move the packets, once the device is plugged in
 *
 * They have the rights that the calling thread has by now.
 */
int net_start(struct virtio_device *dev, struct error **err);

/** net_plug() - the link comes up, on @taps (as above; owned from now on); 0 or -errno */
int net_plug(struct virtio_device *dev, const int *taps);

/** net_unplug() - the link goes down, and the tap with it */
void net_unplug(struct virtio_device *dev);

#endif
