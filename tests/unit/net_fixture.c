/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net_fixture.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_tap.h"
#include "tests/unit/unit.h"

const uint8_t net_fixture_mac[6] = { 2, 1, 2, 3, 4, 5 };

/* Queues of a tap, for as many pairs. */
static void make_tap(struct net_fixture *f, int *taps, unsigned int pairs)
{
	f->pairs = pairs;
	for (unsigned int i = 0; i < pairs; i++) {
		const int room = 1 << 20; /* for some of the longest packets */
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		taps[i] = pair[0];
		fake_tap_opened(taps[i]);
		f->peers[i] = pair[1];
	}
}

static void close_tap(struct net_fixture *f)
{
	for (unsigned int i = 0; i < f->pairs; i++)
		close(f->peers[i]);
}

void net_begin_pairs(struct net_fixture *f, uint64_t without, unsigned int pairs)
{
	int taps[NET_PAIRS_MAX], none[NET_PAIRS_MAX] = { -1, -1, -1, -1 };
	struct virtio_device *dev;

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&f->drv);
	f->machine = fake_loop_create();
	make_tap(f, taps, pairs);
	dev = net_create(&f->drv.mem, f->machine, taps, none, net_fixture_mac, MTU, pairs, NULL);
	assert_non_null(dev);
	f->net = (struct net *)dev;
	for (unsigned int i = 0; i < pairs; i++)
		event_loop_stop(f->net->pairs[i].loop);
	dev->offered_features &= ~without;
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	f->gpa = fake_driver_alloc(&f->drv, 1 << 20);
}

void net_begin(struct net_fixture *f, uint64_t without)
{
	net_begin_pairs(f, without, 1);
}

void net_end(struct net_fixture *f)
{
	fake_driver_release(&f->drv);
	event_loop_free(f->machine);
	close_tap(f);
}

void net_use_event_idx(struct net_fixture *f)
{
	for (unsigned int i = 0; i < f->net->dev.ops->num_queues; i++)
		f->drv.queues[i].vq->event_idx = true;
}

/* Kick, let the device's thread and then the machine see what there is. */
void net_run(struct net_fixture *f, unsigned int queue)
{
	eventfd_write(f->drv.kick_fd[queue], 1);
	for (unsigned int i = 0; i < f->net->num_pairs; i++)
		fake_loop_run(f->net->pairs[i].loop);
	fake_loop_run(f->machine);
}

bool net_interrupted(struct net_fixture *f, unsigned int queue)
{
	eventfd_t count;

	return eventfd_read(f->drv.call_fd[queue], &count) == 0;
}

void net_fill(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + seed);
}

void net_add_frame(struct net_fixture *f, const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	uint8_t *p = fake_driver_ptr(&f->drv, f->gpa, NET_HDR_LEN + len);
	const struct fake_buffer bufs[] = { { f->gpa, NET_HDR_LEN, false },
					    { f->gpa + NET_HDR_LEN, (uint32_t)len, false } };

	memcpy(p, hdr, NET_HDR_LEN);
	net_fill(p + NET_HDR_LEN, len, 1);
	fake_driver_add(&f->drv, TX, bufs, len ? 2 : 1);
}

void net_send_frame(struct net_fixture *f, const struct virtio_net_hdr_v1 *hdr, size_t len)
{
	net_add_frame(f, hdr, len);
	net_run(f, TX);
}

void net_give_buffers_to(struct net_fixture *f, unsigned int pair, unsigned int count, uint32_t len)
{
	for (unsigned int i = 0; i < count; i++)
		fake_driver_add(&f->drv, NET_QUEUE_RX(pair),
				&(struct fake_buffer){ f->gpa + i * BUFFER, len, true }, 1);
}

void net_give_buffers(struct net_fixture *f, unsigned int count, uint32_t len)
{
	net_give_buffers_to(f, 0, count, len);
}

void net_feed_to(struct net_fixture *f, unsigned int pair, size_t len)
{
	static uint8_t packet[NET_HDR_LEN + NET_FRAME_MAX];

	memset(packet, 0, NET_HDR_LEN);
	net_fill(packet + NET_HDR_LEN, len, 3);
	assert_int_equal(write(f->peers[pair], packet, NET_HDR_LEN + len), NET_HDR_LEN + len);
}

void net_feed(struct net_fixture *f, size_t len)
{
	net_feed_to(f, 0, len);
}

void net_plug_tap(struct net_fixture *f)
{
	int taps[NET_PAIRS_MAX];

	close_tap(f);
	make_tap(f, taps, f->pairs);
	assert_int_equal(net_plug(&f->net->dev, taps), 0);
}
