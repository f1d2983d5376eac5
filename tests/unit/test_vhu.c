/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vhost-user back end, with a front end that is this test, on the other end of a socket. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "vmm/workers/vhu.h"
#include "vmm/workers/vhu_msg.h"

#define RAM (1u << 20)
#define GPA 0x100000ull
#define USER 0x7000000000ull /* where the front end says that it has mapped RAM */
#define SIZE 8

#define DESC 0x0
#define AVAIL 0x1000
#define USED 0x2000
#define BUFFER 0x3000

struct front {
	struct vhu *vhu;
	pthread_t thread;
	int sock, memfd, kick, call, err, backend;
	int result; /* vhu_run()'s */
	uint8_t *ram;
	uint16_t avail_idx;
	/* What the worker saw. */
	int kicks, stops, wakes, chains, map_result;
};

static struct front f;

/* The worker: answers each chain with its own bytes, in upper case. */
static void worker_kick(void *data, struct vhu *vhu, unsigned int index)
{
	static struct virtq_chain chain;
	int r;

	(void)data;
	f.kicks++;
	while ((r = virtqueue_pop_chain(vhu_queue(vhu, index), &chain)) == 1) {
		char c;
		uint32_t n = 0;

		while (chain_read(&chain, &c, 1)) {
			c = (char)(c - 32);
			n += (uint32_t)chain_write(&chain, &c, 1);
		}
		f.chains++;
		vhu_push(vhu, index, chain.head, n);
	}
	if (r < 0)
		vhu_queue_broken(vhu, index, "test");
}

static void worker_stop(void *data, struct vhu *vhu, unsigned int index)
{
	(void)data;
	(void)vhu;
	(void)index;
	f.stops++;
}

static void worker_woken(void *data, struct vhu *vhu)
{
	(void)data;
	f.wakes++;
	f.map_result = vhu_shmem_map(vhu, 1, f.memfd, 0, 4096, 8192, true);
	if (!f.map_result)
		f.map_result = vhu_shmem_unmap(vhu, 1, 4096, 8192);
}

static size_t worker_config(void *data, void *buf, size_t size)
{
	(void)data;
	(void)size;
	memcpy(buf, "configuration", 13);
	return 13;
}

static const struct vhu_ops ops = {
	.name = "test", .num_queues = 2, .features = 1, .backend_channel = true,
	.get_config = worker_config, .queue_kick = worker_kick, .queue_stop = worker_stop,
	.woken = worker_woken,
};

static void *run_thread(void *arg)
{
	(void)arg;
	f.result = vhu_run(f.vhu);
	return NULL;
}

static int setup(void **state)
{
	int pair[2];

	(void)state;
	memset(&f, 0, sizeof(f));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f.sock = pair[0];
	f.vhu = vhu_create(pair[1], &ops, NULL, NULL);
	f.memfd = memfd_create("ram", MFD_CLOEXEC);
	f.kick = eventfd(0, EFD_CLOEXEC);
	f.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f.err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_non_null(f.vhu);
	assert_int_equal(ftruncate(f.memfd, RAM), 0);
	f.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, f.memfd, 0);
	assert_ptr_not_equal(f.ram, MAP_FAILED);
	return pthread_create(&f.thread, NULL, run_thread, NULL);
}

/* The front end goes away: the back end's loop ends. */
static int teardown(void **state)
{
	(void)state;
	if (f.sock >= 0) {
		close(f.sock);
		pthread_join(f.thread, NULL);
	}
	vhu_free(f.vhu);
	munmap(f.ram, RAM);
	close(f.memfd);
	close(f.kick);
	close(f.call);
	close(f.err);
	return 0;
}

static void send_fds(uint32_t request, uint32_t flags, const void *payload, uint32_t len,
		     const int *fds, size_t nfds)
{
	struct vhost_user_header hdr = { request, VHOST_USER_VERSION | flags, len };
	union {
		char buf[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { (void *)payload, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };

	if (nfds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * nfds);
	}
	assert_int_equal(sendmsg(f.sock, &mh, MSG_NOSIGNAL), sizeof(hdr) + len);
}

static struct vhu_msg reply(uint32_t request)
{
	struct vhu_msg msg;

	assert_int_equal(vhu_msg_recv(f.sock, &msg), 1);
	assert_int_equal(msg.hdr.request, request);
	assert_true(msg.hdr.flags & VHOST_USER_FLAG_REPLY);
	return msg;
}

static uint64_t get_u64(uint32_t request)
{
	send_fds(request, 0, NULL, 0, NULL, 0);
	return reply(request).payload.u64;
}

/* Send something that is acknowledged: 0, or not when it is refused. */
static uint64_t ask(uint32_t request, const void *payload, uint32_t len, const int *fds,
		    size_t nfds)
{
	send_fds(request, VHOST_USER_FLAG_NEED_REPLY, payload, len, fds, nfds);
	return reply(request).payload.u64;
}

static uint64_t set_u64(uint32_t request, uint64_t value, int fd)
{
	return ask(request, &value, sizeof(value), &fd, fd >= 0);
}

static uint64_t set_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state s = { index, num };

	return ask(request, &s, sizeof(s), NULL, 0);
}

static void negotiate(uint64_t features)
{
	const uint64_t protocol = get_u64(VHOST_USER_GET_PROTOCOL_FEATURES);

	assert_int_equal(get_u64(VHOST_USER_GET_FEATURES) & features, features);
	send_fds(VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
	send_fds(VHOST_USER_SET_FEATURES, 0, &features, 8, NULL, 0);
	assert_int_equal(get_u64(VHOST_USER_GET_QUEUE_NUM), 2);
}

static uint64_t set_memory(uint64_t gpa, uint64_t size, uint64_t offset)
{
	struct vhost_user_memory m = { .count = 1, .regions = { { gpa, size, USER, offset } } };

	return ask(VHOST_USER_SET_MEM_TABLE, &m, 8 + sizeof(m.regions[0]), &f.memfd, 1);
}

static uint64_t set_addr(uint32_t index, uint64_t desc, uint64_t used, uint64_t avail)
{
	const struct vhost_user_vring_addr a = { .index = index, .desc = desc, .used = used,
						 .avail = avail };

	return ask(VHOST_USER_SET_VRING_ADDR, &a, sizeof(a), NULL, 0);
}

#define PROTOCOL (1ull << VHOST_USER_F_PROTOCOL_FEATURES)

static void start_queue(uint16_t base)
{
	assert_int_equal(set_state(VHOST_USER_SET_VRING_NUM, 0, SIZE), 0);
	assert_int_equal(set_state(VHOST_USER_SET_VRING_BASE, 0, base), 0);
	assert_int_equal(set_addr(0, USER + DESC, USER + USED, USER + AVAIL), 0);
	assert_int_equal(set_u64(VHOST_USER_SET_VRING_CALL, 0, f.call), 0);
	assert_int_equal(set_u64(VHOST_USER_SET_VRING_ERR, 0, f.err), 0);
	assert_int_equal(set_u64(VHOST_USER_SET_VRING_KICK, 0, f.kick), 0);
	assert_int_equal(set_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
}

static uint32_t stop_queue(void)
{
	const struct vhost_user_vring_state state = { 0, 0 };

	send_fds(VHOST_USER_GET_VRING_BASE, 0, &state, sizeof(state), NULL, 0);
	return reply(VHOST_USER_GET_VRING_BASE).payload.state.num;
}

static bool signalled(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t count;

	return poll(&p, 1, timeout_ms) == 1 && read(fd, &count, 8) == 8;
}

static void add_chain(const char *text)
{
	struct vring_desc *desc = (void *)(f.ram + DESC);
	struct vring_avail *avail = (void *)(f.ram + AVAIL);

	strcpy((char *)f.ram + BUFFER, text);
	memset(f.ram + BUFFER + 512, 0, 16);
	desc[0] = (struct vring_desc){ GPA + BUFFER, (uint32_t)strlen(text), VRING_DESC_F_NEXT, 1 };
	desc[1] = (struct vring_desc){ GPA + BUFFER + 512, 64, VRING_DESC_F_WRITE, 0 };
	avail->ring[f.avail_idx++ % SIZE] = 0;
	__atomic_store_n(&avail->idx, f.avail_idx, __ATOMIC_RELEASE);
}

static void kick(void)
{
	const uint64_t one = 1;

	assert_int_equal(write(f.kick, &one, 8), 8);
}

static void test_serves(void **state)
{
	const struct vring_used *used = (void *)(f.ram + USED);

	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(set_memory(GPA, RAM, 0), 0);
	start_queue(0);
	add_chain("hello");
	kick();
	assert_true(signalled(f.call, 2000));
	assert_int_equal(used->idx, 1);
	assert_int_equal(used->ring[0].len, 5);
	assert_memory_equal(f.ram + BUFFER + 512, "HELLO", 5);
	/* Memory that changes: the queue goes on where it was, in the new mapping. */
	assert_int_equal(set_memory(GPA, RAM, 0), 0);
	assert_int_equal(f.stops, 1);
	add_chain("again");
	kick();
	assert_true(signalled(f.call, 2000));
	assert_int_equal(used->idx, 2);
	/* Stopped, it says where it is, and takes up from there, also what came meanwhile. */
	assert_int_equal(stop_queue(), 2);
	assert_int_equal(f.stops, 2);
	add_chain("later");
	kick();
	assert_false(signalled(f.call, 50));
	start_queue(2);
	assert_true(signalled(f.call, 2000));
	assert_memory_equal(f.ram + BUFFER + 512, "LATER", 5);
	assert_int_equal(set_state(VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
	assert_int_equal(f.stops, 3);
}

static void test_malformed_chain(void **state)
{
	struct vring_desc *desc = (void *)(f.ram + DESC);

	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(set_memory(GPA, RAM, 0), 0);
	start_queue(0);
	add_chain("x");
	desc[0].addr = GPA + RAM; /* outside */
	kick();
	assert_true(signalled(f.err, 2000));
	assert_false(signalled(f.call, 20));
	/* Only this queue is given up, and only until it is started anew. */
	assert_int_equal(stop_queue(), 0);
	desc[0].addr = GPA + BUFFER;
	start_queue(0);
	assert_true(signalled(f.call, 2000));
}

static void test_refusals(void **state)
{
	struct vhost_user_memory m = { .count = 9 };
	const int fds[2] = { f.memfd, f.memfd };

	(void)state;
	negotiate(PROTOCOL);
	assert_int_not_equal(set_u64(VHOST_USER_SET_FEATURES, ~0ull, -1), 0);
	assert_int_not_equal(set_memory(GPA + 1, RAM, 0), 0);
	assert_int_not_equal(set_memory(GPA, RAM * 2, 0), 0);
	assert_int_not_equal(set_memory(GPA, RAM, 4096), 0);
	assert_int_not_equal(set_memory(~0ull - RAM + 1, RAM, 0), 0);
	assert_int_not_equal(ask(VHOST_USER_SET_MEM_TABLE, &m, sizeof(m), fds, 2), 0);
	m.count = 2; /* overlapping */
	m.regions[0] = m.regions[1] = (struct vhost_user_region){ GPA, RAM, USER, 0 };
	assert_int_not_equal(ask(VHOST_USER_SET_MEM_TABLE, &m, 8 + 64, fds, 2), 0);
	assert_int_equal(set_memory(GPA, RAM, 0), 0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_NUM, 2, SIZE), 0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_NUM, 0, 65536 + SIZE), 0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_BASE, 0, 65536), 0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_ENABLE, 0, 2), 0);
	assert_int_not_equal(set_addr(9, USER, USER, USER), 0);
	assert_int_not_equal(set_addr(0, USER + RAM, USER, USER), 0);
	assert_int_not_equal(set_addr(0, GPA, USER, USER), 0);
	assert_int_not_equal(set_u64(VHOST_USER_SET_VRING_KICK, 0x100, -1), 0);
	assert_int_not_equal(set_u64(VHOST_USER_SET_VRING_KICK, 0, -1), 0);
	assert_int_not_equal(set_u64(VHOST_USER_SET_VRING_CALL, 7, f.call), 0);
	assert_int_not_equal(set_u64(VHOST_USER_SET_VRING_CALL, 1 << 20, f.call), 0);
	assert_int_not_equal(ask(6, "12345678", 8, NULL, 0), 0);
	assert_int_not_equal(ask(4711, "12345678", 8, NULL, 0), 0);
	assert_int_not_equal(ask(VHOST_USER_SET_VRING_NUM, "1234", 4, NULL, 0), 0);
	/* A ring that does not fit in memory does not start, and says so. */
	assert_int_equal(set_state(VHOST_USER_SET_VRING_NUM, 0, SIZE), 0);
	assert_int_equal(set_addr(0, USER, USER + RAM - 8, USER + AVAIL), 0);
	assert_int_equal(set_u64(VHOST_USER_SET_VRING_ERR, 0, f.err), 0);
	assert_int_equal(set_u64(VHOST_USER_SET_VRING_KICK, 0, f.kick), 0);
	assert_int_equal(set_state(VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
	assert_true(signalled(f.err, 2000));
}

static void test_running_queue_is_fixed(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(set_memory(GPA, RAM, 0), 0);
	start_queue(0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_NUM, 0, 4), 0);
	assert_int_not_equal(set_state(VHOST_USER_SET_VRING_BASE, 0, 1), 0);
	assert_int_not_equal(set_addr(0, USER, USER + USED, USER + AVAIL), 0);
	assert_int_not_equal(set_u64(VHOST_USER_SET_FEATURES, 0, -1), 0);
}

static void test_config(void **state)
{
	struct vhost_user_config c = { .offset = 4, .size = 9 };
	struct vhu_msg r;

	(void)state;
	negotiate(PROTOCOL);
	send_fds(VHOST_USER_GET_CONFIG, 0, &c, 12 + 9, NULL, 0);
	r = reply(VHOST_USER_GET_CONFIG);
	assert_int_equal(r.hdr.size, 21);
	assert_memory_equal(r.payload.config.region, "iguration", 9);
	c.size = 10; /* past its end */
	send_fds(VHOST_USER_GET_CONFIG, 0, &c, 12 + 10, NULL, 0);
	assert_int_equal(reply(VHOST_USER_GET_CONFIG).hdr.size, 0);
}

static void test_shmem(void **state)
{
	int pair[2], fd = -1;
	struct vhu_msg m;
	uint64_t answer = 0;

	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(ask(VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1), 0);
	close(pair[1]);
	vhu_wake(f.vhu);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vhu_msg_recv(pair[0], &m), 1);
		assert_int_equal(m.hdr.request, i ? VHOST_USER_BACKEND_SHMEM_UNMAP
						  : VHOST_USER_BACKEND_SHMEM_MAP);
		assert_int_equal(m.payload.mmap.shm_offset, 4096);
		assert_int_equal(m.payload.mmap.len, 8192);
		assert_int_equal(m.nfds, i ? 0 : 1);
		vhu_msg_release(&m);
		m.hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
		m.hdr.size = 8;
		m.payload.u64 = answer;
		assert_int_equal(vhu_msg_send(pair[0], &m, fd), 0);
		answer = 1; /* the second is refused */
	}
	get_u64(VHOST_USER_GET_FEATURES); /* it is back in its loop */
	assert_int_equal(f.map_result, -EINVAL);
	assert_int_equal(f.wakes, 1);
	close(pair[0]);
}

/* Without an acknowledgement to say no with, a refusal ends the connection. */
static void test_broken_protocol(void **state)
{
	static const struct vhost_user_header headers[] = {
		{ VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 4 },
		{ VHOST_USER_GET_FEATURES, 2, 0 },
		{ VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 1 << 20 },
		{ 99, VHOST_USER_VERSION, 0 },
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (i)
			setup(state);
		assert_int_equal(write(f.sock, &headers[i], 12), 12);
		if (headers[i].size == 4)
			assert_int_equal(write(f.sock, "abcd", 4), 4);
		pthread_join(f.thread, NULL);
		assert_true(f.result < 0);
		close(f.sock);
		f.sock = -1;
		if (i + 1 < sizeof(headers) / sizeof(headers[0]))
			teardown(state);
	}
}

static void test_torn_message(void **state)
{
	(void)state;
	assert_int_equal(write(f.sock, "\1\0\0\0\1", 5), 5);
	close(f.sock);
	pthread_join(f.thread, NULL);
	f.sock = -1;
	assert_int_equal(f.result, -EPROTO);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_serves),	    TEST(test_malformed_chain),
		TEST(test_refusals),	    TEST(test_running_queue_is_fixed),
		TEST(test_config),	    TEST(test_shmem),
		TEST(test_broken_protocol), TEST(test_torn_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
