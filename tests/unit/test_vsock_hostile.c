/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that say what they must not, that take nothing, and that start again. */
#include "vsock_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/virtio/vsock_priv.h"

static void test_strangers(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;

	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0); /* nothing is offered */
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	send_op(f, VIRTIO_VSOCK_OP_RST, 0); /* a RST is never answered */
	expect_nothing(f);
	hdr = packet(f, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	hdr.type = 7;
	send_raw(f, &hdr, NULL, 0);
	assert_true(receive(f, &hdr, NULL));
	assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_RST);
	assert_int_equal(hdr.type, 7);
	hdr = packet(f, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	hdr.src_cid = 99;
	send_raw(f, &hdr, NULL, 0);
	hdr = packet(f, VIRTIO_VSOCK_OP_RW, 0, 1000); /* longer than the chain */
	send_raw(f, &hdr, "x", 1);
	expect_nothing(f);
	assert_int_equal(f->drv.needs_reset, 0);
}

static void test_out_of_place(void **state)
{
	static const uint16_t ops[] = { VIRTIO_VSOCK_OP_REQUEST, VIRTIO_VSOCK_OP_RESPONSE,
					VIRTIO_VSOCK_OP_INVALID, 200 };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		int sv[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		offer(f, sv[1], sv[1]);
		connect_port(f);
		send_op(f, ops[i], 0);
		expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
		assert_int_equal(f->closed, i + 1);
		close(sv[0]);
	}
}

static void test_no_rx_buffers(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;
	char data[4096] = { 0 };
	uint32_t got = 0;
	uint16_t head;
	uint32_t len;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	offer(f, sv[1], sv[1]);
	connect_port(f);
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	/* more than fits into all of the guest's buffers, less than its credit */
	for (unsigned int i = 0; i < 80; i++) {
		if (write(sv[0], data, 3000) != 3000)
			break;
		fake_loop_run(f->loop);
	}
	while (fake_driver_used(&f->drv, RX, &head, &len))
		got += len - (uint32_t)HDR;
	assert_int_equal(f->drv.needs_reset, 0);
	give_rx_all(f);
	fake_driver_kick(&f->drv, RX);
	fake_loop_run(f->loop);
	while (receive(f, &hdr, NULL))
		got += hdr.len;
	assert_int_equal(got, 80 * 3000);
	close(sv[0]);
}

static void test_device_reset(void **state)
{
	struct fixture *f = *state;
	static char data[64 << 10];
	size_t got = 0;
	int out[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	offer(f, -1, out[1]);
	connect_port(f);
	send_data(f, data, sizeof(data));
	fake_driver_reset(&f->drv);
	/* what had been accepted is still delivered */
	while (got < sizeof(data)) {
		ssize_t n = read(out[0], data, sizeof(data));

		assert_true(n > 0);
		got += (size_t)n;
		fake_loop_run(f->loop);
	}
	assert_int_equal(f->closed, 1);
	close(out[0]);
	assert_int_equal(fake_driver_start(&f->drv, f->drv.dev), 0);
	f->drv.dev->active = true;
	give_rx_all(f);
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct vsock_offer o = { .read_fd = -1, .write_fd = -1 };

	for (uint32_t i = 0; i < VSOCK_MAX_CONNS; i++) {
		o.port = 1000 + i;
		assert_int_equal(vsock_offer_port(f->vs, &o), 0);
		assert_int_equal(vsock_offer_port(f->vs, &o), -EEXIST);
	}
	o.port = 1;
	assert_int_equal(vsock_offer_port(f->vs, &o), -ENOSPC);
	/* A flood of strays with no rx buffer left: bounded, and nothing breaks. */
	for (unsigned int i = 0; i < 2000; i++)
		send_op(f, VIRTIO_VSOCK_OP_RW, 0);
	assert_true(f->vs->num_resets <= VSOCK_MAX_STRAY_RESETS);
	assert_int_equal(f->drv.needs_reset, 0);
}

static void test_malformed_chains(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t len;

	fake_driver_add(&f->drv, TX, &(struct fake_buffer){ f->tx_gpa, 20, false }, 1);
	fake_driver_kick(&f->drv, TX);
	assert_int_equal(f->drv.needs_reset, 1);
	assert_false(fake_driver_used(&f->drv, TX, &head, &len));
	fake_driver_reset(&f->drv);
	assert_int_equal(fake_driver_start(&f->drv, f->drv.dev), 0);
	fake_driver_add(&f->drv, RX, &(struct fake_buffer){ f->rx_gpa, 44, true }, 1);
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0);
	assert_int_equal(f->drv.needs_reset, 2);
}

/* Anything at all, with the fields near their valid values. */
static void test_garbage(void **state)
{
	struct fixture *f = *state;
	uint32_t x = 12345;
	int sv[2] = { -1, -1 };
	char buf[4096] = { 0 };

	for (unsigned int i = 0; i < 30000; i++) {
		struct virtio_vsock_hdr hdr;
		uint32_t len;

		x = x * 1664525u + 1013904223u;
		if (vsock_port_idle(f->vs, PORT)) {
			if (sv[0] >= 0)
				close(sv[0]);
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
			fcntl(sv[0], F_SETFL, O_NONBLOCK);
			offer(f, sv[1], sv[1]);
		}
		len = (x >> 8) % 3 ? 0 : (x >> 10) % sizeof(buf);
		hdr = packet(f, (uint16_t)((x >> 24) % 9), x >> 28, len);
		if (x % 50 == 0)
			hdr.len = x;
		if (x % 11 == 0)
			hdr.src_port ^= x >> 30;
		if (x % 13 == 0)
			hdr.buf_alloc = x;
		if (x % 17 == 0)
			hdr.fwd_cnt = x;
		send_raw(f, &hdr, buf, len);
		if (x % 3 == 0)
			(void)!read(sv[0], buf, sizeof(buf));
		if (x % 5 == 0)
			(void)!write(sv[0], buf, x >> 22);
		while (receive(f, &hdr, NULL))
			;
	}
	assert_int_equal(f->drv.needs_reset, 0);
	close(sv[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_strangers),
		T(test_out_of_place),
		T(test_no_rx_buffers),
		T(test_device_reset),
		T(test_limits),
		T(test_malformed_chains),
		T(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
