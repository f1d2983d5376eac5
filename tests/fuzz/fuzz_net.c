/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: the guest's side of virtio-net, with a socket pair for the tap. The input is a
 * list of steps: each makes a chain of descriptors with the addresses, lengths and directions that
 * its bytes say, in any queue, has the tap's other end send or take packets, or resets the device. The
 * first byte says whether buffers are merged and indices say when to interrupt.
 * See tests/fuzz/README.md.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/fake_tap.h"
#include "vmm/virtio/net_priv.h"

#define STEP 48u
#define PAIRS 2u
/* Two pairs and the control queue. */
#define QUEUES (2 * PAIRS + 1)
#define AREA (1u << 20)

struct target {
	struct fake_driver drv;
	struct event_loop *loop;
	struct net *net;
	uint64_t gpa;
	int peers[PAIRS];
	bool event_idx;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = { 2 };

/* Mostly inside the area for packets; now and then anywhere. */
static uint64_t address(const struct target *t, const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return (v >> 60) == 15 ? v : t->gpa + v % AREA;
}

static void add_chain(struct target *t, const uint8_t *p)
{
	const unsigned int queue = p[46] % QUEUES, count = 1 + (p[0] >> 1 & 3);
	struct fake_buffer bufs[4];
	uint16_t head;
	uint32_t len;

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *at = p + 1 + i * 11;
		uint16_t length;

		memcpy(&length, at + 8, sizeof(length));
		bufs[i] = (struct fake_buffer){ address(t, at), length, at[10] & 1 };
	}
	/* A header or a command to begin with, as the input wants it. */
	if (p[0] & 8 && !bufs[0].writable &&
	    guest_memory_ptr(&t->drv.mem, bufs[0].gpa, NET_HDR_LEN))
		memcpy(fake_driver_ptr(&t->drv, bufs[0].gpa, NET_HDR_LEN), p + 34, NET_HDR_LEN);
	fake_driver_add(&t->drv, queue, bufs, count);
	eventfd_write(t->drv.kick_fd[queue], 1);
	for (unsigned int q = 0; q < QUEUES; q++)
		while (fake_driver_used(&t->drv, q, &head, &len))
			;
}

static void give_buffers(struct target *t, const uint8_t *p)
{
	const uint32_t len = 12 + p[1] * 16u;
	const unsigned int queue = NET_QUEUE_RX(p[3] % PAIRS);

	for (unsigned int i = 0; i < p[2] % FAKE_QUEUE_SIZE; i++)
		fake_driver_add(&t->drv, queue,
				&(struct fake_buffer){ t->gpa + i * 8192, len, true }, 1);
	eventfd_write(t->drv.kick_fd[queue], 1);
}

static void wire_acts(struct target *t, const uint8_t *p)
{
	static uint8_t buf[1 << 17];
	const int peer = t->peers[p[4] % PAIRS];
	size_t len = (size_t)p[1] << 8 | p[2];

	if (p[3] & 1)
		(void)!write(peer, buf, len << (p[3] >> 1 & 1));
	else
		while (read(peer, buf, sizeof(buf)) > 0)
			;
}

static void start(struct target *t)
{
	if (fake_driver_start(&t->drv, &t->net->dev))
		abort();
	for (unsigned int q = 0; q < QUEUES; q++)
		t->net->dev.queues[q].event_idx = t->event_idx;
}

static void step(struct target *t, const uint8_t *p)
{
	switch (p[0] >> 5) {
	case 0:
		wire_acts(t, p);
		break;
	case 1:
		give_buffers(t, p);
		break;
	case 2:
		if (p[1] == 0) {
			fake_driver_reset(&t->drv);
			t->drv.next_gpa = t->gpa + AREA;
			start(t);
		}
		break;
	default:
		add_chain(t, p);
	}
	for (unsigned int i = 0; i < PAIRS; i++)
		fake_loop_run(t->net->pairs[i].loop);
	fake_loop_run(t->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_device *dev;
	struct target t = { 0 };
	int taps[PAIRS], vhosts[PAIRS] = { -1, -1 };

	signal(SIGPIPE, SIG_IGN);
	log_init("fuzz", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&t.drv);
	t.loop = fake_loop_create();
	for (unsigned int i = 0; i < PAIRS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0)
			abort();
		taps[i] = pair[0];
		fake_tap_opened(taps[i]);
		t.peers[i] = pair[1];
	}
	dev = net_create(&t.drv.mem, t.loop, taps, vhosts, mac, 1500, PAIRS, NULL);
	if (!dev)
		abort();
	t.net = (struct net *)dev;
	for (unsigned int i = 0; i < PAIRS; i++)
		event_loop_stop(t.net->pairs[i].loop);
	if (size && data[0] & 1)
		dev->offered_features &= ~(1ull << VIRTIO_NET_F_MRG_RXBUF);
	t.gpa = fake_driver_alloc(&t.drv, AREA);
	t.event_idx = size && data[0] & 2;
	start(&t);
	for (size_t at = 1; at + STEP <= size; at += STEP)
		step(&t, data + at);
	fake_driver_release(&t.drv);
	event_loop_free(t.loop);
	for (unsigned int i = 0; i < PAIRS; i++)
		close(t.peers[i]);
	return 0;
}
