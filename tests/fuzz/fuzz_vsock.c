/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: the guest's side of virtio-vsock. The input is a list of steps; each sends a
 * packet (its header's bytes as given, but for the CIDs, which would only be dropped), or has the
 * host's side read, write or hang up. See tests/fuzz/README.md.
 */
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "vmm/virtio/vsock.h"

#define HDR sizeof(struct virtio_vsock_hdr)
#define PORT 77
#define RX_BUF 512u

enum { RX, TX };

struct target {
	struct fake_driver drv;
	struct event_loop *loop;
	struct vsock *vs;
	uint64_t rx_gpa, tx_gpa;
	int host; /* our end of the stream on offer */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offer_again(struct target *t)
{
	struct vsock_offer offer = { .port = PORT };
	int sv[2];

	if (!vsock_port_idle(t->vs, PORT))
		return;
	if (t->host >= 0)
		close(t->host);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		abort();
	t->host = sv[0];
	offer.read_fd = offer.write_fd = sv[1];
	if (vsock_offer_port(t->vs, &offer) < 0)
		abort();
}

static void send_packet(struct target *t, const uint8_t *data, size_t size, size_t payload)
{
	struct virtio_vsock_hdr *hdr = fake_driver_ptr(&t->drv, t->tx_gpa, HDR);
	struct fake_buffer bufs[2] = { { t->tx_gpa, HDR, false },
				       { t->tx_gpa + HDR, (uint32_t)payload, false } };
	uint16_t head;
	uint32_t len;

	memset(hdr, 0, HDR);
	memcpy(hdr, data, size < HDR ? size : HDR);
	hdr->src_cid = VSOCK_GUEST_CID;
	hdr->dst_cid = 2;
	if (data[0] & 1)
		hdr->dst_port = PORT;
	if (data[0] & 2)
		hdr->type = VIRTIO_VSOCK_TYPE_STREAM;
	if (data[0] & 4)
		hdr->len = (uint32_t)payload;
	if (data[0] & 8)
		hdr->src_port = 1;
	fake_driver_add(&t->drv, TX, bufs, payload ? 2 : 1);
	fake_driver_kick(&t->drv, TX);
	while (fake_driver_used(&t->drv, TX, &head, &len))
		;
}

static void take_and_give_rx(struct target *t)
{
	uint16_t head;
	uint32_t len;

	while (fake_driver_used(&t->drv, RX, &head, &len))
		fake_driver_add(&t->drv, RX,
				&(struct fake_buffer){ t->rx_gpa + head * RX_BUF, RX_BUF, true }, 1);
	fake_driver_kick(&t->drv, RX);
}

static void host_acts(struct target *t, uint8_t what)
{
	static char buf[1 << 16];

	if (what & 1)
		(void)!read(t->host, buf, sizeof(buf) >> (what >> 5));
	if (what & 2)
		(void)!write(t->host, buf, sizeof(buf) >> (what >> 4));
	if (what & 4)
		shutdown(t->host, what & 8 ? SHUT_WR : SHUT_RDWR);
}

static void step(struct target *t, const uint8_t *data, size_t size)
{
	offer_again(t);
	switch (data[0] >> 6) {
	case 0:
		host_acts(t, data[1]);
		break;
	case 1:
		take_and_give_rx(t);
		break;
	case 2:
		if (data[1] == 0)
			vsock_finish_port(t->vs, PORT);
		else if (data[1] == 1)
			vsock_withdraw_port(t->vs, PORT);
		break;
	default:
		send_packet(t, data + 1, size - 1, (size_t)data[1] << 8);
		break;
	}
	fake_loop_run(t->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target t = { .host = -1 };

	signal(SIGPIPE, SIG_IGN);
	log_init("fuzz", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&t.drv);
	t.loop = fake_loop_create();
	t.vs = vsock_create(&t.drv.mem, t.loop, NULL);
	if (!t.vs || fake_driver_start(&t.drv, vsock_device(t.vs)))
		abort();
	t.rx_gpa = fake_driver_alloc(&t.drv, (size_t)FAKE_QUEUE_SIZE * RX_BUF);
	t.tx_gpa = fake_driver_alloc(&t.drv, 1 << 17);
	for (unsigned int i = 0; i < FAKE_QUEUE_SIZE; i++)
		fake_driver_add(&t.drv, RX,
				&(struct fake_buffer){ t.rx_gpa + i * RX_BUF, RX_BUF, true }, 1);
	for (size_t at = 0; at + 2 < size; at += 48)
		step(&t, data + at, size - at);
	fake_driver_release(&t.drv);
	event_loop_free(t.loop);
	if (t.host >= 0)
		close(t.host);
	return 0;
}
