/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net: queue pairs, the commands about them, and a link that comes and goes. */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/fake_tap.h"
#include "tests/unit/net_fixture.h"
#include "tests/unit/unit.h"

#define PAIRS 3
#define CTRL (2u * PAIRS)

static unsigned int attached(const struct net_fixture *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < f->pairs; i++)
		n += fake_tap_attached(f->net->pairs[i].tap);
	return n;
}

/* The driver says how many pairs it uses, and is obeyed. */
static void use_pairs(struct net_fixture *f, uint16_t pairs)
{
	const uint64_t gpa = f->gpa + (512 << 10); /* behind all that is received */
	const struct fake_buffer bufs[] = { { gpa, 4, false }, { gpa + 64, 1, true } };
	uint8_t *p = fake_driver_ptr(&f->drv, gpa, 65);
	uint16_t head;
	uint32_t len;

	pairs = htole16(pairs);
	p[0] = VIRTIO_NET_CTRL_MQ;
	p[1] = VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET;
	memcpy(p + 2, &pairs, sizeof(pairs));
	p[64] = 0x55;
	fake_driver_add(&f->drv, CTRL, bufs, 2);
	net_run(f, CTRL);
	assert_true(fake_driver_used(&f->drv, CTRL, &head, &len));
	assert_int_equal(p[64], VIRTIO_NET_OK);
}

static void every_pair_in_use_sends_and_receives(void **state)
{
	uint8_t got[4096];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin_pairs(&f, 0, PAIRS);
	assert_int_equal(le16toh(f.net->config.max_virtqueue_pairs), PAIRS);
	assert_int_equal(attached(&f), 1);
	use_pairs(&f, PAIRS);
	assert_int_equal(attached(&f), PAIRS);
	for (unsigned int i = 0; i < PAIRS; i++) {
		const struct fake_buffer buf = { f.gpa, NET_HDR_LEN + 60 + i, false };

		memset(fake_driver_ptr(&f.drv, f.gpa, buf.len), 0, buf.len);
		fake_driver_add(&f.drv, NET_QUEUE_TX(i), &buf, 1);
		net_run(&f, NET_QUEUE_TX(i));
		assert_int_equal(read(f.peers[i], got, sizeof(got)), NET_HDR_LEN + 60 + i);
		assert_true(fake_driver_used(&f.drv, NET_QUEUE_TX(i), &head, &len));
		net_give_buffers_to(&f, i, 40, BUFFER);
		net_feed_to(&f, i, 100 + i);
		net_run(&f, NET_QUEUE_RX(i));
		assert_true(fake_driver_used(&f.drv, NET_QUEUE_RX(i), &head, &len));
		assert_int_equal(len, NET_HDR_LEN + 100 + i);
		assert_false(fake_driver_used(&f.drv, NET_QUEUE_RX(i), &head, &len));
	}
	/* a chain that is malformed in any pair breaks the device */
	fake_driver_add(&f.drv, NET_QUEUE_TX(2), &(struct fake_buffer){ f.gpa, 5, false }, 1);
	net_run(&f, NET_QUEUE_TX(2));
	assert_int_equal(f.drv.needs_reset, 1);
	net_end(&f);
}

/* What the driver does not use is left alone, and comes back when it does, or after a reset. */
static void pairs_out_of_use_are_detached(void **state)
{
	struct net_fixture f;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin_pairs(&f, 0, PAIRS);
	use_pairs(&f, 2);
	assert_int_equal(attached(&f), 2);
	for (unsigned int i = 0; i < PAIRS; i++)
		net_give_buffers_to(&f, i, 40, BUFFER);
	net_feed_to(&f, 2, 100);
	net_run(&f, NET_QUEUE_RX(2));
	assert_false(fake_driver_used(&f.drv, NET_QUEUE_RX(2), &head, &len));
	use_pairs(&f, PAIRS);
	net_run(&f, NET_QUEUE_RX(0));
	assert_true(fake_driver_used(&f.drv, NET_QUEUE_RX(2), &head, &len));
	assert_int_equal(len, NET_HDR_LEN + 100);
	use_pairs(&f, 1);
	net_feed_to(&f, 1, 100);
	net_run(&f, NET_QUEUE_RX(1));
	assert_false(fake_driver_used(&f.drv, NET_QUEUE_RX(1), &head, &len));
	use_pairs(&f, PAIRS);
	fake_driver_reset(&f.drv);
	assert_int_equal(attached(&f), 1);
	assert_int_equal(fake_driver_start(&f.drv, f.drv.dev), 0);
	assert_int_equal(attached(&f), 1);
	/* a tap that comes later is joined as the driver wants it */
	use_pairs(&f, 2);
	net_unplug(&f.net->dev);
	assert_int_equal(attached(&f), 0);
	net_plug_tap(&f);
	assert_int_equal(attached(&f), 2);
	net_end(&f);
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
		struct net_fixture f;
		uint16_t head;
		uint32_t len;
		uint8_t *p;

		net_begin_pairs(&f, table[i].without, PAIRS);
		bufs[0] = (struct fake_buffer){ f.gpa, table[i].len, false };
		bufs[1] = (struct fake_buffer){ f.gpa + 64, 1, true };
		p = fake_driver_ptr(&f.drv, f.gpa, 65);
		p[0] = table[i].class;
		p[1] = table[i].cmd;
		memcpy(p + 2, &value, 2);
		p[64] = 0x55;
		fake_driver_add(&f.drv, queue, bufs, 2);
		net_run(&f, queue);
		assert_true(fake_driver_used(&f.drv, queue, &head, &len));
		if (len != 1 || p[64] != table[i].ack)
			fail_msg("command %zu", i);
		/* a command without room for its answer */
		fake_driver_add(&f.drv, queue, bufs, 1);
		net_run(&f, queue);
		assert_int_equal(f.drv.needs_reset, 1);
		net_end(&f);
	}
}

static void a_link_comes_and_goes(void **state)
{
	static const struct virtio_net_hdr_v1 hdr;
	struct virtio_net_config config;
	uint8_t got[4096];
	struct net_fixture f;
	uint16_t head;
	uint32_t len;
	int more[PAIRS];

	(void)state;
	net_begin_pairs(&f, 0, PAIRS);
	net_give_buffers(&f, 40, BUFFER);
	net_unplug(&f.net->dev);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_int_equal(config.status, 0);
	for (unsigned int i = 0; i < PAIRS; i++) /* every pair has let go of it */
		assert_int_equal(read(f.peers[i], got, sizeof(got)), 0);
	net_send_frame(&f, &hdr, 60); /* lost, and used up */
	assert_true(fake_driver_used(&f.drv, TX, &head, &len));
	net_plug_tap(&f);
	f.net->dev.ops->config_read(&f.net->dev, 0, &config, f.net->dev.ops->config_size);
	assert_int_equal(le16toh(config.status), VIRTIO_NET_S_LINK_UP);
	net_send_frame(&f, &hdr, 60);
	assert_int_equal(read(f.peers[0], got, sizeof(got)), NET_HDR_LEN + 60);
	net_feed(&f, 100);
	net_run(&f, RX);
	assert_true(fake_driver_used(&f.drv, RX, &head, &len));
	for (unsigned int i = 0; i < PAIRS; i++)
		more[i] = dup(0);
	assert_int_equal(net_plug(&f.net->dev, more), -EBUSY);
	net_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_in_use_sends_and_receives),
		cmocka_unit_test(pairs_out_of_use_are_detached),
		cmocka_unit_test(commands_are_checked),
		cmocka_unit_test(a_link_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
