/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_VHOST_USER_FIXTURE_H
#define TESTS_UNIT_VHOST_USER_FIXTURE_H

/* The vhost-user front end against a back end that follows a script. */
#include "unit.h"

#include <pthread.h>
#include <stdbool.h>

#include "fake_driver.h"
#include "vmm/shm_window.h"
#include "vmm/virtio/vhost_user.h"
#include "vmm/virtio/vhost_user_proto.h"

#define ALL_PROTOCOL_FEATURES                                                            \
	(1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK |    \
	 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |                                     \
	 1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |                                 \
	 1ull << VHOST_USER_PROTOCOL_F_SHMEM)

/* How the back end misbehaves, at the request named by @at. */
enum fault {
	FAULT_NONE,
	FAULT_CLOSE,
	FAULT_REFUSE,	   /* a negative acknowledgement */
	FAULT_WRONG_TYPE,
	FAULT_WRONG_SIZE,
	FAULT_WRONG_FLAGS,
	FAULT_SURPLUS_FD,
	FAULT_TORN,	   /* half a header, then the end */
	FAULT_MAP_FIRST,   /* asks for a mapping, and answers when that is answered */
};

struct backend {
	pthread_t thread;
	int sock;
	uint64_t features, protocol_features, queues;
	uint32_t at;
	enum fault fault;
	/* what it has heard */
	int fds[VHOST_USER_MAX_REGIONS];
	size_t nfds;
	uint64_t acked_features, acked_protocol;
	struct vhost_user_memory memory;
	int mem_fd, kick_fd, call_fd, err_fd, channel, notes_fd;
	struct vhost_user_inflight inflight;
	struct vhost_user_vring_addr addr[2];
	uint32_t enabled, num[2], seen;
	uint64_t map_status;
};

struct fixture {
	struct fake_driver drv;
	struct event_loop *loop;
	struct backend be;
	struct shm_window *window;
	unsigned int died;
	int front;
};

/** fixture_setup(), fixture_teardown() - cmocka's: a driver and a loop; no back end yet */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** backend_start() - a back end that will misbehave at request @at; backend_go() lets it begin */
void backend_start(struct fixture *f, uint32_t at, enum fault fault);
void backend_go(struct fixture *f);
void backend_join(struct fixture *f);

/** make() - the front end of it; drop_device() - its end */
struct virtio_device *make(struct fixture *f, bool gpu, struct error **err);
void drop_device(struct fixture *f, struct virtio_device *dev);

/** on_died() - what it is told to call when the back end is lost: counts */
void on_died(void *data, const char *device, const char *why);

/** backend_shmem() - SHMEM_MAP or UNMAP, and the front end's answer */
uint64_t backend_shmem(int channel, uint32_t request, uint64_t offset, uint64_t len, int fd,
			      uint8_t shmid);

/** read_all() - as many bytes; false: the end came first. send_with_fd() - with one fd, or -1 */
bool read_all(int fd, void *buf, size_t len);
void send_with_fd(int sock, const void *data, size_t len, int fd);

#endif
