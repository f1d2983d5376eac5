/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vhost_user_fixture.h"

#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

bool read_all(int fd, void *buf, size_t len)
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

void send_with_fd(int sock, const void *data, size_t len, int fd)
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
uint64_t backend_shmem(int channel, uint32_t request, uint64_t offset, uint64_t len, int fd,
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

void backend_start(struct fixture *f, uint32_t at, enum fault fault)
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

void backend_go(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->be.thread, NULL, backend_run, &f->be), 0);
}

/* Let the back end end, and wait for it. */
void backend_join(struct fixture *f)
{
	pthread_join(f->be.thread, NULL);
	close(f->be.sock);
}

void on_died(void *data, const char *device, const char *why)
{
	struct fixture *f = data;

	assert_non_null(device);
	assert_non_null(why);
	f->died++;
}

int fixture_setup(void **state)
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

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fake_driver_release(&f->drv);
	shm_window_free(f->window);
	event_loop_free(f->loop);
	free(f);
	return 0;
}

struct virtio_device *make(struct fixture *f, bool gpu, struct error **err)
{
	const struct vhost_user_host host = { on_died, f };

	return gpu ? vhost_user_gpu_create(&f->drv.mem, f->loop, f->front, f->window, &host, err) :
		     vhost_user_fs_create(&f->drv.mem, f->loop, f->front, "krun-gpu", &host, err);
}

void drop_device(struct fixture *f, struct virtio_device *dev)
{
	dev->ops->destroy(dev);
	f->drv.dev = NULL;
	backend_join(f);
}
