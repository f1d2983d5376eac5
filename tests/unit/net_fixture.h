/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NET_FIXTURE_H
#define TESTS_UNIT_NET_FIXTURE_H

/* virtio-net, with socket pairs for a tap's queues (fake_tap.c); its threads are the test's own. */

#include "tests/unit/fake_driver.h"
#include "vmm/virtio/net_priv.h"

#define RX NET_QUEUE_RX(0u)
#define TX NET_QUEUE_TX(0u)
#define MTU 1500
#define BUFFER 2048u
#define F(name) (1ull << VIRTIO_NET_F_##name)

extern const uint8_t net_fixture_mac[6];

struct net_fixture {
	struct fake_driver drv;
	struct event_loop *machine;
	struct net *net;
	uint64_t gpa; /* 1 MiB for packets */
	int peers[NET_PAIRS_MAX]; /* the other ends of the tap's queues */
	unsigned int pairs;
};

/** net_begin_pairs() - a device with @pairs, that a driver has set up; @without: features not offered */
void net_begin_pairs(struct net_fixture *f, uint64_t without, unsigned int pairs);
void net_begin(struct net_fixture *f, uint64_t without);
void net_end(struct net_fixture *f);

/** net_use_event_idx() - as if VIRTIO_F_EVENT_IDX was negotiated, from here on */
void net_use_event_idx(struct net_fixture *f);

/** net_run() - kick, let the device's threads and then the machine see what there is */
void net_run(struct net_fixture *f, unsigned int queue);
bool net_interrupted(struct net_fixture *f, unsigned int queue);

/** net_fill() - bytes to recognise */
void net_fill(uint8_t *p, size_t len, unsigned int seed);

/** net_add_frame() - the driver makes a packet of @len bytes available for the first pair to send */
void net_add_frame(struct net_fixture *f, const struct virtio_net_hdr_v1 *hdr, size_t len);

/** net_send_frame() - likewise, and kicks */
void net_send_frame(struct net_fixture *f, const struct virtio_net_hdr_v1 *hdr, size_t len);

/** net_give_buffers_to() - buffers for received packets, BUFFER apart, of @len */
void net_give_buffers_to(struct net_fixture *f, unsigned int pair, unsigned int count, uint32_t len);
void net_give_buffers(struct net_fixture *f, unsigned int count, uint32_t len);

/** net_feed_to() - a packet of @len bytes comes by a queue of the tap */
void net_feed_to(struct net_fixture *f, unsigned int pair, size_t len);
void net_feed(struct net_fixture *f, size_t len);

/** net_plug_tap() - the link is up again, on another tap */
void net_plug_tap(struct net_fixture *f);

#endif
