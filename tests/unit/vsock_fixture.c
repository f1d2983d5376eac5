/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vsock_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/virtio/vsock_priv.h"

void on_closed(void *data, uint32_t port)
{
	struct fixture *f = data;

	assert_int_equal(port, PORT);
	f->closed++;
}

void give_rx(struct fixture *f, uint64_t gpa)
{
	uint16_t head = fake_driver_add(&f->drv, RX, &(struct fake_buffer){ gpa, RX_BUF, true }, 1);

	f->rx_of_head[head] = gpa;
}

void give_rx_all(struct fixture *f)
{
	for (unsigned int i = 0; i < FAKE_QUEUE_SIZE; i++)
		give_rx(f, f->rx_gpa + i * (uint64_t)RX_BUF);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	log_init("test", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&f->drv);
	f->loop = fake_loop_create();
	f->vs = vsock_create(&f->drv.mem, f->loop, NULL);
	assert_non_null(f->vs);
	assert_int_equal(fake_driver_start(&f->drv, vsock_device(f->vs)), 0);
	f->rx_gpa = fake_driver_alloc(&f->drv, FAKE_QUEUE_SIZE * RX_BUF);
	f->tx_gpa = fake_driver_alloc(&f->drv, 1 << 20);
	give_rx_all(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fake_driver_release(&f->drv);
	event_loop_free(f->loop);
	free(f);
	return 0;
}

void send_raw(struct fixture *f, const struct virtio_vsock_hdr *hdr, const void *payload,
		     uint32_t len)
{
	struct fake_buffer bufs[2] = { { f->tx_gpa, HDR, false },
				       { f->tx_gpa + HDR, len, false } };
	uint16_t head;
	uint32_t used;

	memcpy(fake_driver_ptr(&f->drv, f->tx_gpa, HDR), hdr, HDR);
	if (len)
		memcpy(fake_driver_ptr(&f->drv, f->tx_gpa + HDR, len), payload, len);
	fake_driver_add(&f->drv, TX, bufs, len ? 2 : 1);
	fake_driver_kick(&f->drv, TX);
	fake_loop_run(f->loop);
	assert_true(fake_driver_used(&f->drv, TX, &head, &used));
	assert_int_equal(used, 0);
}

struct virtio_vsock_hdr packet(const struct fixture *f, uint16_t op, uint32_t flags,
				      uint32_t len)
{
	return (struct virtio_vsock_hdr){
		.src_cid = VSOCK_GUEST_CID, .dst_cid = 2, .src_port = PEER_PORT, .dst_port = PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = op, .flags = flags, .len = len,
		.buf_alloc = ROOM, .fwd_cnt = f->fwd_cnt,
	};
}

void send_op(struct fixture *f, uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = packet(f, op, flags, 0);

	send_raw(f, &hdr, NULL, 0);
}

void send_data(struct fixture *f, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = packet(f, VIRTIO_VSOCK_OP_RW, 0, len);

	send_raw(f, &hdr, data, len);
}

/* The next packet for the guest, its payload in @payload (RX_BUF bytes); false: none. */
bool receive(struct fixture *f, struct virtio_vsock_hdr *hdr, void *payload)
{
	uint16_t head;
	uint32_t len;
	uint64_t gpa;

	if (!fake_driver_used(&f->drv, RX, &head, &len))
		return false;
	gpa = f->rx_of_head[head];
	memcpy(hdr, fake_driver_ptr(&f->drv, gpa, HDR), HDR);
	assert_int_equal(len, HDR + hdr->len);
	assert_int_equal(hdr->src_cid, 2);
	assert_int_equal(hdr->dst_cid, VSOCK_GUEST_CID);
	if (payload)
		memcpy(payload, fake_driver_ptr(&f->drv, gpa + HDR, RX_BUF - HDR), RX_BUF - HDR);
	give_rx(f, gpa);
	return true;
}

void expect_op(struct fixture *f, uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr;

	assert_true(receive(f, &hdr, NULL));
	assert_int_equal(hdr.op, op);
	assert_int_equal(hdr.flags, flags);
	assert_int_equal(hdr.src_port, PORT);
	assert_int_equal(hdr.dst_port, PEER_PORT);
}

void expect_nothing(struct fixture *f)
{
	struct virtio_vsock_hdr hdr;

	fake_loop_run(f->loop);
	assert_false(receive(f, &hdr, NULL));
}

void offer(struct fixture *f, int read_fd, int write_fd)
{
	const struct vsock_offer o = { .port = PORT, .read_fd = read_fd, .write_fd = write_fd,
				       .closed = on_closed, .data = f };

	assert_int_equal(vsock_offer_port(f->vs, &o), 0);
}

void connect_port(struct fixture *f)
{
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_op(f, VIRTIO_VSOCK_OP_RESPONSE, 0);
}
