/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-net: how a pair's thread works: when it asks for kicks, when it interrupts, when it rests. */
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/net_fixture.h"
#include "tests/unit/unit.h"

static const struct virtio_net_hdr_v1 plain;

/* A driver that answers what it is interrupted for, as one that acknowledges does. */
struct answering {
	struct net_fixture f;
	unsigned int interrupts, received, answers, kicks;
	unsigned int most_at_once; /* packets that one interrupt was for */
	unsigned int limit;	   /* of answers */
};

static void take_and_answer(void *data)
{
	struct answering *a = data;
	unsigned int got = 0;
	uint16_t head;
	uint32_t len;

	a->interrupts++;
	while (fake_driver_used(&a->f.drv, RX, &head, &len))
		got++;
	a->received += got;
	if (got > a->most_at_once)
		a->most_at_once = got;
	if (!got || a->answers == a->limit)
		return;
	net_add_frame(&a->f, &plain, 60);
	a->answers++;
	a->kicks += fake_driver_wants_kick(&a->f.drv, TX);
}

static void begin_answering(struct answering *a, bool event_idx)
{
	memset(a, 0, sizeof(*a));
	a->limit = 60;
	net_begin(&a->f, 0);
	if (event_idx)
		net_use_event_idx(&a->f);
	a->f.drv.on_interrupt = take_and_answer;
	a->f.drv.data = a;
}

static unsigned int left_by_the_tap(struct net_fixture *f)
{
	uint8_t got[4096];
	unsigned int n = 0;

	while (read(f->peers[0], got, sizeof(got)) > 0)
		n++;
	return n;
}

/* One round of the pair's thread: one callback, if there is one source ready. */
static void one_callback(struct net_fixture *f)
{
	assert_int_equal(event_loop_run(f->net->pairs[0].loop), 0);
}

/* Everything that arrives during the work is sent, and not one kick was asked for. */
static void answers_need_no_kick_while_the_thread_works(void **state)
{
	(void)state;
	for (unsigned int event_idx = 0; event_idx <= 1; event_idx++) {
		struct answering a;

		begin_answering(&a, event_idx);
		net_give_buffers(&a.f, 60, BUFFER);
		net_run(&a.f, RX);
		/* asleep: it is woken by the next packet of the driver's */
		net_add_frame(&a.f, &plain, 60);
		assert_true(fake_driver_wants_kick(&a.f.drv, TX));
		net_run(&a.f, TX);
		assert_int_equal(left_by_the_tap(&a.f), 1);
		for (unsigned int i = 0; i < 20; i++)
			net_feed(&a.f, 60);
		fake_loop_run(a.f.net->pairs[0].loop);
		assert_int_equal(a.received, 20);
		assert_true(a.answers > 1);
		assert_int_equal(left_by_the_tap(&a.f), a.answers);
		assert_int_equal(a.kicks, 0);
		/* and asleep again */
		net_add_frame(&a.f, &plain, 60);
		assert_true(fake_driver_wants_kick(&a.f.drv, TX));
		net_end(&a.f);
	}
}

static void one_interrupt_tells_of_both_directions(void **state)
{
	struct answering a;

	(void)state;
	begin_answering(&a, false);
	a.limit = 0;
	net_give_buffers(&a.f, 60, BUFFER);
	net_run(&a.f, RX);
	net_feed(&a.f, 60);
	net_send_frame(&a.f, &plain, 60);
	assert_int_equal(a.interrupts, 1);
	assert_int_equal(a.received, 1);
	assert_int_equal(left_by_the_tap(&a.f), 1);
	/* and a queue of which nothing is new is not asked: without EVENT_IDX its answer is yes */
	a.f.drv.on_interrupt = NULL;
	net_run(&a.f, RX);
	assert_true(net_interrupted(&a.f, RX));
	net_run(&a.f, RX);
	assert_false(net_interrupted(&a.f, RX));
	assert_false(net_interrupted(&a.f, TX));
	net_end(&a.f);
}

/* A driver that has turned interrupts off for one queue still hears of the other. */
static void each_queue_is_asked(void **state)
{
	struct net_fixture f;
	uint16_t *flags;

	(void)state;
	for (unsigned int quiet = RX; quiet <= TX; quiet++) {
		net_begin(&f, 0);
		net_give_buffers(&f, 60, BUFFER);
		net_run(&f, RX);
		flags = fake_driver_ptr(&f.drv, f.drv.queues[quiet].avail, sizeof(*flags));
		*flags = VRING_AVAIL_F_NO_INTERRUPT;
		net_feed(&f, 60);
		net_send_frame(&f, &plain, 60);
		assert_int_equal(net_interrupted(&f, RX), quiet != RX);
		assert_int_equal(net_interrupted(&f, TX), quiet != TX);
		net_end(&f);
	}
}

/* The driver can take buffers back, and give new ones, long before all packets are there. */
static void interrupts_come_while_packets_do(void **state)
{
	struct answering a;

	(void)state;
	begin_answering(&a, false);
	net_give_buffers(&a.f, 60, BUFFER);
	net_run(&a.f, RX);
	for (unsigned int i = 0; i < NET_BATCH + 4; i++)
		net_feed(&a.f, 60);
	one_callback(&a.f);
	assert_int_equal(a.received, NET_BATCH + 4);
	assert_int_equal(a.most_at_once, NET_BATCH);
	net_end(&a.f);
}

/* Also when a few packets fill all of the driver's buffers. */
static void interrupts_come_before_the_buffers_are_used_up(void **state)
{
	struct answering a;

	(void)state;
	begin_answering(&a, false);
	for (unsigned int i = 0; i < 60; i++)
		fake_driver_add(&a.f.drv, RX,
				&(struct fake_buffer){ a.f.gpa + i * (16u << 10), 16u << 10, true }, 1);
	net_run(&a.f, RX);
	for (unsigned int i = 0; i < 5; i++)
		net_feed(&a.f, 64 << 10);
	one_callback(&a.f);
	/* each takes four buffers, and its header a part of a fifth */
	assert_int_equal(a.received, 5 * 5);
	assert_int_equal(a.most_at_once, NET_BATCH_BYTES / (64 << 10) * 5);
	net_end(&a.f);
}

/* Whoever waits for the lock gets it, however much there is to do. */
static void the_lock_is_left_after_some_rounds(void **state)
{
	const unsigned int each_round = NET_BATCH_BYTES / (64 << 10);
	struct net_fixture f;
	unsigned int done = 0;
	struct fake_buffer buf;
	uint16_t head;
	uint32_t len;

	(void)state;
	net_begin(&f, 0);
	net_unplug(&f.net->dev);
	buf = (struct fake_buffer){ f.gpa, NET_HDR_LEN + (64 << 10), false };
	for (unsigned int i = 0; i < FAKE_QUEUE_SIZE; i++)
		fake_driver_add(&f.drv, TX, &buf, 1);
	assert_true(FAKE_QUEUE_SIZE > NET_ROUNDS * each_round);
	eventfd_write(f.drv.kick_fd[TX], 1);
	one_callback(&f);
	while (fake_driver_used(&f.drv, TX, &head, &len))
		done++;
	assert_int_equal(done, NET_ROUNDS * each_round);
	fake_loop_run(f.net->pairs[0].loop);
	while (fake_driver_used(&f.drv, TX, &head, &len))
		done++;
	assert_int_equal(done, FAKE_QUEUE_SIZE);
	net_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_need_no_kick_while_the_thread_works),
		cmocka_unit_test(one_interrupt_tells_of_both_directions),
		cmocka_unit_test(each_queue_is_asked),
		cmocka_unit_test(interrupts_come_while_packets_do),
		cmocka_unit_test(interrupts_come_before_the_buffers_are_used_up),
		cmocka_unit_test(the_lock_is_left_after_some_rounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
