/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Streams between the host and an honest guest. */
#include "vsock_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/virtio/vsock_priv.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_config),
		T(test_both_directions),
		T(test_guest_closes),
		T(test_credit_from_guest),
		T(test_credit_to_guest),
		T(test_files),
		T(test_reader_hangs_up),
		T(test_finish_and_withdraw),
		T(test_bulk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
