/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net: packets that are longer than what they were read into, and drivers that are slow to give. */
#include <endian.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/unit/net_fixture.h"
#include "tests/unit/unit.h"

#define SLOTS 64u

/* Give buffers of their own places in memory, round and round. */
static void give(struct net_fixture *f, unsigned int *slot, unsigned int count, uint32_t len)
{
	while (count--) {
		const uint64_t gpa = f->gpa + *slot * BUFFER;

		fake_driver_add(&f->drv, RX, &(struct fake_buffer){ gpa, len, true }, 1);
		*slot = (*slot + 1) % SLOTS;
	}
}

/* Copy what is in a used chain. */
static void copy_chain(struct net_fixture *f, uint16_t head, uint8_t *to, uint32_t len)
{
	const struct fake_queue *q = &f->drv.queues[RX];
	const struct vring_desc *d = fake_driver_ptr(&f->drv, q->desc, 16ull * q->size);

	for (d += head; len; d += 1) {
		const uint32_t n = d->len < len ? d->len : len;

		memcpy(to, fake_driver_ptr(&f->drv, d->addr, n), n);
		to += n;
		len -= n;
	}
}

/* One packet is in the used ring, as net_feed() made it with @len bytes. The number of its buffers. */
static unsigned int receive(struct net_fixture *f, size_t len)
{
	static uint8_t got[2 * NET_FRAME_MAX], want[NET_FRAME_MAX];
	struct virtio_net_hdr_v1 hdr;
	unsigned int buffers = 0;
	uint32_t part = 0;
	uint16_t head;

	for (size_t have = 0; have < NET_HDR_LEN + len; have += part, buffers++) {
		if (!fake_driver_used(&f->drv, RX, &head, &part))
			fail_msg("of %zu bytes there are %zu", NET_HDR_LEN + len, have);
		assert_in_range(part, 1, NET_HDR_LEN + len - have);
		copy_chain(f, head, got + have, part);
	}
	memcpy(&hdr, got, sizeof(hdr));
	assert_int_equal(le16toh(hdr.num_buffers), buffers);
	net_fill(want, len, 3);
	assert_memory_equal(got + NET_HDR_LEN, want, len);
	return buffers;
}

static void nothing_came(struct net_fixture *f)
{
	uint16_t head;
	uint32_t len;

	assert_false(fake_driver_used(&f->drv, RX, &head, &len));
}

/* The kernel copies a vector of up to eight to its stack. */
static void short_packets_are_read_into_few_buffers(void **state)
{
	struct net_rx *rx;
	unsigned int slot = 0;
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	rx = &f.net->pairs[0].rx;
	give(&f, &slot, 60, BUFFER);
	net_feed(&f, 1500);
	net_run(&f, RX);
	assert_int_equal(receive(&f, 1500), 1);
	assert_int_equal(rx->num_iov, NET_RX_FAST_IOV);
	/* one that is longer spills, and those after it are read to where they belong */
	net_feed(&f, 40000);
	net_run(&f, RX);
	assert_int_equal(receive(&f, 40000), 20);
	assert_int_equal(rx->large, NET_RX_LARGE);
	assert_int_equal(rx->num_iov, (NET_HDR_LEN + NET_FRAME_MAX + BUFFER - 1) / BUFFER);
	/* until there were many short ones */
	for (unsigned int i = 0; i < NET_RX_LARGE; i++) {
		give(&f, &slot, 1, BUFFER);
		net_feed(&f, 60);
		net_run(&f, RX);
		assert_int_equal(receive(&f, 60), 1);
	}
	assert_int_equal(rx->large, 0);
	net_end(&f);
}

static void packets_of_every_length_are_whole(void **state)
{
	static const size_t lengths[] = {
		1, BUFFER - NET_HDR_LEN - 1, BUFFER - NET_HDR_LEN, BUFFER - NET_HDR_LEN + 1,
		7 * BUFFER - NET_HDR_LEN - 1, 7 * BUFFER - NET_HDR_LEN, 7 * BUFFER - NET_HDR_LEN + 1,
		8 * BUFFER - NET_HDR_LEN, 8 * BUFFER - NET_HDR_LEN + 1, 65000, NET_FRAME_MAX,
	};

	(void)state;
	/* after no other, and after one that was long */
	for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(*lengths); i++) {
		const size_t len = lengths[i / 2];
		unsigned int slot = 0;
		struct net_fixture f;

		net_begin(&f, 0);
		give(&f, &slot, SLOTS, BUFFER);
		if (i % 2) {
			net_feed(&f, 20000);
			net_run(&f, RX);
			give(&f, &slot, receive(&f, 20000), BUFFER);
		}
		net_feed(&f, len);
		net_feed(&f, 60);
		net_run(&f, RX);
		assert_int_equal(receive(&f, len), (NET_HDR_LEN + len + BUFFER - 1) / BUFFER);
		receive(&f, 60);
		nothing_came(&f);
		net_end(&f);
	}
}

/* Without segmentation nothing longer than the MTU is agreed on: it is lost, and never cut. */
static void what_is_too_long_is_lost(void **state)
{
	const uint64_t segments = F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_USO4) | F(GUEST_USO6);
	const size_t longest = MTU + NET_ETH_LEN + 4;
	unsigned int slot = 0;
	struct net_fixture f;

	(void)state;
	net_begin(&f, segments);
	give(&f, &slot, 60, 256);
	net_feed(&f, longest);
	net_feed(&f, longest + 300);
	net_feed(&f, 9000);
	net_feed(&f, 60);
	net_run(&f, RX);
	receive(&f, longest);
	receive(&f, 60);
	nothing_came(&f);
	net_end(&f);
}

/* What is in the spill becomes visible with the rest of its packet, when the driver has given enough. */
static void what_spilled_waits_for_buffers(void **state)
{
	(void)state;
	for (unsigned int event_idx = 0; event_idx <= 1; event_idx++) {
		unsigned int slot = 0;
		struct net_fixture f;

		net_begin(&f, 0);
		if (event_idx)
			net_use_event_idx(&f);
		give(&f, &slot, 9, BUFFER);
		net_feed(&f, 60000);
		net_feed(&f, 60);
		net_run(&f, RX);
		assert_true(f.net->pairs[0].rx_starving);
		give(&f, &slot, 1, BUFFER);
		assert_true(fake_driver_wants_kick(&f.drv, RX));
		net_run(&f, RX);
		nothing_came(&f);
		give(&f, &slot, 20, BUFFER);
		net_run(&f, RX);
		assert_int_equal(receive(&f, 60000), 30);
		nothing_came(&f);
		give(&f, &slot, 1, BUFFER);
		net_run(&f, RX);
		receive(&f, 60);
		assert_false(f.drv.needs_reset);
		net_end(&f);
	}
}

/* Its link or its queue is gone, or the driver: it is lost, and what comes later is not. */
static void what_spilled_is_dropped_with_its_queue(void **state)
{
	(void)state;
	for (unsigned int how = 0; how < 3; how++) {
		unsigned int slot = 0;
		struct net_fixture f;

		net_begin(&f, 0);
		give(&f, &slot, 9, BUFFER);
		net_feed(&f, 60000);
		net_run(&f, RX);
		assert_true(f.net->pairs[0].rx.packet > 0);
		if (how == 0) {
			net_unplug(&f.net->dev);
			net_plug_tap(&f);
		} else if (how == 1) {
			pthread_mutex_lock(&f.net->pairs[0].lock);
			net_pair_attach(&f.net->pairs[0], false);
			net_pair_attach(&f.net->pairs[0], true);
			pthread_mutex_unlock(&f.net->pairs[0].lock);
		} else {
			fake_driver_reset(&f.drv);
			assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
		}
		assert_int_equal(f.net->pairs[0].rx.packet, 0);
		give(&f, &slot, 40, BUFFER);
		net_feed(&f, 60);
		net_run(&f, RX);
		receive(&f, 60);
		nothing_came(&f);
		net_end(&f);
	}
}

/* The driver's buffers hold one packet and a part of the next, and it gives back what it has got. */
static void a_driver_with_few_buffers_gets_everything(void **state)
{
	unsigned int slot = 0, received = 0;
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	give(&f, &slot, SLOTS - 14, BUFFER);
	net_feed(&f, 65000);
	net_feed(&f, 65000);
	while (received < 50) {
		net_run(&f, RX);
		give(&f, &slot, receive(&f, 65000), BUFFER);
		received++;
		net_feed(&f, 65000);
	}
	assert_false(f.drv.needs_reset);
	net_end(&f);
}

/* A buffer is offered whole, and the next ones only if there is room for them. */
static void chains_of_many_pieces_are_filled(void **state)
{
	for (unsigned int large = 0; large <= 1; large++) {
		struct fake_buffer bufs[20];
		struct net_fixture f;

		(void)state;
		net_begin(&f, 0);
		for (unsigned int n = 0; n < 3; n++) {
			for (unsigned int i = 0; i < 20; i++) /* apart, so that they are not joined */
				bufs[i] = (struct fake_buffer){ f.gpa + (n * 20 + i) * 2048,
								100 + i, true };
			fake_driver_add(&f.drv, RX, bufs, 20);
		}
		f.net->pairs[0].rx.large = large ? NET_RX_LARGE : 0;
		net_feed(&f, 3000);
		net_feed(&f, 1500);
		net_run(&f, RX);
		assert_int_equal(receive(&f, 3000), 2);
		assert_int_equal(receive(&f, 1500), 1);
		net_end(&f);
	}
}

static void tiny_buffers_hold_what_they_can(void **state)
{
	unsigned int slot = 0;
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	for (unsigned int i = 0; i < 5; i++) {
		give(&f, &slot, 20, NET_HDR_LEN);
		net_feed(&f, 200);
		net_run(&f, RX);
		assert_int_equal(receive(&f, 200), 18);
	}
	assert_false(f.drv.needs_reset);
	net_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_packets_are_read_into_few_buffers),
		cmocka_unit_test(packets_of_every_length_are_whole),
		cmocka_unit_test(what_is_too_long_is_lost),
		cmocka_unit_test(what_spilled_waits_for_buffers),
		cmocka_unit_test(what_spilled_is_dropped_with_its_queue),
		cmocka_unit_test(a_driver_with_few_buffers_gets_everything),
		cmocka_unit_test(chains_of_many_pieces_are_filled),
		cmocka_unit_test(tiny_buffers_hold_what_they_can),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
