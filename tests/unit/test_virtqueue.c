/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues seen from the device: what a well-behaved driver does, and every way in which a
 * hostile one can lie about its rings.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "vmm/virtio/virtqueue.h"

#define RAM (16ull << 20)
#define QUEUE 8u
#define DESC 0x1000u
#define AVAIL 0x2000u
#define USED 0x3000u
#define TABLE 0x10000u /* an indirect table */
#define DATA 0x100000u

struct fixture {
	struct guest_memory mem;
	struct virtqueue vq;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct virtq_chain chain;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (guest_memory_create(&f.mem, RAM, 1ull << 31, NULL))
		return -1;
	f.desc = guest_memory_ptr(&f.mem, DESC, 16 * VIRTQUEUE_MAX_SIZE);
	f.avail = guest_memory_ptr(&f.mem, AVAIL, 4096);
	f.used = guest_memory_ptr(&f.mem, USED, 4096);
	f.vq = (struct virtqueue){ .size = QUEUE, .max_size = QUEUE, .desc = DESC,
				   .avail = AVAIL, .used = USED };
	*state = &f;
	return virtqueue_start(&f.vq, &f.mem);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	guest_memory_release(&f->mem);
	return 0;
}

static void set_desc(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags,
		     uint16_t next)
{
	*d = (struct vring_desc){ addr, len, flags, next };
}

static void make_available(struct fixture *f, uint16_t head)
{
	f->avail->ring[f->avail->idx % f->vq.size] = head;
	f->avail->idx++;
}

/* The chain that begins at descriptor 0 is malformed: the queue breaks and stays so. */
static void assert_breaks(struct fixture *f)
{
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), -EPROTO);
	assert_true(f->vq.broken);
	assert_false(virtqueue_has_avail(&f->vq));
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 0);
	virtqueue_stop(&f->vq);
	assert_false(f->vq.broken);
}

static void a_chain_is_read_and_written(void **state)
{
	struct fixture *f = *state;
	char buf[16] = { 0 };

	guest_memory_write(&f->mem, DATA, "hello ", 6);
	guest_memory_write(&f->mem, DATA + 0x100, "world", 6);
	set_desc(&f->desc[0], DATA, 6, VRING_DESC_F_NEXT, 5);
	set_desc(&f->desc[5], DATA + 0x100, 6, VRING_DESC_F_NEXT, 2);
	set_desc(&f->desc[2], DATA + 0x200, 3, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 3);
	set_desc(&f->desc[3], DATA + 0x300, 3, VRING_DESC_F_WRITE, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(f->chain.head, 0);
	assert_int_equal(f->chain.num_readable, 2);
	assert_int_equal(f->chain.num_writable, 2);
	assert_int_equal(chain_read(&f->chain, buf, 4), 4);
	assert_int_equal(chain_read(&f->chain, buf + 4, sizeof(buf) - 4), 8);
	assert_string_equal(buf, "hello world");
	assert_int_equal(chain_read(&f->chain, buf, 1), 0);
	assert_int_equal(chain_skip_write(&f->chain, 1), 1);
	assert_int_equal(chain_write(&f->chain, "abcdefgh", 8), 5);
	assert_int_equal(chain_writable(&f->chain), 0);
	guest_memory_read(&f->mem, DATA + 0x200, buf, 3);
	assert_memory_equal(buf, "\0ab", 3);
	guest_memory_read(&f->mem, DATA + 0x300, buf, 3);
	assert_memory_equal(buf, "cde", 3);
	virtqueue_push(&f->vq, f->chain.head, 6);
	assert_int_equal(f->used->idx, 1);
	assert_int_equal(f->used->ring[0].id, 0);
	assert_int_equal(f->used->ring[0].len, 6);
}

static void neighbours_become_one_iovec(void **state)
{
	struct fixture *f = *state;

	set_desc(&f->desc[0], DATA, 0x1000, VRING_DESC_F_NEXT, 1);
	set_desc(&f->desc[1], DATA + 0x1000, 0x1000, VRING_DESC_F_NEXT, 2);
	set_desc(&f->desc[2], DATA + 0x2000, 0x1000, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 3);
	set_desc(&f->desc[3], DATA + 0x3000, 0x1000, VRING_DESC_F_WRITE, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(f->chain.num_readable, 1);
	assert_int_equal(f->chain.num_writable, 1);
	assert_int_equal(chain_readable(&f->chain), 0x2000);
	assert_int_equal(chain_writable(&f->chain), 0x2000);
}

static void indices_wrap(void **state)
{
	struct fixture *f = *state;

	virtqueue_stop(&f->vq);
	f->vq.last_avail = f->vq.used_idx = 65530;
	f->avail->idx = f->used->idx = 65530;
	assert_int_equal(virtqueue_start(&f->vq, &f->mem), 0);
	for (unsigned int i = 0; i < 70000; i++) {
		const uint16_t head = (uint16_t)(i % QUEUE);

		set_desc(&f->desc[head], DATA, 8, 0, 0);
		make_available(f, head);
		assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
		assert_int_equal(f->chain.head, head);
		virtqueue_push(&f->vq, head, 0);
		assert_int_equal(f->used->idx, f->avail->idx);
	}
}

static void a_popped_chain_can_be_given_back(void **state)
{
	struct fixture *f = *state;

	set_desc(&f->desc[3], DATA, 8, 0, 0);
	make_available(f, 3);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_false(virtqueue_has_avail(&f->vq));
	virtqueue_unpop(&f->vq);
	assert_true(virtqueue_has_avail(&f->vq));
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(f->chain.head, 3);
}

static void indirect_tables_are_followed(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *table = guest_memory_ptr(&f->mem, TABLE, 4 * 16);

	/* An ordinary descriptor before it is allowed (2.7.5.3.2); its WRITE flag means nothing. */
	set_desc(&f->desc[0], DATA, 4, VRING_DESC_F_NEXT, 1);
	set_desc(&f->desc[1], TABLE, 4 * 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	set_desc(&table[0], DATA + 0x100, 4, VRING_DESC_F_NEXT, 3);
	set_desc(&table[3], DATA + 0x200, 4, VRING_DESC_F_WRITE, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(f->chain.num_readable, 2);
	assert_int_equal(f->chain.num_writable, 1);
}

static void an_indirect_table_may_be_longer_than_the_queue(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *table = guest_memory_ptr(&f->mem, TABLE, 16 * VIRTQUEUE_MAX_SIZE);

	for (uint32_t i = 0; i < VIRTQUEUE_MAX_SIZE; i++)
		set_desc(&table[i], DATA + 0x1000ull * i, 8,
			 i + 1 < VIRTQUEUE_MAX_SIZE ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1));
	set_desc(&f->desc[0], TABLE, 16 * VIRTQUEUE_MAX_SIZE, VRING_DESC_F_INDIRECT, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(f->chain.num_readable, VIRTQUEUE_MAX_SIZE);
}

static void lies_in_descriptors(void **state)
{
	static const struct {
		const char *what;
		struct vring_desc first, second;
	} lies[] = {
		{ "next outside the table", { DATA, 8, VRING_DESC_F_NEXT, QUEUE }, { 0 } },
		{ "a loop", { DATA, 8, VRING_DESC_F_NEXT, 1 }, { DATA, 8, VRING_DESC_F_NEXT, 0 } },
		{ "outside RAM", { RAM, 8, 0, 0 }, { 0 } },
		{ "over the end of RAM", { RAM - 4, 8, 0, 0 }, { 0 } },
		{ "address overflow", { UINT64_MAX - 3, 8, 0, 0 }, { 0 } },
		{ "empty", { DATA, 0, 0, 0 }, { 0 } },
		{ "readable after writable",
		  { DATA, 8, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1 }, { DATA, 8, 0, 0 } },
		{ "an indirect table that goes on",
		  { TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1 }, { DATA, 8, 0, 0 } },
		{ "an empty indirect table", { TABLE, 0, VRING_DESC_F_INDIRECT, 0 }, { 0 } },
		{ "half an entry", { TABLE, 24, VRING_DESC_F_INDIRECT, 0 }, { 0 } },
		{ "a giant table", { TABLE, 16 * (VIRTQUEUE_MAX_SIZE + 1), VRING_DESC_F_INDIRECT, 0 },
		  { 0 } },
		{ "a table outside RAM", { RAM - 16, 32, VRING_DESC_F_INDIRECT, 0 }, { 0 } },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		print_message("%s\n", lies[i].what);
		f->avail->idx = 0;
		f->desc[0] = lies[i].first;
		f->desc[1] = lies[i].second;
		assert_breaks(f);
		assert_int_equal(virtqueue_start(&f->vq, &f->mem), 0);
	}
}

static void lies_in_indirect_tables(void **state)
{
	static const struct {
		const char *what;
		struct vring_desc entry;
	} lies[] = {
		{ "a table in a table", { TABLE, 16, VRING_DESC_F_INDIRECT, 0 } },
		{ "next outside the table", { DATA, 8, VRING_DESC_F_NEXT, 2 } },
		{ "a loop", { DATA, 8, VRING_DESC_F_NEXT, 0 } },
		{ "outside RAM", { RAM, 8, 0, 0 } },
	};
	struct fixture *f = *state;
	struct vring_desc *table = guest_memory_ptr(&f->mem, TABLE, 32);

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		print_message("%s\n", lies[i].what);
		f->avail->idx = 0;
		set_desc(&f->desc[0], TABLE, 32, VRING_DESC_F_INDIRECT, 0);
		table[0] = lies[i].entry;
		assert_breaks(f);
		assert_int_equal(virtqueue_start(&f->vq, &f->mem), 0);
	}
}

static void a_chain_has_a_largest_length(void **state)
{
	struct fixture *f = *state;
	struct vring_desc *table = guest_memory_ptr(&f->mem, TABLE, 16 * 128);

	/* 128 times the same 15 MiB: more than VIRTQUEUE_CHAIN_MAX_BYTES. */
	for (uint16_t i = 0; i < 128; i++)
		set_desc(&table[i], DATA, 15u << 20, i < 127 ? VRING_DESC_F_NEXT : 0,
			 (uint16_t)(i + 1));
	set_desc(&f->desc[0], TABLE, 16 * 128, VRING_DESC_F_INDIRECT, 0);
	assert_breaks(f);
}

static void lies_in_the_avail_ring(void **state)
{
	struct fixture *f = *state;

	set_desc(&f->desc[0], DATA, 8, 0, 0);
	f->avail->idx = QUEUE + 1; /* more than there can be */
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), -EPROTO);
	virtqueue_stop(&f->vq);
	assert_int_equal(virtqueue_start(&f->vq, &f->mem), 0);
	f->avail->idx = 1;
	f->avail->ring[0] = QUEUE; /* a head outside the table */
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), -EPROTO);
}

static void what_was_popped_does_not_change(void **state)
{
	struct fixture *f = *state;
	char buf[8];

	guest_memory_write(&f->mem, DATA, "original", 8);
	set_desc(&f->desc[0], DATA, 8, 0, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	/* The guest rewrites its descriptor under our feet. */
	set_desc(&f->desc[0], UINT64_MAX - 8, UINT32_MAX, VRING_DESC_F_NEXT, 77);
	assert_int_equal(chain_read(&f->chain, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "original", 8);
}

static void misplaced_rings_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint16_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ "no size", 0, DESC, AVAIL, USED },
		{ "no power of two", 6, DESC, AVAIL, USED },
		{ "over the device's maximum", 2 * QUEUE, DESC, AVAIL, USED },
		{ "descriptors misaligned", QUEUE, DESC + 8, AVAIL, USED },
		{ "avail ring misaligned", QUEUE, DESC, AVAIL + 1, USED },
		{ "used ring misaligned", QUEUE, DESC, AVAIL, USED + 2 },
		{ "descriptors outside RAM", QUEUE, RAM - 16, AVAIL, USED },
		{ "avail ring outside RAM", QUEUE, DESC, RAM - 2, USED },
		{ "used ring outside RAM", QUEUE, DESC, AVAIL, RAM },
		{ "address overflow", QUEUE, UINT64_MAX - 15, AVAIL, USED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("%s\n", bad[i].what);
		virtqueue_stop(&f->vq);
		f->vq.size = bad[i].size;
		f->vq.desc = bad[i].desc;
		f->vq.avail = bad[i].avail;
		f->vq.used = bad[i].used;
		assert_int_equal(virtqueue_start(&f->vq, &f->mem), -EINVAL);
		assert_false(f->vq.ready);
		assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 0);
		virtqueue_push(&f->vq, 0, 0);
		assert_false(virtqueue_should_notify(&f->vq));
	}
}

static void interrupts_without_event_idx(void **state)
{
	struct fixture *f = *state;

	virtqueue_push(&f->vq, 0, 0);
	assert_true(virtqueue_should_notify(&f->vq));
	f->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&f->vq, 0, 0);
	assert_false(virtqueue_should_notify(&f->vq));
}

static void interrupts_with_event_idx(void **state)
{
	struct fixture *f = *state;
	uint16_t *used_event = &f->avail->ring[QUEUE];

	f->vq.event_idx = true;
	f->avail->flags = VRING_AVAIL_F_NO_INTERRUPT; /* means nothing then (2.7.7.1) */
	*used_event = 0;
	virtqueue_push(&f->vq, 0, 0);
	assert_true(virtqueue_should_notify(&f->vq)); /* the first time always */
	virtqueue_push(&f->vq, 0, 0);
	assert_false(virtqueue_should_notify(&f->vq)); /* event 0 is behind us */
	*used_event = 3;
	virtqueue_push(&f->vq, 0, 0);
	assert_false(virtqueue_should_notify(&f->vq)); /* index 3: entry 3 is not yet used */
	virtqueue_push(&f->vq, 0, 0);
	assert_true(virtqueue_should_notify(&f->vq));
	*used_event = 5;
	for (int i = 0; i < 3; i++)
		virtqueue_push(&f->vq, 0, 0);
	assert_true(virtqueue_should_notify(&f->vq)); /* passed in a batch */
}

static void kicks_are_suppressed_and_wanted_again(void **state)
{
	struct fixture *f = *state;
	uint16_t *avail_event = (uint16_t *)&f->used->ring[QUEUE];

	virtqueue_disable_kicks(&f->vq);
	assert_int_equal(f->used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_enable_kicks(&f->vq));
	assert_int_equal(f->used->flags, 0);
	set_desc(&f->desc[0], DATA, 8, 0, 0);
	make_available(f, 0);
	assert_true(virtqueue_enable_kicks(&f->vq)); /* it came meanwhile */
	f->vq.event_idx = true;
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_false(virtqueue_enable_kicks(&f->vq));
	assert_int_equal(*avail_event, 1);
}

/* Also across a turn of the index, and for chains that are told of late. */
static void with_event_idx_kicks_are_suppressed_too(void **state)
{
	static const uint16_t starts[] = { 0, 1, 0x7ff0, 0x8000, 0xfff8 };
	struct fixture *f = *state;
	uint16_t *avail_event = (uint16_t *)&f->used->ring[QUEUE];

	f->vq.event_idx = true;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		f->vq.last_avail = f->avail->idx = starts[i];
		assert_false(virtqueue_enable_kicks(&f->vq));
		assert_true(vring_need_event(*avail_event, (uint16_t)(starts[i] + 1), starts[i]));
		virtqueue_disable_kicks(&f->vq);
		for (unsigned int n = 1; n < 4 * QUEUE; n++)
			for (unsigned int late = 1; late < QUEUE; late++)
				assert_false(vring_need_event(*avail_event, (uint16_t)(starts[i] + n),
							      (uint16_t)(starts[i] + n - late)));
	}
}

static void files_are_read_and_written_without_a_copy(void **state)
{
	struct fixture *f = *state;
	char buf[12];
	int p[2];

	guest_memory_write(&f->mem, DATA, "abcdef", 6);
	guest_memory_write(&f->mem, DATA + 0x100, "ghijkl", 6);
	set_desc(&f->desc[0], DATA, 6, VRING_DESC_F_NEXT, 1);
	set_desc(&f->desc[1], DATA + 0x100, 6, VRING_DESC_F_NEXT, 2);
	set_desc(&f->desc[2], DATA + 0x200, 5, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 3);
	set_desc(&f->desc[3], DATA + 0x300, 5, VRING_DESC_F_WRITE, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(chain_read(&f->chain, buf, 2), 2);
	assert_int_equal(chain_read_to_fd(&f->chain, p[1], -1, 6, 0), 6);
	assert_int_equal(chain_read_to_fd(&f->chain, p[1], -1, 100, 0), 4);
	assert_int_equal(chain_read_to_fd(&f->chain, p[1], -1, 100, 0), 0);
	assert_int_equal(chain_write_from_fd(&f->chain, p[0], -1, 3, 0), 3);
	assert_int_equal(chain_write_from_fd(&f->chain, p[0], -1, 100, 0), 7);
	guest_memory_read(&f->mem, DATA + 0x200, buf, 5);
	guest_memory_read(&f->mem, DATA + 0x300, buf + 5, 5);
	assert_memory_equal(buf, "cdefghijkl", 10);
	assert_int_equal(chain_write_from_fd(&f->chain, p[1], -1, 100, 0), 0); /* it is full */
	close(p[0]);
	close(p[1]);
}

static void a_failed_transfer_moves_nothing(void **state)
{
	struct fixture *f = *state;
	char buf[8];

	guest_memory_write(&f->mem, DATA, "abcdefgh", 8);
	set_desc(&f->desc[0], DATA, 8, 0, 0);
	make_available(f, 0);
	assert_int_equal(virtqueue_pop_chain(&f->vq, &f->chain), 1);
	assert_int_equal(chain_read_to_fd(&f->chain, -1, -1, 5, 0), -EBADF);
	assert_int_equal(chain_read(&f->chain, buf, 8), 8);
	assert_memory_equal(buf, "abcdefgh", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_chain_is_read_and_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(neighbours_become_one_iovec, set_up, tear_down),
		cmocka_unit_test_setup_teardown(indices_wrap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_popped_chain_can_be_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(indirect_tables_are_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_indirect_table_may_be_longer_than_the_queue,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(lies_in_descriptors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lies_in_indirect_tables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_chain_has_a_largest_length, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lies_in_the_avail_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_popped_does_not_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(misplaced_rings_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interrupts_without_event_idx, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interrupts_with_event_idx, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kicks_are_suppressed_and_wanted_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(with_event_idx_kicks_are_suppressed_too, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(files_are_read_and_written_without_a_copy, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_failed_transfer_moves_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
