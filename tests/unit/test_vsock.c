/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-vsock against a driver that says what it likes. */
#include "vmm/virtio/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "vmm/virtio/vsock_priv.h"

enum { RX, TX };
#define HDR sizeof(struct virtio_vsock_hdr)
#define RX_BUF 4096u
#define PEER_PORT 5000u
#define PORT 77u
#define ROOM (256u << 10)

struct fixture {
	struct fake_driver drv;
	struct event_loop *loop;
	struct vsock *vs;
	uint64_t rx_gpa, tx_gpa;
	uint64_t rx_of_head[FAKE_QUEUE_SIZE];
	unsigned int closed;
	uint32_t fwd_cnt; /* what the guest says it has consumed */
};

static void on_closed(void *data, uint32_t port)
{
	struct fixture *f = data;

	assert_int_equal(port, PORT);
	f->closed++;
}

static void give_rx(struct fixture *f, uint64_t gpa)
{
	uint16_t head = fake_driver_add(&f->drv, RX, &(struct fake_buffer){ gpa, RX_BUF, true }, 1);

	f->rx_of_head[head] = gpa;
}

static void give_rx_all(struct fixture *f)
{
	for (unsigned int i = 0; i < FAKE_QUEUE_SIZE; i++)
		give_rx(f, f->rx_gpa + i * (uint64_t)RX_BUF);
}

static int setup(void **state)
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

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_driver_release(&f->drv);
	event_loop_free(f->loop);
	free(f);
	return 0;
}

static void send_raw(struct fixture *f, const struct virtio_vsock_hdr *hdr, const void *payload,
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

static struct virtio_vsock_hdr packet(const struct fixture *f, uint16_t op, uint32_t flags,
				      uint32_t len)
{
	return (struct virtio_vsock_hdr){
		.src_cid = VSOCK_GUEST_CID, .dst_cid = 2, .src_port = PEER_PORT, .dst_port = PORT,
		.type = VIRTIO_VSOCK_TYPE_STREAM, .op = op, .flags = flags, .len = len,
		.buf_alloc = ROOM, .fwd_cnt = f->fwd_cnt,
	};
}

static void send_op(struct fixture *f, uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = packet(f, op, flags, 0);

	send_raw(f, &hdr, NULL, 0);
}

static void send_data(struct fixture *f, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = packet(f, VIRTIO_VSOCK_OP_RW, 0, len);

	send_raw(f, &hdr, data, len);
}

/* The next packet for the guest, its payload in @payload (RX_BUF bytes); false: none. */
static bool receive(struct fixture *f, struct virtio_vsock_hdr *hdr, void *payload)
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

static void expect_op(struct fixture *f, uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr;

	assert_true(receive(f, &hdr, NULL));
	assert_int_equal(hdr.op, op);
	assert_int_equal(hdr.flags, flags);
	assert_int_equal(hdr.src_port, PORT);
	assert_int_equal(hdr.dst_port, PEER_PORT);
}

static void expect_nothing(struct fixture *f)
{
	struct virtio_vsock_hdr hdr;

	fake_loop_run(f->loop);
	assert_false(receive(f, &hdr, NULL));
}

static void offer(struct fixture *f, int read_fd, int write_fd)
{
	const struct vsock_offer o = { .port = PORT, .read_fd = read_fd, .write_fd = write_fd,
				       .closed = on_closed, .data = f };

	assert_int_equal(vsock_offer_port(f->vs, &o), 0);
}

static void connect_port(struct fixture *f)
{
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_op(f, VIRTIO_VSOCK_OP_RESPONSE, 0);
}

static void test_config(void **state)
{
	struct fixture *f = *state;
	uint64_t cid = 0;

	f->drv.dev->ops->config_read(f->drv.dev, 0, &cid, sizeof(cid));
	assert_int_equal(cid, VSOCK_GUEST_CID);
}

static void test_both_directions(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;
	char payload[RX_BUF], buf[16];
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	offer(f, sv[1], sv[1]);
	assert_false(vsock_port_idle(f->vs, PORT));
	connect_port(f);
	send_data(f, "hello", 5);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(write(sv[0], "answer", 6), 6);
	fake_loop_run(f->loop);
	assert_true(receive(f, &hdr, payload));
	assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_RW);
	assert_int_equal(hdr.len, 6);
	assert_int_equal(hdr.fwd_cnt, 5);
	assert_memory_equal(payload, "answer", 6);
	/* half-close by the guest: the host sees the end, and may still answer */
	send_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(read(sv[0], buf, sizeof(buf)), 0);
	assert_int_equal(write(sv[0], "late", 4), 4);
	fake_loop_run(f->loop);
	assert_true(receive(f, &hdr, payload));
	assert_int_equal(hdr.len, 4);
	assert_int_equal(f->closed, 0);
	/* half-close by the host: over */
	close(sv[0]);
	fake_loop_run(f->loop);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	assert_int_equal(f->closed, 1);
	assert_true(vsock_port_idle(f->vs, PORT));
	/* the guest's last word finds no connection */
	send_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	expect_nothing(f);
}

static void test_guest_closes(void **state)
{
	struct fixture *f = *state;
	int out[2];
	char buf[8];

	assert_int_equal(pipe(out), 0);
	offer(f, -1, out[1]);
	connect_port(f);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(f, "bye", 3);
	send_op(f, VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(f->closed, 1);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 3);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 0);
	close(out[0]);
}

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

/* A host that does not read: the guest's bytes wait up to its credit, and no byte more is kept. */
static void test_credit_from_guest(void **state)
{
	struct fixture *f = *state;
	static char data[32 << 10], buf[64 << 10];
	struct virtio_vsock_hdr hdr;
	size_t sent = 0, taken = 0;
	uint32_t fwd = 0;
	int out[2];
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	assert_int_equal(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	offer(f, -1, out[1]);
	connect_port(f);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	while (sent - fwd + sizeof(data) <= ROOM) {
		memset(data, 'a' + (int)(sent / sizeof(data)) % 26, sizeof(data));
		send_data(f, data, sizeof(data));
		sent += sizeof(data);
		while (receive(f, &hdr, NULL))
			fwd = hdr.fwd_cnt;
	}
	assert_true(fwd <= 4096);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	while (taken < sent) {
		n = read(out[0], buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++, taken++)
			assert_int_equal(buf[i], 'a' + (int)(taken / sizeof(data)) % 26);
		fake_loop_run(f->loop);
		while (receive(f, &hdr, NULL)) {
			assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
			assert_true(hdr.fwd_cnt > fwd && hdr.fwd_cnt <= taken + 4096);
			fwd = hdr.fwd_cnt;
		}
	}
	assert_true(sent - fwd <= ROOM / 2);
	/* now more than was ever granted */
	for (unsigned int i = 0; i < 10 && !f->closed; i++)
		send_data(f, data, sizeof(data));
	assert_int_equal(f->closed, 1);
	close(out[0]);
}

/* A guest that does not read: the host's fd is left alone. */
static void test_credit_to_guest(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;
	char data[10000] = { 0 };
	uint32_t got = 0;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	offer(f, sv[1], sv[1]);
	hdr = packet(f, VIRTIO_VSOCK_OP_REQUEST, 0, 0);
	hdr.buf_alloc = 6000;
	send_raw(f, &hdr, NULL, 0);
	expect_op(f, VIRTIO_VSOCK_OP_RESPONSE, 0);
	assert_int_equal(write(sv[0], data, sizeof(data)), sizeof(data));
	fake_loop_run(f->loop);
	while (receive(f, &hdr, NULL))
		got += hdr.len;
	assert_int_equal(got, 6000);
	hdr = packet(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
	hdr.buf_alloc = 6000;
	hdr.fwd_cnt = 1000;
	send_raw(f, &hdr, NULL, 0);
	while (receive(f, &hdr, NULL))
		got += hdr.len;
	assert_int_equal(got, 7000);
	/* a fwd_cnt beyond what was sent gives no room */
	hdr = packet(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, 0);
	hdr.fwd_cnt = 1u << 31;
	hdr.buf_alloc = 6000;
	send_raw(f, &hdr, NULL, 0);
	expect_nothing(f);
	close(sv[0]);
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

static void test_files(void **state)
{
	struct fixture *f = *state;
	struct virtio_vsock_hdr hdr;
	char payload[RX_BUF], buf[64];
	FILE *in = tmpfile(), *out = tmpfile();
	uint32_t got = 0;

	for (int i = 0; i < 5000; i++)
		fprintf(in, "%d\n", i);
	fflush(in);
	rewind(in);
	offer(f, dup(fileno(in)), dup(fileno(out)));
	connect_port(f);
	while (receive(f, &hdr, payload) && hdr.op == VIRTIO_VSOCK_OP_RW)
		got += hdr.len;
	assert_int_equal(got, lseek(fileno(in), 0, SEEK_END));
	assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_SHUTDOWN);
	send_data(f, "into a file", 11);
	send_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(pread(fileno(out), buf, sizeof(buf), 0), 11);
	fclose(in);
	fclose(out);

	offer(f, open("/dev/null", O_RDONLY), open("/dev/null", O_WRONLY));
	connect_port(f);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(f, "gone", 4);
	send_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(f->closed, 2);
}

static void test_reader_hangs_up(void **state)
{
	struct fixture *f = *state;
	int out[2], sv[2];

	assert_int_equal(pipe(out), 0);
	offer(f, -1, out[1]);
	connect_port(f);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	close(out[0]); /* without the guest writing anything */
	fake_loop_run(f->loop);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(f->closed, 1);

	/* a peer that wrote and left: what it wrote arrives */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(write(sv[0], "last", 4), 4);
	close(sv[0]);
	offer(f, sv[1], sv[1]);
	send_op(f, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_op(f, VIRTIO_VSOCK_OP_RESPONSE, 0);
	{
		struct virtio_vsock_hdr hdr;
		bool data = false;

		while (receive(f, &hdr, NULL) && hdr.op != VIRTIO_VSOCK_OP_RST)
			data |= hdr.op == VIRTIO_VSOCK_OP_RW && hdr.len == 4;
		assert_true(data);
		assert_int_equal(hdr.op, VIRTIO_VSOCK_OP_RST);
	}
	assert_int_equal(f->closed, 2);
}

static void test_finish_and_withdraw(void **state)
{
	struct fixture *f = *state;
	static char data[64 << 10];
	size_t got = 0;
	int out[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	offer(f, -1, out[1]);
	connect_port(f);
	expect_op(f, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	send_data(f, data, sizeof(data));
	vsock_finish_port(f->vs, PORT);
	assert_int_equal(f->closed, 0);
	while (got < sizeof(data)) {
		ssize_t n = read(out[0], data, sizeof(data));

		assert_true(n > 0);
		got += (size_t)n;
		fake_loop_run(f->loop);
	}
	assert_int_equal(read(out[0], data, 1), 0);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(f->closed, 1);
	close(out[0]);

	assert_int_equal(pipe(out), 0);
	offer(f, out[0], -1);
	vsock_finish_port(f->vs, PORT); /* nobody came */
	assert_true(vsock_port_idle(f->vs, PORT));
	assert_int_equal(write(out[1], "x", 1), -1);
	close(out[1]);
	assert_int_equal(pipe(out), 0);
	offer(f, out[0], -1);
	connect_port(f);
	vsock_withdraw_port(f->vs, PORT);
	fake_loop_run(f->loop);
	expect_op(f, VIRTIO_VSOCK_OP_RST, 0);
	assert_int_equal(f->closed, 1);
	close(out[1]);
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

static void pump_through(struct fixture *f, int to_host, int from_host, size_t total)
{
	static unsigned char buf[1 << 16];
	struct virtio_vsock_hdr hdr;
	unsigned char payload[RX_BUF];
	size_t sent = 0, echoed = 0, got = 0;
	uint32_t fwd = 0;

	/* guest -> to_host pipe -> (here) -> from_host pipe -> guest */
	while (got < total) {
		if (sent < total && sent - fwd + 30000 <= ROOM) {
			size_t n = total - sent < 30000 ? total - sent : 30000;

			for (size_t i = 0; i < n; i++)
				buf[i] = (unsigned char)((sent + i) * 31 >> 3);
			send_data(f, buf, (uint32_t)n);
			sent += n;
		}
		if (echoed < total) {
			ssize_t n = read(to_host, buf, sizeof(buf) / 8);

			if (n > 0) {
				assert_int_equal(write(from_host, buf, (size_t)n), n);
				echoed += (size_t)n;
			}
		}
		fake_loop_run(f->loop);
		while (receive(f, &hdr, payload)) {
			fwd = hdr.fwd_cnt;
			for (uint32_t i = 0; i < hdr.len; i++)
				assert_int_equal(payload[i], (unsigned char)((got + i) * 31 >> 3));
			got += hdr.len;
			f->fwd_cnt += hdr.len;
		}
		send_op(f, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0);
	}
}

static void test_bulk(void **state)
{
	struct fixture *f = *state;
	int in[2], out[2];

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	offer(f, in[0], out[1]);
	connect_port(f);
	pump_through(f, out[0], in[1], 4 << 20);
	close(in[1]);
	close(out[0]);
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
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_config),		 T(test_both_directions),     T(test_guest_closes),
		T(test_strangers),	 T(test_out_of_place),	      T(test_credit_from_guest),
		T(test_credit_to_guest), T(test_no_rx_buffers),	      T(test_files),
		T(test_reader_hangs_up), T(test_finish_and_withdraw), T(test_device_reset),
		T(test_limits),		 T(test_malformed_chains),    T(test_bulk),
		T(test_garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
