/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MMIO transport's registers, driven as a guest's driver would, and as one that does not keep
 * to the order of virtio 1.2, 3.1.1.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vmm/event_loop.h"
#include "vmm/virtio/transport_mmio.h"

#define ACK VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK VIRTIO_CONFIG_S_DRIVER_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define FEATURE_A 1ull

#define NUM_QUEUES 2u
#define QUEUE_MAX 64u
#define CONFIG_SIZE 12u

struct test_device {
	struct virtio_device dev;
	unsigned int activations, resets, kicks[NUM_QUEUES];
	int activate_result;
	uint8_t config[CONFIG_SIZE];
};

struct fixture {
	pthread_mutex_t lock;
	struct guest_memory mem;
	struct event_loop *loop;
	struct virtio_transport *t;
	struct test_device td;
	/* What a guest reads without asking: reg() wants it to be the same, at every step. */
	_Alignas(4) uint8_t page[TRANSPORT_MMIO_SIZE];
};

static struct test_device *test_device_of(struct virtio_device *dev)
{
	return (struct test_device *)dev;
}

static void test_config_read(struct virtio_device *dev, uint32_t offset, void *buf, uint32_t len)
{
	assert_true(offset + len <= CONFIG_SIZE);
	memcpy(buf, test_device_of(dev)->config + offset, len);
}

static void test_config_write(struct virtio_device *dev, uint32_t offset, const void *buf,
			      uint32_t len)
{
	assert_true(offset + len <= CONFIG_SIZE);
	memcpy(test_device_of(dev)->config + offset, buf, len);
}

static int test_activate(struct virtio_device *dev)
{
	test_device_of(dev)->activations++;
	return test_device_of(dev)->activate_result;
}

static void test_queue_notify(struct virtio_device *dev, unsigned int index)
{
	test_device_of(dev)->kicks[index]++;
}

static void test_reset(struct virtio_device *dev)
{
	test_device_of(dev)->resets++;
}

static void test_destroy(struct virtio_device *dev)
{
	(void)dev; /* part of the fixture */
}

static const struct virtio_device_ops test_ops = {
	.name = "test",
	.device_id = 42,
	.num_queues = NUM_QUEUES,
	.queue_max_size = QUEUE_MAX,
	.config_size = CONFIG_SIZE,
	.features = FEATURE_A | EVENT_IDX,
	.config_read = test_config_read,
	.config_write = test_config_write,
	.activate = test_activate,
	.queue_notify = test_queue_notify,
	.reset = test_reset,
	.destroy = test_destroy,
};

static int set_up_device(void **state, bool external)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	pthread_mutex_init(&f.lock, NULL);
	if (guest_memory_create(&f.mem, 2u << 20, 1ull << 31, NULL))
		return -1;
	f.loop = event_loop_create(&f.lock, NULL);
	virtio_device_init(&f.td.dev, &test_ops, &f.mem);
	f.td.dev.external_queues = external;
	f.t = transport_mmio_create(&f.td.dev, f.loop, NULL);
	if (f.t)
		transport_mmio_set_page(f.t, f.page);
	*state = &f;
	return f.loop && f.t ? 0 : -1;
}

static int set_up(void **state)
{
	return set_up_device(state, false);
}

static int set_up_external(void **state)
{
	return set_up_device(state, true);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	transport_mmio_free(f->t);
	event_loop_free(f->loop);
	guest_memory_release(&f->mem);
	return 0;
}

static uint32_t reg(struct fixture *f, uint64_t offset)
{
	uint32_t v;

	transport_mmio_read(f->t, offset, &v, sizeof(v));
	assert_memory_equal(f->page + offset, &v, sizeof(v));
	return v;
}

static void set(struct fixture *f, uint64_t offset, uint32_t v)
{
	transport_mmio_write(f->t, offset, &v, sizeof(v));
}

static void set_status(struct fixture *f, uint32_t v)
{
	set(f, VIRTIO_MMIO_STATUS, v);
}

static void accept_features(struct fixture *f, uint64_t features)
{
	for (uint32_t i = 0; i < 2; i++) {
		set(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		set(f, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * i)));
	}
}

static void negotiate(struct fixture *f, uint64_t features)
{
	set_status(f, ACK);
	set_status(f, ACK | DRIVER);
	accept_features(f, features);
	set_status(f, ACK | DRIVER | FEATURES_OK);
}

static void place_queue(struct fixture *f, uint32_t index, uint32_t size, uint32_t at)
{
	set(f, VIRTIO_MMIO_QUEUE_SEL, index);
	set(f, VIRTIO_MMIO_QUEUE_NUM, size);
	set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, at);
	set(f, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	set(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, at + 0x1000);
	set(f, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	set(f, VIRTIO_MMIO_QUEUE_USED_LOW, at + 0x2000);
	set(f, VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	set(f, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void bring_up(struct fixture *f)
{
	negotiate(f, VERSION_1);
	place_queue(f, 0, QUEUE_MAX, 0x10000);
	place_queue(f, 1, QUEUE_MAX, 0x20000);
	set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void run_loop_once(struct fixture *f)
{
	/* The stop is delivered in the same round as what is ready before it. */
	event_loop_stop(f->loop);
	assert_int_equal(event_loop_run(f->loop), 0);
}

static bool interrupted(struct fixture *f)
{
	eventfd_t count;

	return eventfd_read(transport_mmio_irq_fd(f->t), &count) == 0;
}

static void it_says_what_it_is(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(reg(f, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_ID), 42);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), 0);
	set(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_FEATURES), FEATURE_A | EVENT_IDX);
	set(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_FEATURES), 1);
	set(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

static void the_queues_that_there_are(void **state)
{
	struct fixture *f = *state;

	set(f, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), QUEUE_MAX);
	set(f, VIRTIO_MMIO_QUEUE_SEL, NUM_QUEUES);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
	set(f, VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	set(f, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void a_driver_brings_it_up(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(f->td.activations, 1);
	assert_true(f->td.dev.active);
	assert_true(f->td.dev.queues[0].ready);
	assert_int_equal(f->td.dev.features, VERSION_1);
	assert_false(f->td.dev.queues[0].event_idx);
	assert_int_equal(f->td.dev.queues[1].used, 0x22000);
}

static void a_queue_may_stay_unused(void **state)
{
	struct fixture *f = *state;

	negotiate(f, VERSION_1 | EVENT_IDX);
	place_queue(f, 1, 8, 0x10000);
	set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(f->td.dev.active);
	assert_false(f->td.dev.queues[0].ready);
	assert_true(f->td.dev.queues[1].ready);
	assert_true(f->td.dev.queues[1].event_idx);
}

static void features_that_were_not_offered_are_refused(void **state)
{
	struct fixture *f = *state;

	negotiate(f, VERSION_1 | 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	/* It may try again with less. */
	accept_features(f, VERSION_1 | FEATURE_A);
	set_status(f, ACK | DRIVER | FEATURES_OK);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER | FEATURES_OK);
	/* After that the word stands. */
	accept_features(f, VERSION_1);
	assert_int_equal(f->td.dev.features, VERSION_1 | FEATURE_A);
}

static void legacy_drivers_are_refused(void **state)
{
	struct fixture *f = *state;

	negotiate(f, FEATURE_A);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
}

static void the_status_goes_forward_only(void **state)
{
	struct fixture *f = *state;

	set_status(f, DRIVER); /* without ACKNOWLEDGE */
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), 0);
	set_status(f, ACK | FEATURES_OK); /* without DRIVER */
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), 0);
	set_status(f, ACK | DRIVER);
	set_status(f, ACK); /* a bit goes away */
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	accept_features(f, VERSION_1);
	set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK); /* two steps at once */
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	set_status(f, ACK | DRIVER | 0x20); /* no bit of the specification */
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), ACK | DRIVER);
	assert_int_equal(f->td.activations, 0);
}

static void queues_do_not_move_while_in_use(void **state)
{
	struct fixture *f = *state;

	set(f, VIRTIO_MMIO_QUEUE_SEL, 0);
	set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x5000); /* before FEATURES_OK */
	assert_int_equal(f->td.dev.queues[0].desc, 0);
	negotiate(f, VERSION_1);
	place_queue(f, 0, 8, 0x10000);
	set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x5000); /* while ready */
	assert_int_equal(f->td.dev.queues[0].desc, 0x10000);
	set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	set(f, VIRTIO_MMIO_QUEUE_READY, 0); /* after DRIVER_OK */
	set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, 0x5000);
	set(f, VIRTIO_MMIO_QUEUE_NUM, 1024);
	assert_int_equal(f->td.dev.queues[0].desc, 0x10000);
	assert_int_equal(f->td.dev.queues[0].size, 8);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 1);
}

static void a_badly_placed_queue_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	negotiate(f, VERSION_1);
	place_queue(f, 0, QUEUE_MAX, 0x7ffffff0);
	set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(reg(f, VIRTIO_MMIO_STATUS) & NEEDS_RESET);
	assert_int_equal(f->td.activations, 0);
	assert_false(f->td.dev.active);
	set_status(f, 0);
	bring_up(f);
	assert_true(f->td.dev.active);
}

static void sizes_over_the_maximum_are_refused(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 2 * QUEUE_MAX, 0x10000 + 8, UINT32_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		set_status(f, 0);
		negotiate(f, VERSION_1);
		place_queue(f, 0, sizes[i], 0x10000);
		set_status(f, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
		assert_true(reg(f, VIRTIO_MMIO_STATUS) & NEEDS_RESET);
	}
}

static void a_device_that_cannot_start_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	f->td.activate_result = -EIO;
	bring_up(f);
	assert_true(reg(f, VIRTIO_MMIO_STATUS) & NEEDS_RESET);
	assert_true(interrupted(f));
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
}

static void reset_forgets_everything(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	virtio_device_notify_config(&f->td.dev);
	set_status(f, 0);
	assert_int_equal(f->td.resets, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_false(f->td.dev.active);
	assert_false(f->td.dev.queues[0].ready);
	assert_int_equal(f->td.dev.queues[0].desc, 0);
	assert_int_equal(f->td.dev.features, 0);
	bring_up(f);
	assert_int_equal(f->td.activations, 2);
}

static void kicks_reach_an_active_device_only(void **state)
{
	struct fixture *f = *state;

	set(f, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	run_loop_once(f);
	assert_int_equal(f->td.kicks[0], 0);
	bring_up(f);
	run_loop_once(f);
	assert_int_equal(f->td.kicks[0], 1); /* what came before DRIVER_OK is not lost */
	assert_int_equal(eventfd_write(transport_mmio_kick_fd(f->t, 1), 1), 0);
	set(f, VIRTIO_MMIO_QUEUE_NOTIFY, NUM_QUEUES);
	set(f, VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	run_loop_once(f);
	assert_int_equal(f->td.kicks[0], 1);
	assert_int_equal(f->td.kicks[1], 2);
}

static void interrupts_are_raised_and_acknowledged(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	virtqueue_push(&f->td.dev.queues[0], 0, 0);
	virtio_device_notify_queue(&f->td.dev, 0);
	assert_true(interrupted(f));
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	virtio_device_notify_config(&f->td.dev);
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	set(f, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
}

static void external_queues_always_ask_to_be_looked_at(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	bring_up(f);
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	set(f, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(reg(f, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_VRING);
	assert_int_equal(virtio_device_kick_fd(&f->td.dev, 1), transport_mmio_kick_fd(f->t, 1));
	assert_int_equal(virtio_device_call_fd(&f->td.dev, 1), transport_mmio_irq_fd(f->t));
	run_loop_once(f);
	assert_int_equal(f->td.kicks[1], 0); /* nobody watches them here */
	assert_true(transport_mmio_ack_fd(f->t) >= 0);
}

static void the_page_follows_the_configuration(void **state)
{
	struct fixture *f = *state;
	uint32_t generation;

	assert_int_equal(transport_mmio_ack_fd(f->t), -1); /* this driver's are not for nothing */
	bring_up(f);
	generation = reg(f, VIRTIO_MMIO_CONFIG_GENERATION);
	f->td.config[3] = 77;
	assert_int_equal(f->page[VIRTIO_MMIO_CONFIG + 3], 0);
	virtio_device_notify_config(&f->td.dev);
	assert_int_equal(f->page[VIRTIO_MMIO_CONFIG + 3], 77);
	assert_int_not_equal(reg(f, VIRTIO_MMIO_CONFIG_GENERATION), generation);
	transport_mmio_write(f->t, VIRTIO_MMIO_CONFIG + 8, "abcd", 4);
	assert_memory_equal(f->page + VIRTIO_MMIO_CONFIG + 8, "abcd", 4);
	assert_int_equal(f->page[VIRTIO_MMIO_CONFIG + CONFIG_SIZE], 0);
}

static void the_configuration_space_has_bounds(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	transport_mmio_write(f->t, VIRTIO_MMIO_CONFIG, buf, 4); /* no driver yet */
	assert_int_equal(f->td.config[0], 0);
	set_status(f, ACK);
	set_status(f, ACK | DRIVER);
	transport_mmio_write(f->t, VIRTIO_MMIO_CONFIG + 4, buf, 8);
	assert_int_equal(f->td.config[11], 8);
	transport_mmio_write(f->t, VIRTIO_MMIO_CONFIG + 5, buf, 8); /* one byte too far */
	assert_int_equal(f->td.config[5], 2);
	transport_mmio_read(f->t, VIRTIO_MMIO_CONFIG + 11, buf, 1);
	assert_int_equal(buf[0], 8);
	transport_mmio_read(f->t, VIRTIO_MMIO_CONFIG + 11, buf, 2);
	assert_int_equal(buf[0], 0);
	transport_mmio_read(f->t, TRANSPORT_MMIO_SIZE - 4, buf, 4);
	assert_int_equal(buf[0], 0);
}

static void odd_accesses_do_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t v = UINT64_MAX;

	transport_mmio_read(f->t, VIRTIO_MMIO_MAGIC_VALUE, &v, 8);
	assert_int_equal(v, 0);
	v = UINT64_MAX;
	transport_mmio_read(f->t, VIRTIO_MMIO_MAGIC_VALUE, &v, 1);
	assert_int_equal(v & 0xff, 0);
	v = UINT64_MAX;
	transport_mmio_read(f->t, VIRTIO_MMIO_MAGIC_VALUE + 1, &v, 4);
	assert_int_equal(v & 0xffffffff, 0);
	v = ACK;
	transport_mmio_write(f->t, VIRTIO_MMIO_STATUS, &v, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), 0);
	/* Every register there is not. */
	for (uint64_t offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		transport_mmio_read(f->t, offset, &v, 4);
		if (offset != VIRTIO_MMIO_STATUS)
			set(f, offset, (uint32_t)(offset * 0x9e3779b9u));
	}
	assert_int_equal(f->td.activations, 0);
}

static void shared_memory_regions_are_told(void **state)
{
	struct fixture *f = *state;

	f->td.dev.shm[1] = (struct virtio_shm_region){ .gpa = 0x4ull << 32, .size = 1ull << 33 };
	set(f, VIRTIO_MMIO_SHM_SEL, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_LOW), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_HIGH), 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_BASE_LOW), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_BASE_HIGH), 4);
	for (uint32_t absent = 0; absent < 4; absent += 2) {
		set(f, VIRTIO_MMIO_SHM_SEL, absent);
		assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
		assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_what_it_is),
		TEST(the_queues_that_there_are),
		TEST(a_driver_brings_it_up),
		TEST(a_queue_may_stay_unused),
		TEST(features_that_were_not_offered_are_refused),
		TEST(legacy_drivers_are_refused),
		TEST(the_status_goes_forward_only),
		TEST(queues_do_not_move_while_in_use),
		TEST(a_badly_placed_queue_needs_a_reset),
		TEST(sizes_over_the_maximum_are_refused),
		TEST(a_device_that_cannot_start_needs_a_reset),
		TEST(reset_forgets_everything),
		TEST(kicks_reach_an_active_device_only),
		TEST(interrupts_are_raised_and_acknowledged),
		cmocka_unit_test_setup_teardown(external_queues_always_ask_to_be_looked_at,
						set_up_external, tear_down),
		TEST(the_page_follows_the_configuration),
		TEST(the_configuration_space_has_bounds),
		TEST(odd_accesses_do_nothing),
		TEST(shared_memory_regions_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
