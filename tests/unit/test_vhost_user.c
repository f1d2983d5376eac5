/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vhost-user front end against a back end that follows a script. */
#include "vmm/virtio/vhost_user.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "vmm/shm_window.h"
#include "vmm/virtio/vhost_user_proto.h"
#include "vmm/virtio/worker_guard.h"

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

static bool read_all(int fd, void *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, (char *)buf + got, len - got);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return true;
}

/* One recvmsg() for header and fds, then the payload. */
static bool backend_receive(struct backend *be, struct vhost_user_header *h, char *payload)
{
	char control[512];
	struct iovec iov = { h, sizeof(*h) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };

	be->nfds = 0;
	if (recvmsg(be->sock, &mh, MSG_CMSG_CLOEXEC) != sizeof(*h))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		be->nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(be->fds, CMSG_DATA(c), be->nfds * sizeof(int));
	}
	return !h->size || read_all(be->sock, payload, h->size);
}

static void send_with_fd(int sock, const void *data, size_t len, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(sock, &mh, MSG_NOSIGNAL) != (ssize_t)len)
		abort();
}

/* SHMEM_MAP or UNMAP and the front end's answer. */
static uint64_t backend_shmem(int channel, uint32_t request, uint64_t offset, uint64_t len, int fd,
			      uint8_t shmid)
{
	struct {
		struct vhost_user_header h;
		struct vhost_user_mmap m;
	} out = {
		.h = { request, VHOST_USER_VERSION | VHOST_USER_FLAG_NEED_REPLY,
		       sizeof(struct vhost_user_mmap) },
		.m = { .shmid = shmid, .shm_offset = offset, .len = len, .flags = 1 },
	};
	char raw[sizeof(out.h) + sizeof(out.m)];
	struct vhost_user_header h;
	uint64_t status = 0;

	memcpy(raw, &out.h, sizeof(out.h));
	memcpy(raw + sizeof(out.h), &out.m, sizeof(out.m));
	send_with_fd(channel, raw, sizeof(raw), fd);
	if (!read_all(channel, &h, sizeof(h)) || !read_all(channel, &status, sizeof(status)))
		return ~0ull;
	return status;
}

static void backend_reply(struct backend *be, struct vhost_user_header h, const void *payload,
			  uint32_t size, enum fault fault)
{
	char raw[64];
	int fd = -1;

	h.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	h.size = size;
	if (fault == FAULT_WRONG_TYPE)
		h.request ^= 1;
	if (fault == FAULT_WRONG_SIZE)
		h.size = 4096;
	if (fault == FAULT_WRONG_FLAGS)
		h.flags = 0;
	if (fault == FAULT_SURPLUS_FD)
		fd = be->sock;
	memcpy(raw, &h, sizeof(h));
	memcpy(raw + sizeof(h), payload, size);
	send_with_fd(be->sock, raw, fault == FAULT_TORN ? 5 : sizeof(h) + size, fd);
}

/* Remember what the request brought; the answer's number for queries. */
static uint64_t backend_note(struct backend *be, const struct vhost_user_header *h,
			     const char *payload)
{
	struct vhost_user_vring_state s;
	struct vhost_user_vring_addr a;
	uint64_t u;

	memcpy(&s, payload, sizeof(s));
	memcpy(&u, payload, sizeof(u));
	switch (h->request) {
	case VHOST_USER_GET_FEATURES:
		return be->features;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return be->protocol_features;
	case VHOST_USER_GET_QUEUE_NUM:
		return be->queues;
	case VHOST_USER_SET_FEATURES:
		be->acked_features = u;
		break;
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		be->acked_protocol = u;
		break;
	case VHOST_USER_SET_MEM_TABLE:
		memcpy(&be->memory, payload, h->size);
		be->mem_fd = be->fds[0];
		break;
	case VHOST_USER_SET_VRING_NUM:
		be->num[s.index] = s.num;
		break;
	case VHOST_USER_SET_VRING_ADDR:
		memcpy(&a, payload, sizeof(a));
		be->addr[a.index] = a;
		break;
	case VHOST_USER_SET_VRING_KICK:
		be->kick_fd = be->fds[0];
		break;
	case VHOST_USER_SET_VRING_CALL:
		be->call_fd = be->fds[0];
		break;
	case VHOST_USER_SET_VRING_ERR:
		be->err_fd = be->fds[0];
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		be->channel = be->fds[0];
		break;
	case VHOST_USER_SET_INFLIGHT_FD:
		memcpy(&be->inflight, payload, sizeof(be->inflight));
		be->notes_fd = be->fds[0];
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		be->enabled = s.num ? be->enabled | 1u << s.index : be->enabled & ~(1u << s.index);
		break;
	default:
		break;
	}
	return 0;
}

static void *backend_run(void *data)
{
	struct backend *be = data;
	struct vhost_user_header h;
	char payload[512] = { 0 };

	while (backend_receive(be, &h, payload)) {
		enum fault fault = h.request == be->at ? be->fault : FAULT_NONE;
		uint64_t answer = backend_note(be, &h, payload);
		bool query = false;

		__atomic_fetch_or(&be->seen, 1u << (h.request & 31), __ATOMIC_RELEASE);
		if (fault == FAULT_CLOSE)
			break;
		if (fault == FAULT_REFUSE)
			answer = 1;
		if (fault == FAULT_MAP_FIRST) {
			int fd = memfd_create("map", MFD_CLOEXEC);

			(void)!ftruncate(fd, 1 << 16);
			/* each queue its own place */
			be->map_status |= backend_shmem(be->channel, VHOST_USER_BACKEND_SHMEM_MAP,
							(uint64_t)payload[0] * 4096, 4096, fd, 1);
			close(fd);
		}
		switch (h.request) {
		case VHOST_USER_GET_FEATURES:
		case VHOST_USER_GET_PROTOCOL_FEATURES:
		case VHOST_USER_GET_QUEUE_NUM:
		case VHOST_USER_GET_VRING_BASE:
			query = true;
			break;
		default:
			break;
		}
		if (query || (h.flags & VHOST_USER_FLAG_NEED_REPLY))
			backend_reply(be, h, h.request == VHOST_USER_GET_VRING_BASE ?
				      (void *)payload : (void *)&answer, 8, fault);
		if (fault == FAULT_TORN)
			break;
	}
	shutdown(be->sock, SHUT_RDWR);
	return NULL;
}

static void backend_start(struct fixture *f, uint32_t at, enum fault fault)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	f->be = (struct backend){
		.sock = sv[1],
		.features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES |
			    1ull << 29 | 1ull << 28 | 1ull << 26 | 1ull << 34 | 0x1f,
		.protocol_features = ALL_PROTOCOL_FEATURES | 1ull << 15 | 1ull << 50,
		.queues = 2,
		.at = at,
		.fault = fault,
		.mem_fd = -1, .kick_fd = -1, .call_fd = -1, .err_fd = -1, .channel = -1,
	};
	f->front = sv[0];
}

static void backend_go(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->be.thread, NULL, backend_run, &f->be), 0);
}

/* Let the back end end, and wait for it. */
static void backend_join(struct fixture *f)
{
	pthread_join(f->be.thread, NULL);
	close(f->be.sock);
}

static void on_died(void *data, const char *device, const char *why)
{
	struct fixture *f = data;

	assert_non_null(device);
	assert_non_null(why);
	f->died++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(&f->drv);
	f->loop = fake_loop_create();
	f->window = shm_window_create(1ull << 32, 1 << 20, NULL);
	assert_non_null(f->window);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fake_driver_release(&f->drv);
	shm_window_free(f->window);
	event_loop_free(f->loop);
	free(f);
	return 0;
}

static struct virtio_device *make(struct fixture *f, bool gpu, struct error **err)
{
	const struct vhost_user_host host = { on_died, f };

	return gpu ? vhost_user_gpu_create(&f->drv.mem, f->loop, f->front, f->window, &host, err) :
		     vhost_user_fs_create(&f->drv.mem, f->loop, f->front, "krun-gpu", &host, err);
}

static void drop_device(struct fixture *f, struct virtio_device *dev)
{
	dev->ops->destroy(dev);
	f->drv.dev = NULL;
	backend_join(f);
}

static void test_fs(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	char config[40];

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, false, NULL);
	assert_non_null(dev);
	/* neither what the worker cannot, nor what nobody here understands */
	assert_int_equal(dev->offered_features,
			 1ull << VIRTIO_F_VERSION_1 | 1ull << 29 | 1ull << 28);
	assert_true(dev->external_queues);
	dev->ops->config_read(dev, 0, config, sizeof(config));
	assert_string_equal(config, "krun-gpu");
	assert_int_equal(config[36], 1);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(f->be.enabled, 3);
	assert_int_equal(f->be.acked_protocol, 1ull << VHOST_USER_PROTOCOL_F_MQ |
						       1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
	assert_int_equal(f->be.acked_features & ~(1ull << 30), dev->features);
	assert_int_equal(f->be.memory.count, 1);
	assert_int_equal(f->be.memory.regions[0].size, FAKE_RAM);
	assert_int_equal(f->be.addr[1].desc - f->be.memory.regions[0].user_addr,
			 f->drv.queues[1].desc);
	assert_int_equal(f->be.num[0], FAKE_QUEUE_SIZE);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->be.enabled, 0);
	/* and again */
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(f->be.enabled, 3);
	/* the worker finds a queue broken */
	eventfd_write(f->be.err_fd, 1);
	fake_loop_run(f->loop);
	assert_int_equal(f->drv.needs_reset, 1);
	assert_int_equal(f->died, 0);
	drop_device(f, dev);
	assert_int_equal(f->died, 0);
}

static void test_gpu_window(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	uint32_t config[4];
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 1 << 16), 0);
	/* While the front end waits for GET_VRING_BASE, the back end waits for a mapping. */
	backend_start(f, VHOST_USER_GET_VRING_BASE, FAULT_MAP_FIRST);
	backend_go(f);
	dev = make(f, true, NULL);
	assert_non_null(dev);
	assert_int_equal(dev->offered_features & 0xff, 0x1d); /* no EDID */
	assert_int_equal(dev->shm[1].gpa, 1ull << 32);
	assert_int_equal(dev->shm[1].size, 1 << 20);
	dev->ops->config_read(dev, 0, config, sizeof(config));
	assert_int_equal(config[2], 0);
	assert_int_equal(config[3], 1);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->be.map_status, 0);
	assert_int_equal(f->died, 0);
	/* the reset has cleared the window: the place is free */
	assert_int_equal(shm_window_map(f->window, 0, 4096, fd, 0, true), 0);
	close(fd);
	drop_device(f, dev);
}

struct shmem_case {
	uint32_t request;
	uint64_t offset, len;
	uint8_t shmid;
	bool fd;
	uint64_t status;
};

static void *shmem_thread(void *data)
{
	static const struct shmem_case cases[] = {
		{ 9, 4096, 4096, 1, true, 0 },
		{ 9, 4096, 4096, 1, true, EEXIST },
		{ 9, 0, 4096, 0, true, EINVAL },
		{ 9, 0, 4096, 7, true, EINVAL },
		{ 9, 1 << 20, 4096, 1, true, EINVAL },
		{ 9, ~0xfffull, 8192, 1, true, EINVAL },
		{ 9, 1, 4096, 1, true, EINVAL },
		{ 9, 0x10000, 1 << 17, 1, true, EINVAL }, /* beyond the file */
		{ 10, 4096, 8192, 1, false, ENOENT },
		{ 10, 4096, 4096, 1, false, 0 },
		{ 10, 4096, 4096, 1, false, ENOENT },
	};
	struct fixture *f = data;
	uintptr_t failed = 0;
	int fd = memfd_create("blob", MFD_CLOEXEC);

	(void)!ftruncate(fd, 1 << 16);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct shmem_case *c = &cases[i];

		if (backend_shmem(f->be.channel, c->request, c->offset, c->len, c->fd ? fd : -1,
				  c->shmid) != c->status)
			failed = i + 1;
	}
	close(fd);
	return (void *)failed;
}

static void test_shmem_requests(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	pthread_t thread;
	void *failed;

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, true, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(pthread_create(&thread, NULL, shmem_thread, f), 0);
	while (pthread_tryjoin_np(thread, &failed))
		fake_loop_run(f->loop);
	assert_int_equal((uintptr_t)failed, 0);
	assert_int_equal(f->died, 0);
	/* a request that is none ends the worker */
	assert_int_equal(write(f->be.channel, "\1\0\0\0\1\0\0\0\0\0\0\0", 12), 12);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 1);
	drop_device(f, dev);
}

static void test_backend_channel_faults(void **state)
{
	static const struct vhost_user_header bad[] = {
		{ 9, 1, 39 },	 { 9, 1, 0xffffffff }, { 9, 0, 40 }, { 9, 5, 40 },
		{ 11, 1, 40 },	 { 9, 1, 40 /* without an fd */ },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct virtio_device *dev;
		char raw[52] = { 0 };

		backend_start(f, 0, FAULT_NONE);
		backend_go(f);
		dev = make(f, true, NULL);
		assert_non_null(dev);
		f->drv.dev = dev;
		memcpy(raw, &bad[i], sizeof(bad[i]));
		assert_int_equal(write(f->be.channel, raw, sizeof(raw)), sizeof(raw));
		fake_loop_run(f->loop);
		assert_int_equal(f->died, i + 1);
		drop_device(f, dev);
	}
}

static void test_set_up_faults(void **state)
{
	static const uint32_t at[] = { VHOST_USER_GET_FEATURES, VHOST_USER_GET_PROTOCOL_FEATURES,
				       VHOST_USER_SET_OWNER, VHOST_USER_GET_QUEUE_NUM,
				       VHOST_USER_SET_BACKEND_REQ_FD };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		for (enum fault fault = FAULT_CLOSE; fault < FAULT_MAP_FIRST; fault++) {
			bool query = i == 0 || i == 1 || i == 3;
			struct error *err = NULL;

			if (query && fault == FAULT_REFUSE)
				continue;
			backend_start(f, at[i], fault);
			backend_go(f);
			assert_null(make(f, true, &err));
			assert_non_null(strstr(error_msg(err), "gpu worker"));
			error_free(&err);
			backend_join(f);
		}
	}
	assert_int_equal(f->died, 0);
}

static void test_missing_features(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	struct error *err = NULL;

	for (unsigned int i = 0; i < 4; i++) {
		backend_start(f, 0, FAULT_NONE);
		if (i == 0)
			f->be.features &= ~(1ull << VIRTIO_F_VERSION_1);
		if (i == 1)
			f->be.features &= ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES);
		if (i == 2)
			f->be.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_SHMEM);
		if (i == 3)
			f->be.queues = 1;
		backend_go(f);
		assert_null(make(f, true, &err));
		assert_non_null(strstr(error_msg(err), "lacks"));
		error_free(&err);
		backend_join(f);
	}
	/* without REPLY_ACK there is nothing to wait for; fs needs no channel */
	backend_start(f, 0, FAULT_NONE);
	f->be.protocol_features = 0;
	backend_go(f);
	dev = make(f, false, NULL);
	assert_non_null(dev);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->died, 0);
	drop_device(f, dev);
}

static void test_activate_faults(void **state)
{
	static const uint32_t at[] = {
		VHOST_USER_SET_FEATURES, VHOST_USER_SET_MEM_TABLE, VHOST_USER_SET_VRING_NUM,
		VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE,
	};
	struct fixture *f = *state;
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		for (enum fault fault = FAULT_CLOSE; fault < FAULT_MAP_FIRST; fault++) {
			struct virtio_device *dev;

			backend_start(f, at[i], fault);
			backend_go(f);
			f->drv.next_gpa = 4096;
			dev = make(f, true, NULL);
			assert_non_null(dev);
			assert_true(fake_driver_start(&f->drv, dev) < 0);
			assert_int_equal(f->died, ++n);
			/* a dead worker is not spoken to again */
			fake_driver_reset(&f->drv);
			f->drv.next_gpa = 4096;
			assert_int_equal(fake_driver_start(&f->drv, dev), -EPIPE);
			assert_int_equal(f->died, n);
			drop_device(f, dev);
		}
	}
}

static void test_worker_dies(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, false, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 0);
	shutdown(f->be.sock, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 1);
	assert_int_equal(f->drv.needs_reset, 1);
	drop_device(f, dev);

	/* one that talks without being asked */
	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	f->drv.next_gpa = 4096;
	dev = make(f, false, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(write(f->be.sock, "x", 1), 1);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 2);
	drop_device(f, dev);
}

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
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_fs),
		T(test_gpu_window),
		T(test_shmem_requests),
		T(test_backend_channel_faults),
		T(test_set_up_faults),
		T(test_missing_features),
		T(test_activate_faults),
		T(test_worker_dies),
		T(test_gpu_goes_on),
		T(test_gpu_false_notes),
		T(test_gpu_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
