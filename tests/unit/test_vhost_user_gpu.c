/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A GPU whose worker is lost or silent: the guest is answered all the same. */
#include "vhost_user_fixture.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "vmm/virtio/worker_guard.h"

/* A GPU with a worker that keeps notes, and a driver that gives it commands. */
struct gpu_guest {
	struct fixture *f;
	struct virtio_device *dev;
	struct vhost_user_inflight_queue *notes;
	struct vhost_user_pulse *pulse;
	void *map;
};

static void gpu_guest_start(struct gpu_guest *g, struct fixture *f)
{
	g->f = f;
	f->drv.next_gpa = 4096;
	backend_start(f, 0, FAULT_NONE);
	f->be.protocol_features |= 1ull << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	backend_go(f);
	g->dev = make(f, true, NULL);
	assert_non_null(g->dev);
	assert_int_equal(fake_driver_start(&f->drv, g->dev), 0);
	g->map = mmap(NULL, f->be.inflight.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->be.notes_fd, 0);
	assert_ptr_not_equal(g->map, MAP_FAILED);
	g->notes = g->map;
	g->pulse = (void *)((char *)g->map + f->be.inflight.mmap_size - sizeof(*g->pulse));
}

static void gpu_guest_end(struct gpu_guest *g)
{
	munmap(g->map, g->f->be.inflight.mmap_size);
	close(g->f->be.notes_fd);
	drop_device(g->f, g->dev);
}

static uint16_t gpu_command(struct gpu_guest *g, uint32_t type, uint64_t fence)
{
	struct fake_buffer bufs[2] = { { .len = sizeof(struct virtio_gpu_ctrl_hdr) },
				       { .len = sizeof(struct virtio_gpu_ctrl_hdr),
					 .writable = true } };
	struct virtio_gpu_ctrl_hdr *hdr;
	uint16_t head;

	bufs[0].gpa = fake_driver_alloc(&g->f->drv, 4096);
	bufs[1].gpa = bufs[0].gpa + 2048;
	hdr = fake_driver_ptr(&g->f->drv, bufs[0].gpa, 4096);
	hdr->type = type;
	hdr->flags = fence ? VIRTIO_GPU_FLAG_FENCE : 0;
	hdr->fence_id = fence;
	head = fake_driver_add(&g->f->drv, 0, bufs, 2);
	assert_int_equal(eventfd_write(g->f->drv.kick_fd[0], 1), 0);
	return head;
}

/* The next answer is the one to @head, of type @type, with @fence. */
static void expect_answer(struct gpu_guest *g, uint16_t expected, uint32_t type, uint64_t fence)
{
	struct fake_queue *q = &g->f->drv.queues[0];
	const struct vring_desc *desc = fake_driver_ptr(&g->f->drv, q->desc, 16ull * q->size);
	const struct virtio_gpu_ctrl_hdr *resp;
	uint16_t head;
	uint32_t len;

	assert_true(fake_driver_used(&g->f->drv, 0, &head, &len));
	assert_int_equal(head, expected);
	assert_int_equal(len, sizeof(*resp));
	resp = fake_driver_ptr(&g->f->drv, desc[desc[head].next].addr, sizeof(*resp));
	assert_int_equal(resp->type, type);
	assert_int_equal(resp->fence_id, fence);
}

static void expect_no_answer(struct gpu_guest *g)
{
	uint16_t head;
	uint32_t len;

	assert_false(fake_driver_used(&g->f->drv, 0, &head, &len));
}

static void test_gpu_goes_on(void **state)
{
	struct fixture *f = *state;
	uint16_t returned, waiting, unseen, later;
	struct virtqueue *vq;
	struct gpu_guest g;
	eventfd_t calls;

	gpu_guest_start(&g, f);
	vq = &g.dev->queues[0];
	/* One that the worker returned without noting it, one that waits for a fence, one unseen. */
	returned = gpu_command(&g, VIRTIO_GPU_CMD_SUBMIT_3D, 0);
	waiting = gpu_command(&g, VIRTIO_GPU_CMD_SUBMIT_3D, 7);
	unseen = gpu_command(&g, VIRTIO_GPU_CMD_CTX_DESTROY, 0);
	g.notes->desc[returned].inflight = 1;
	g.notes->desc[waiting].inflight = 1;
	g.notes->desc[250].inflight = 1; /* not in this queue, which has 64 */
	g.notes->last_batch_head = returned;
	virtqueue_push(vq, returned, 24);
	virtqueue_go_on(vq, 0, 0);
	expect_answer(&g, returned, 0, 0);
	shutdown(f->be.sock, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 0);
	assert_int_equal(f->drv.needs_reset, 0);
	expect_answer(&g, waiting, VIRTIO_GPU_RESP_ERR_UNSPEC, 7);
	expect_answer(&g, unseen, VIRTIO_GPU_RESP_OK_NODATA, 0);
	expect_no_answer(&g);
	assert_int_equal(eventfd_read(f->drv.call_fd[0], &calls), 0);
	/* From now on each is answered as it comes. */
	later = gpu_command(&g, VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 9);
	fake_loop_run(f->loop);
	expect_answer(&g, later, VIRTIO_GPU_RESP_ERR_UNSPEC, 9);
	/* A driver that starts anew finds a device without a worker. */
	fake_driver_reset(&f->drv);
	assert_int_equal(fake_driver_start(&f->drv, g.dev), 0);
	later = gpu_command(&g, VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0);
	fake_loop_run(f->loop);
	expect_answer(&g, later, VIRTIO_GPU_RESP_ERR_UNSPEC, 0);
	assert_int_equal(f->died, 0);
	gpu_guest_end(&g);
}

/* Notes that are all ones: nothing but this queue's chains is answered, each once. */
static void test_gpu_false_notes(void **state)
{
	struct fixture *f = *state;
	struct gpu_guest g;
	uint16_t head, first;
	uint32_t len, answers = 0;

	gpu_guest_start(&g, f);
	first = gpu_command(&g, VIRTIO_GPU_CMD_SUBMIT_3D, 0);
	memset(g.map, 1, f->be.inflight.mmap_size - sizeof(*g.pulse));
	shutdown(f->be.sock, SHUT_RDWR);
	fake_loop_run(f->loop);
	while (fake_driver_used(&f->drv, 0, &head, &len)) {
		assert_true(head < FAKE_QUEUE_SIZE);
		answers++;
	}
	assert_true(answers >= 1 && answers <= FAKE_QUEUE_SIZE);
	assert_int_equal(first, 0);
	gpu_guest_end(&g);
}

/* A worker that leaves a kick unread and does not answer is given up; one that answers is not. */
static void test_gpu_silent(void **state)
{
	const int seconds = WORKER_GUARD_PERIOD_S * (WORKER_GUARD_MISSES + 2);
	struct fixture *f = *state;
	struct gpu_guest g;
	uint16_t head;

	gpu_guest_start(&g, f);
	head = gpu_command(&g, VIRTIO_GPU_CMD_SUBMIT_3D, 3);
	for (int i = 0; i < seconds * 10; i++) {
		usleep(100000);
		g.pulse->answered = g.pulse->asked;
		fake_loop_run(f->loop);
	}
	expect_no_answer(&g);
	for (int i = 0; i < seconds * 10; i++) {
		usleep(100000);
		fake_loop_run(f->loop);
	}
	expect_answer(&g, head, VIRTIO_GPU_RESP_ERR_UNSPEC, 3);
	assert_int_equal(f->died, 0);
	gpu_guest_end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_gpu_goes_on),
		T(test_gpu_false_notes),
		T(test_gpu_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
