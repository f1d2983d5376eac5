/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net, with a socket pair for a tap (fake_tap.c); the device's thread is the test's own. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "vmm/virtio/net_priv.h"

#define RX NET_QUEUE_RX(0u)
#define TX NET_QUEUE_TX(0u)
#define CTRL (2u * PAIRS)
#define PAIRS 3
#define MTU 1500
#define BUFFER 2048u
#define F(name) (1ull << VIRTIO_NET_F_##name)

static const uint8_t mac[6] = { 2, 1, 2, 3, 4, 5 };

struct fixture {
	struct fake_driver drv;
	struct event_loop *machine;
	struct net *net;
	uint64_t gpa; /* 1 MiB for packets */
	int peer;     /* the tap's other end */
};

static void begin_pairs(struct fixture *f, uint64_t without, unsigned int pairs)
{
	struct virtio_device *dev;
	int pair[2];

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&f->drv);
	f->machine = fake_loop_create();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	f->peer = pair[1];
	dev = net_create(&f->drv.mem, f->machine, pair[0], mac, MTU, pairs, NULL);
	assert_non_null(dev);
	f->net = (struct net *)dev;
	for (unsigned int i = 0; i < pairs; i++)
		event_loop_stop(f->net->pairs[i].loop);
	dev->offered_features &= ~without;
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	f->gpa = fake_driver_alloc(&f->drv, 1 << 20);
}

static void begin(struct fixture *f, uint64_t without)
{
	begin_pairs(f, without, 1);
}

static void end(struct fixture *f)
{
	fake_driver_release(&f->drv);
	event_loop_free(f->machine);
	close(f->peer);
}

/* Kick, let the device's thread and then the machine see what there is. */
static void run(struct fixture *f, unsigned int queue)
{
	eventfd_write(f->drv.kick_fd[queue], 1);
	for (unsigned int i = 0; i < f->net->num_pairs; i++)
		fake_loop_run(f->net->pairs[i].loop);
	fake_loop_run(f->machine);
}

static bool interrupted(struct fixture *f, unsigned int queue)
{
	eventfd_t count;

	return eventfd_read(f->drv.call_fd[queue], &count) == 0;
}

static void fill(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

static void send_frame(struct fixture *f, const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	uint8_t *p = fake_driver_ptr(&f->drv, f->gpa, NET_HDR_LEN + len);
	const struct fake_buffer bufs[] = { { f->gpa, NET_HDR_LEN, false },
					    { f->gpa + NET_HDR_LEN, (uint32_t)len, false } };

	memcpy(p, hdr, NET_HDR_LEN);
	fill(p + NET_HDR_LEN, len, 1);
	fake_driver_add(&f->drv, TX, bufs, len ? 2 : 1);
	run(f, TX);
}

static void the_configuration_is_what_was_asked(void **state)
{
	struct virtio_net_config config = { 0 };
	struct fixture f;

	(void)state;
	begin(&f, 0);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_memory_equal(config.mac, mac, 6);
	assert_int_equal(le16toh(config.mtu), MTU);
	assert_int_equal(le16toh(config.status), VIRTIO_NET_S_LINK_UP);
	end(&f);
}

static void a_packet_leaves(void **state)
{
	static const struct virtio_net_hdr_v1 hdr = { .gso_size = 9, .num_buffers = 5 };
	uint8_t got[4096], want[100];
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	send_frame(&f, &hdr, 100);
	assert_int_equal(read(f.peer, got, sizeof(got)), NET_HDR_LEN + 100);
	/* what has no meaning without a flag is not passed on */
	for (size_t i = 0; i < NET_HDR_LEN; i++)
		assert_int_equal(got[i], 0);
	fill(want, sizeof(want), 1);
	assert_memory_equal(got + NET_HDR_LEN, want, sizeof(want));
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_int_equal(len, 0);
	assert_true(interrupted(&f, TX));
	end(&f);
}

static void a_chain_of_odd_pieces_leaves_whole(void **state)
{
	struct fake_buffer bufs[20];
	uint8_t got[4096];
	struct fixture f;

	(void)state;
	begin(&f, 0);
	memset(fake_driver_ptr(&f.drv, f.gpa, 4096), 0, 4096);
	for (size_t i = 0; i < 20; i++) { /* apart, so that they are not joined */
		bufs[i] = (struct fake_buffer){ f.gpa + i * 64, i < 13 ? 1 : 10, false };
		fill(fake_driver_ptr(&f.drv, bufs[i].gpa, 10), i < 12 ? 0 : 10, (unsigned int)i);
	}
	fake_driver_add(&f.drv, TX, bufs, 20);
	run(&f, TX);
	assert_int_equal(read(f.peer, got, sizeof(got)), NET_HDR_LEN + 1 + 70);
	for (size_t i = 12; i < 20; i++)
		assert_int_equal(got[i == 12 ? 12 : 13 + (i - 13) * 10], i);
	end(&f);
}

static void give_buffers(struct fixture *f, unsigned int count, uint32_t len)
{
	for (unsigned int i = 0; i < count; i++)
		fake_driver_add(&f->drv, RX,
				&(struct fake_buffer){ f->gpa + i * BUFFER, len, true }, 1);
}

static void feed(struct fixture *f, size_t len)
{
	static uint8_t packet[NET_HDR_LEN + NET_FRAME_MAX];

	memset(packet, 0, NET_HDR_LEN);
	fill(packet + NET_HDR_LEN, len, 3);
	assert_int_equal(write(f->peer, packet, NET_HDR_LEN + len), NET_HDR_LEN + len);
}

static uint16_t num_buffers_at(struct fixture *f, uint64_t gpa)
{
	const struct virtio_net_hdr_v1 *hdr = fake_driver_ptr(&f->drv, gpa, NET_HDR_LEN);

	return le16toh(hdr->num_buffers);
}

static void packets_arrive_merged(void **state)
{
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	give_buffers(&f, 60, BUFFER);
	feed(&f, 100);
	feed(&f, 5000); /* 5012 bytes: 2048, 2048, 916 */
	run(&f, RX);
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
	assert_true(interrupted(&f, RX));
	end(&f);
}

static void the_count_is_written_across_pieces(void **state)
{
	struct fake_buffer bufs[13];
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	for (size_t i = 0; i < 13; i++)
		bufs[i] = (struct fake_buffer){ f.gpa + i * 64, i < 12 ? 1 : 64, true };
	fake_driver_add(&f.drv, RX, bufs, 13);
	for (unsigned int i = 1; i < 40; i++)
		fake_driver_add(&f.drv, RX,
				&(struct fake_buffer){ f.gpa + i * BUFFER, BUFFER, true }, 1);
	feed(&f, 60);
	run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, 72);
	assert_int_equal(*(uint8_t *)fake_driver_ptr(&f.drv, bufs[10].gpa, 1), 1);
	assert_int_equal(*(uint8_t *)fake_driver_ptr(&f.drv, bufs[11].gpa, 1), 0);
	end(&f);
}

/* The driver has no buffers: packets wait in the tap. */
static void packets_wait_for_buffers(void **state)
{
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	feed(&f, 100);
	run(&f, RX);
	assert_true(f.net->pairs[0].rx_starving);
	give_buffers(&f, 20, BUFFER); /* not enough for the longest packet */
	run(&f, RX);
	assert_false(fake_driver_used(&f.drv, RX, &head, &len));
	give_buffers(&f, 20, BUFFER);
	run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 100);
	assert_int_equal(f.drv.needs_reset, 0);
	end(&f);
}

static void without_merging_one_buffer_is_one_packet(void **state)
{
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, F(MRG_RXBUF));
	give_buffers(&f, 2, 1526);
	feed(&f, 1514); /* fits to the byte */
	feed(&f, 1515); /* lost */
	feed(&f, 60);
	run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, 1526);
	assert_int_equal(num_buffers_at(&f, f.gpa), 1);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 60);
	end(&f);
}

/* Nobody takes packets from the tap: the tx queue waits, and nothing is lost or doubled. */
static void a_full_tap_holds_the_queue(void **state)
{
	static const struct virtio_net_hdr_v1 hdr;
	unsigned int sent = 0, received = 0;
	uint8_t got[4096];
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	while (!f.net->pairs[0].tx_blocked) {
		assert_in_range(sent, 0, 10000);
		send_frame(&f, &hdr, 1000);
		sent++;
		while (fake_driver_used(&f.drv, TX, &head, &len))
			received++;
	}
	assert_int_equal(received, sent - 1);
	for (received = 0; read(f.peer, got, sizeof(got)) > 0; received++)
		fake_loop_run(f.net->pairs[0].loop);
	assert_int_equal(received, sent);
	assert_false(f.net->pairs[0].tx_blocked);
	end(&f);
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
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	send_frame(&f, &bad, 100);
	send_frame(&f, &good, 60);
	assert_int_equal(read(f.peer, got, sizeof(got)), NET_HDR_LEN + 60);
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_int_equal(f.drv.needs_reset, 0);
	end(&f);
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
		struct fixture f;
		uint16_t head;
		uint32_t len;

		begin(&f, 0);
		feed(&f, 100);
		fake_driver_add(&f.drv, table[i].queue, table[i].bufs, table[i].count);
		run(&f, table[i].queue);
		if (f.drv.needs_reset != 1 || fake_driver_used(&f.drv, table[i].queue, &head, &len))
			fail_msg("chain %zu", i);
		/* it does nothing more, in either direction, until it is reset */
		give_buffers(&f, 40, BUFFER);
		run(&f, RX);
		send_frame(&f, &good, 60);
		assert_false(fake_driver_used(&f.drv, RX, &head, &len));
		assert_int_equal(f.drv.needs_reset, 1);
		fake_driver_reset(&f.drv);
		assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
		send_frame(&f, &good, 60);
		assert_true(fake_driver_used(&f.drv, TX, &head, &len));
		end(&f);
	}
}

static void tiny_buffers_break_the_device(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 0);
	for (unsigned int i = 0; i < NET_RX_BUFFERS + 2 && !f.drv.needs_reset; i++) {
		give_buffers(&f, 1, NET_HDR_LEN);
		run(&f, RX);
	}
	assert_int_equal(f.drv.needs_reset, 1);
	end(&f);
}

static void a_reset_forgets_the_buffers(void **state)
{
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin(&f, 0);
	give_buffers(&f, 40, BUFFER);
	run(&f, RX);
	assert_true(f.net->pairs[0].rx.num_buffers > 0);
	fake_driver_reset(&f.drv);
	assert_int_equal(f.net->pairs[0].rx.num_buffers, 0);
	feed(&f, 100);
	fake_loop_run(f.net->pairs[0].loop);
	assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
	run(&f, RX);
	assert_false(fake_driver_used(&f.drv, RX, &head, &len));
	end(&f);
}

static void every_pair_sends_and_the_first_receives(void **state)
{
	uint8_t got[4096];
	struct fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	begin_pairs(&f, 0, PAIRS);
	assert_int_equal(le16toh(f.net->config.max_virtqueue_pairs), PAIRS);
	for (unsigned int i = 0; i < PAIRS; i++) {
		const struct fake_buffer buf = { f.gpa, NET_HDR_LEN + 60 + i, false };

		memset(fake_driver_ptr(&f.drv, f.gpa, buf.len), 0, buf.len);
		fake_driver_add(&f.drv, NET_QUEUE_TX(i), &buf, 1);
		run(&f, NET_QUEUE_TX(i));
		assert_int_equal(read(f.peer, got, sizeof(got)), NET_HDR_LEN + 60 + i);
		assert_true(fake_driver_used(&f.drv, NET_QUEUE_TX(i), &head, &len));
	}
	give_buffers(&f, 40, BUFFER);
	feed(&f, 100);
	run(&f, NET_QUEUE_RX(1));
	run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 100);
	/* a chain that is malformed in any pair breaks the device */
	fake_driver_add(&f.drv, NET_QUEUE_TX(2), &(struct fake_buffer){ f.gpa, 5, false }, 1);
	run(&f, NET_QUEUE_TX(2));
	assert_int_equal(f.drv.needs_reset, 1);
	end(&f);
}

static void commands_are_checked(void **state)
{
	static const struct {
		uint8_t class, cmd;
		uint16_t value;
		uint32_t len;
		uint64_t without;
		uint8_t ack;
	} table[] = {
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 4, 0, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, PAIRS, 4, 0, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0, 4, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, PAIRS + 1, 4, 0,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 0xffff, 4, 0,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 3, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 1, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, 9, 1, 4, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 0, 1, 4, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 1, 4, F(MQ),
		  VIRTIO_NET_ERR },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const unsigned int queue = table[i].without ? 2 : CTRL;
		const uint16_t value = htole16(table[i].value);
		struct fake_buffer bufs[2];
		struct fixture f;
		uint16_t head;
		uint32_t len;
		uint8_t *p;

		begin_pairs(&f, table[i].without, PAIRS);
		bufs[0] = (struct fake_buffer){ f.gpa, table[i].len, false };
		bufs[1] = (struct fake_buffer){ f.gpa + 64, 1, true };
		p = fake_driver_ptr(&f.drv, f.gpa, 65);
		p[0] = table[i].class;
		p[1] = table[i].cmd;
		memcpy(p + 2, &value, 2);
		p[64] = 0x55;
		fake_driver_add(&f.drv, queue, bufs, 2);
		run(&f, queue);
		assert_true(fake_driver_used(&f.drv, queue, &head, &len));
		if (len != 1 || p[64] != table[i].ack)
			fail_msg("command %zu", i);
		/* a command without room for its answer */
		fake_driver_add(&f.drv, queue, bufs, 1);
		run(&f, queue);
		assert_int_equal(f.drv.needs_reset, 1);
		end(&f);
	}
}

static void a_link_comes_and_goes(void **state)
{
	static const struct virtio_net_hdr_v1 hdr;
	struct virtio_net_config config;
	uint8_t got[4096];
	struct fixture f;
	uint16_t head;
	uint32_t len;
	int pair[2];

	(void)state;
	begin_pairs(&f, 0, PAIRS);
	give_buffers(&f, 40, BUFFER);
	net_unplug(&f.net->dev);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_int_equal(config.status, 0);
	assert_int_equal(read(f.peer, got, sizeof(got)), 0); /* every pair has let go of it */
	send_frame(&f, &hdr, 60); /* lost, and used up */
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	close(f.peer);
	f.peer = pair[1];
	assert_int_equal(net_plug(&f.net->dev, pair[0]), 0);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_int_equal(le16toh(config.status), VIRTIO_NET_S_LINK_UP);
	send_frame(&f, &hdr, 60);
	assert_int_equal(read(f.peer, got, sizeof(got)), NET_HDR_LEN + 60);
	feed(&f, 100);
	run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	assert_int_equal(net_plug(&f.net->dev, dup(0)), -EBUSY);
	end(&f);
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
		cmocka_unit_test(every_pair_sends_and_the_first_receives),
		cmocka_unit_test(commands_are_checked),
		cmocka_unit_test(a_link_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
