/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_VSOCK_FIXTURE_H
#define TESTS_UNIT_VSOCK_FIXTURE_H

/* virtio-vsock against a driver that says what it likes. */
#include "unit.h"

#include <linux/virtio_vsock.h>
#include <stdbool.h>

#include "fake_driver.h"
#include "vmm/virtio/vsock.h"

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

/** fixture_setup(), fixture_teardown() - cmocka's: a device that was started, with all buffers given */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** give_rx() - a buffer for what the device has to say; give_rx_all() - all of them */
void give_rx(struct fixture *f, uint64_t gpa);
void give_rx_all(struct fixture *f);

/** packet() - a header from PEER_PORT to PORT, as an honest guest would write it */
struct virtio_vsock_hdr packet(const struct fixture *f, uint16_t op, uint32_t flags,
				      uint32_t len);

/** send_raw() - the guest sends any packet; the other two, one from packet() */
void send_raw(struct fixture *f, const struct virtio_vsock_hdr *hdr, const void *payload,
		     uint32_t len);
void send_op(struct fixture *f, uint16_t op, uint32_t flags);
void send_data(struct fixture *f, const void *data, uint32_t len);

/** receive() - the next packet for the guest, its payload in @payload (RX_BUF bytes); false: none */
bool receive(struct fixture *f, struct virtio_vsock_hdr *hdr, void *payload);
void expect_op(struct fixture *f, uint16_t op, uint32_t flags);
void expect_nothing(struct fixture *f);

/** offer() - PORT is one that the guest may connect to; on_closed() counts its end */
void offer(struct fixture *f, int read_fd, int write_fd);
void on_closed(void *data, uint32_t port);

/** connect_port() - the guest connects to it */
void connect_port(struct fixture *f);

#endif
