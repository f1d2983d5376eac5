/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net: packets, their headers and the chains that they come in. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/net_fixture.h"
#include "tests/unit/unit.h"

static void the_configuration_is_what_was_asked(void **state)
{
	struct virtio_net_config config = { 0 };
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_memory_equal(config.mac, net_fixture_mac, 6);
	assert_int_equal(le16toh(config.mtu), MTU);
	assert_int_equal(le16toh(config.status), VIRTIO_NET_S_LINK_UP);
	/* buffers of 1.5 KiB for as many of the longest packets as one batch has */
	assert_true(f.net->dev.ops->queue_max_size * 1536u >= NET_BATCH * (NET_HDR_LEN + NET_FRAME_MAX));
	net_end(&f);
}

static void a_packet_leaves(void **state)
{
	static const struct virtio_net_hdr_v1 hdr = { .gso_size = 9, .num_buffers = 5 };
	uint8_t got[4096], want[100];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_send_frame(&f, &hdr, 100);
	assert_int_equal(read(f.peers[0], got, sizeof(got)), NET_HDR_LEN + 100);
	/* what has no meaning without a flag is not passed on */
	for (size_t i = 0; i < NET_HDR_LEN; i++)
		assert_int_equal(got[i], 0);
	net_fill(want, sizeof(want), 1);
	assert_memory_equal(got + NET_HDR_LEN, want, sizeof(want));
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_int_equal(len, 0);
	assert_true(net_interrupted(&f, TX));
	net_end(&f);
}

static void a_chain_of_odd_pieces_leaves_whole(void **state)
{
	struct fake_buffer bufs[20];
	uint8_t got[4096];
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	memset(fake_driver_ptr(&f.drv, f.gpa, 4096), 0, 4096);
	for (size_t i = 0; i < 20; i++) { /* apart, so that they are not joined */
		bufs[i] = (struct fake_buffer){ f.gpa + i * 64, i < 13 ? 1 : 10, false };
		net_fill(fake_driver_ptr(&f.drv, bufs[i].gpa, 10), i < 12 ? 0 : 10, (unsigned int)i);
	}
	fake_driver_add(&f.drv, TX, bufs, 20);
	net_run(&f, TX);
	assert_int_equal(read(f.peers[0], got, sizeof(got)), NET_HDR_LEN + 1 + 70);
	for (size_t i = 12; i < 20; i++)
		assert_int_equal(got[i == 12 ? 12 : 13 + (i - 13) * 10], i);
	net_end(&f);
}

static uint16_t num_buffers_at(struct net_fixture *f, uint64_t gpa)
{
	const struct virtio_net_hdr_v1 *hdr = fake_driver_ptr(&f->drv, gpa, NET_HDR_LEN);

	return le16toh(hdr->num_buffers);
}

static void packets_arrive_merged(void **state)
{
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_give_buffers(&f, 60, BUFFER);
	net_feed(&f, 100);
	net_feed(&f, 5000); /* 5012 bytes: 2048, 2048, 916 */
	net_run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 100);
	assert_int_equal(num_buffers_at(&f, f.gpa), 1);
	for (uint32_t want = 5012; want; want -= len) {
		assert_true(fake_driver_used(&f.drv, RX, &head, &len));
		assert_int_equal(len, want < BUFFER ? want : BUFFER);
	}
	assert_int_equal(num_buffers_at(&f, f.gpa + BUFFER), 3);
	assert_int_equal(((uint8_t *)fake_driver_ptr(&f.drv, f.gpa + 2 * BUFFER, 1))[0],
			 (uint8_t)((2048 - 12) * 7 + 3));
	assert_false(fake_driver_used(&f.drv, RX, &head, &len));
	assert_true(net_interrupted(&f, RX));
	net_end(&f);
}

static void the_count_is_written_across_pieces(void **state)
{
	struct fake_buffer bufs[13];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	for (size_t i = 0; i < 13; i++)
		bufs[i] = (struct fake_buffer){ f.gpa + i * 64, i < 12 ? 1 : 64, true };
	fake_driver_add(&f.drv, RX, bufs, 13);
	for (unsigned int i = 1; i < 40; i++)
		fake_driver_add(&f.drv, RX,
				&(struct fake_buffer){ f.gpa + i * BUFFER, BUFFER, true }, 1);
	net_feed(&f, 60);
	net_run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, 72);
	assert_int_equal(*(uint8_t *)fake_driver_ptr(&f.drv, bufs[10].gpa, 1), 1);
	assert_int_equal(*(uint8_t *)fake_driver_ptr(&f.drv, bufs[11].gpa, 1), 0);
	net_end(&f);
}

/* The driver has no buffers: packets wait in the tap. */
static void packets_wait_for_buffers(void **state)
{
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_feed(&f, 100);
	net_run(&f, RX);
	assert_true(f.net->pairs[0].rx_starving);
	net_give_buffers(&f, 1, BUFFER);
	net_run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 100);
	assert_int_equal(f.drv.needs_reset, 0);
	net_end(&f);
}

static void without_merging_one_buffer_is_one_packet(void **state)
{
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, F(MRG_RXBUF));
	net_give_buffers(&f, 2, 1526);
	net_feed(&f, 1514); /* fits to the byte */
	net_feed(&f, 1515); /* lost */
	net_feed(&f, 60);
	net_run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, 1526);
	assert_int_equal(num_buffers_at(&f, f.gpa), 1);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 60);
	net_end(&f);
}

/* Nobody takes packets from the tap: the tx queue waits, and nothing is lost or doubled. */
static void a_full_tap_holds_the_queue(void **state)
{
	static const struct virtio_net_hdr_v1 hdr;
	unsigned int sent = 0, received = 0;
	uint8_t got[4096];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	while (!f.net->pairs[0].tx_blocked) {
		assert_in_range(sent, 0, 10000);
		net_send_frame(&f, &hdr, 1000);
		sent++;
		while (fake_driver_used(&f.drv, TX, &head, &len))
			received++;
	}
	assert_int_equal(received, sent - 1);
	for (received = 0; read(f.peers[0], got, sizeof(got)) > 0; received++)
		fake_loop_run(f.net->pairs[0].loop);
	assert_int_equal(received, sent);
	assert_false(f.net->pairs[0].tx_blocked);
	net_end(&f);
}

#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4 VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6 VIRTIO_NET_HDR_GSO_TCPV6
#define UDP VIRTIO_NET_HDR_GSO_UDP_L4
#define ECN VIRTIO_NET_HDR_GSO_ECN
#define TSO4 (F(CSUM) | F(HOST_TSO4))

static void headers_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags, gso;
		uint16_t hdr_len, gso_size, start, offset;
		size_t frame;
		uint64_t features;
		bool good;
	} table[] = {
		{ "plain", 0, 0, 0, 0, 0, 0, 60, 0, true },
		{ "nothing", 0, 0, 0, 0, 0, 0, 0, 0, false },
		{ "no Ethernet header", 0, 0, 0, 0, 0, 0, 13, 0, false },
		{ "the least", 0, 0, 0, 0, 0, 0, 14, 0, true },
		{ "the longest", 0, 0, 0, 0, 0, 0, NET_FRAME_MAX, 0, true },
		{ "too long", 0, 0, 0, 0, 0, 0, NET_FRAME_MAX + 1, 0, false },
		{ "checksum", NEEDS, 0, 0, 0, 34, 16, 60, F(CSUM), true },
		{ "checksum, not agreed", NEEDS, 0, 0, 0, 34, 16, 60, 0, false },
		{ "checksum at the end", NEEDS, 0, 0, 0, 42, 16, 60, F(CSUM), true },
		{ "checksum past the end", NEEDS, 0, 0, 0, 43, 16, 60, F(CSUM), false },
		{ "checksum far away", NEEDS, 0, 0, 0, 65535, 65535, 60, F(CSUM), false },
		{ "checksum start far away", NEEDS, 0, 0, 0, 65535, 0, 60, F(CSUM), false },
		{ "unknown flags alone", 0xfe, 0, 0, 0, 9, 9, 60, 0, true },
		{ "TSO", NEEDS, TCP4, 54, 1448, 34, 16, 9000, TSO4, true },
		{ "TSO without a checksum", 0, TCP4, 54, 1448, 34, 16, 9000, TSO4, false },
		{ "TSO, not agreed", NEEDS, TCP4, 54, 1448, 34, 16, 9000, F(CSUM), false },
		{ "TSO of size 0", NEEDS, TCP4, 54, 0, 34, 16, 9000, TSO4, false },
		{ "TSO, headers past the end", NEEDS, TCP4, 9001, 1448, 34, 16, 9000, TSO4, false },
		{ "TSO6 with TSO4 agreed", NEEDS, TCP6, 54, 1448, 34, 16, 9000, TSO4, false },
		{ "TSO6", NEEDS, TCP6, 74, 1428, 54, 16, 9000, F(CSUM) | F(HOST_TSO6), true },
		{ "ECN, not agreed", NEEDS, TCP4 | ECN, 54, 9, 34, 16, 9000, TSO4, false },
		{ "ECN", NEEDS, TCP4 | ECN, 54, 9, 34, 16, 9000, TSO4 | F(HOST_ECN), true },
		{ "ECN alone", NEEDS, ECN, 54, 9, 34, 16, 9000, ~0ull, false },
		{ "USO", NEEDS, UDP, 42, 1400, 34, 6, 9000, F(CSUM) | F(HOST_USO), true },
		{ "USO, not agreed", NEEDS, UDP, 42, 1400, 34, 6, 9000, TSO4, false },
		{ "USO with ECN", NEEDS, UDP | ECN, 42, 1400, 34, 6, 9000, ~0ull, false },
		{ "fragmentation", NEEDS, VIRTIO_NET_HDR_GSO_UDP, 42, 1400, 34, 6, 9000, ~0ull,
		  false },
		{ "unknown segmentation", NEEDS, 0x7f, 42, 1400, 34, 6, 9000, ~0ull, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct virtio_net_hdr_v1 hdr = {
			.flags = table[i].flags, .gso_type = table[i].gso,
			.hdr_len = htole16(table[i].hdr_len), .gso_size = htole16(table[i].gso_size),
			.csum_start = htole16(table[i].start),
			.csum_offset = htole16(table[i].offset),
		};

		if (net_tx_check(&hdr, table[i].frame, table[i].features) != table[i].good)
			fail_msg("%s", table[i].what);
		if (table[i].good && hdr.flags & ~NEEDS)
			fail_msg("%s: flags are passed on", table[i].what);
	}
}

/* A packet that is dropped is used up, and the next one goes its way. */
static void a_wrong_header_costs_its_packet_alone(void **state)
{
	static const struct virtio_net_hdr_v1 bad = { .gso_type = 0x7f }, good;
	uint8_t got[4096];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_send_frame(&f, &bad, 100);
	net_send_frame(&f, &good, 60);
	assert_int_equal(read(f.peers[0], got, sizeof(got)), NET_HDR_LEN + 60);
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_int_equal(f.drv.needs_reset, 0);
	net_end(&f);
}

static void malformed_chains_break_the_device(void **state)
{
	static const struct {
		unsigned int queue;
		struct fake_buffer bufs[2];
		size_t count;
	} table[] = {
		{ TX, { { 0x5000, 11, false } }, 1 },
		{ TX, { { 0x5000, 100, true } }, 1 },
		{ TX, { { 0x5000, 100, false }, { 0x6000, 1, true } }, 2 },
		{ TX, { { 1ull << 40, 100, false } }, 1 },
		{ TX, { { FAKE_RAM - 50, 100, false } }, 1 },
		{ TX, { { ~0ull - 50, 100, false } }, 1 },
		{ TX, { { 0x5000, 0, false } }, 1 },
		{ RX, { { 0x5000, 100, false } }, 1 },
		{ RX, { { 0x5000, 12, false }, { 0x6000, 2000, true } }, 2 },
		{ RX, { { 0x5000, 11, true } }, 1 },
		{ RX, { { 1ull << 40, 2000, true } }, 1 },
		{ RX, { { 0x5000, 0xffffffff, true } }, 1 },
	};
	static const struct virtio_net_hdr_v1 good;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct net_fixture f;
		uint16_t head;
		uint32_t len;

		net_begin(&f, 0);
		net_feed(&f, 100);
		fake_driver_add(&f.drv, table[i].queue, table[i].bufs, table[i].count);
		net_run(&f, table[i].queue);
		if (f.drv.needs_reset != 1 || fake_driver_used(&f.drv, table[i].queue, &head, &len))
			fail_msg("chain %zu", i);
		/* it does nothing more, in either direction, until it is reset */
		net_give_buffers(&f, 40, BUFFER);
		net_run(&f, RX);
		net_send_frame(&f, &good, 60);
		assert_false(fake_driver_used(&f.drv, RX, &head, &len));
		assert_int_equal(f.drv.needs_reset, 1);
		fake_driver_reset(&f.drv);
		assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
		net_send_frame(&f, &good, 60);
		assert_true(fake_driver_used(&f.drv, TX, &head, &len));
		net_end(&f);
	}
}

/* So small that no number of them that is reasonable holds the longest packet. */
static void tiny_buffers_break_the_device(void **state)
{
	struct net_fixture f;

	(void)state;
	net_begin(&f, 0);
	net_feed(&f, 60000);
	for (unsigned int i = 0; i < NET_RX_BUFFERS + 2 && !f.drv.needs_reset; i++) {
		net_give_buffers(&f, 1, NET_HDR_LEN);
		net_run(&f, RX);
	}
	assert_int_equal(f.drv.needs_reset, 1);
	net_end(&f);
}

static void a_reset_forgets_the_buffers(void **state)
{
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_give_buffers(&f, 40, BUFFER);
	net_run(&f, RX);
	assert_true(f.net->pairs[0].rx.num_buffers > 0);
	fake_driver_reset(&f.drv);
	assert_int_equal(f.net->pairs[0].rx.num_buffers, 0);
	net_feed(&f, 100);
	fake_loop_run(f.net->pairs[0].loop);
	assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
	net_run(&f, RX);
	assert_false(fake_driver_used(&f.drv, RX, &head, &len));
	net_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_configuration_is_what_was_asked),
		cmocka_unit_test(a_packet_leaves),
		cmocka_unit_test(a_chain_of_odd_pieces_leaves_whole),
		cmocka_unit_test(packets_arrive_merged),
		cmocka_unit_test(the_count_is_written_across_pieces),
		cmocka_unit_test(packets_wait_for_buffers),
		cmocka_unit_test(without_merging_one_buffer_is_one_packet),
		cmocka_unit_test(a_full_tap_holds_the_queue),
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(a_wrong_header_costs_its_packet_alone),
		cmocka_unit_test(malformed_chains_break_the_device),
		cmocka_unit_test(tiny_buffers_break_the_device),
		cmocka_unit_test(a_reset_forgets_the_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
