/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gpu_frontend.h"

#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"
#include "vmm/workers/gpu_device.h"
#include "vmm/workers/vhu_msg.h"

#define RAM_SIZE (4u << 20)
#define QUEUE_SIZE 16
#define DESC 0x1000
#define AVAIL 0x2000
#define USED 0x3000
#define SLOT(n) (0x10000 + (n) * 0x40000)
#define SLOT_RESPONSE 0x30000
#define ANSWER_MS 60000

static void send_message(struct gpu_frontend *fe, uint32_t request, const void *payload,
			 size_t size, int fd)
{
	struct vhu_msg msg = { .hdr = { request, VHOST_USER_VERSION, (uint32_t)size } };

	memcpy(&msg.payload, payload, size);
	assert_int_equal(vhu_msg_send(fe->sock, &msg, fd), 0);
}

static void send_u64(struct gpu_frontend *fe, uint32_t request, uint64_t value, int fd)
{
	send_message(fe, request, &value, sizeof(value), fd);
}

static uint64_t get_u64(struct gpu_frontend *fe, uint32_t request)
{
	struct vhu_msg reply;

	send_message(fe, request, "", 0, -1);
	assert_int_equal(vhu_msg_recv(fe->sock, &reply), 1);
	assert_int_equal(reply.hdr.request, request);
	return reply.payload.u64;
}

static void send_state(struct gpu_frontend *fe, uint32_t request, uint32_t num)
{
	const struct vhost_user_vring_state state = { 0, num };

	send_message(fe, request, &state, sizeof(state), -1);
}

void gpu_frontend_start_queue(struct gpu_frontend *fe)
{
	const struct vhost_user_vring_addr addr = { .desc = DESC, .avail = AVAIL, .used = USED };

	memset(fe->ram + DESC, 0, 0x3000);
	fe->avail_idx = fe->used_seen = 0;
	send_state(fe, VHOST_USER_SET_VRING_NUM, QUEUE_SIZE);
	send_message(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	send_state(fe, VHOST_USER_SET_VRING_BASE, 0);
	send_u64(fe, VHOST_USER_SET_VRING_CALL, 0, fe->call_fd);
	send_u64(fe, VHOST_USER_SET_VRING_KICK, 0, fe->kick_fd);
	send_state(fe, VHOST_USER_SET_VRING_ENABLE, 1);
}

void gpu_frontend_connect(struct gpu_frontend *fe, int sock)
{
	const uint64_t protocol = 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
				  1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |
				  1ull << VHOST_USER_PROTOCOL_F_SHMEM |
				  1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK;
	struct vhost_user_memory mem = { .count = 1, .regions = { { .size = RAM_SIZE } } };
	uint64_t features;
	int channel[2];

	memset(fe, 0, sizeof(*fe));
	fe->sock = sock;
	fe->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe->memfd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fe->memfd, RAM_SIZE), 0);
	fe->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memfd, 0);
	fe->window = mmap(NULL, GPU_FRONTEND_WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(fe->ram != MAP_FAILED && fe->window != MAP_FAILED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
	fe->backend = channel[0];

	send_message(fe, VHOST_USER_SET_OWNER, "", 0, -1);
	features = get_u64(fe, VHOST_USER_GET_FEATURES) & ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	send_u64(fe, VHOST_USER_SET_FEATURES, features, -1);
	assert_int_equal(get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES) & protocol, protocol);
	send_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, protocol, -1);
	send_message(fe, VHOST_USER_SET_BACKEND_REQ_FD, "", 0, channel[1]);
	close(channel[1]);
	send_message(fe, VHOST_USER_SET_MEM_TABLE, &mem, 8 + sizeof(mem.regions[0]), fe->memfd);
	gpu_frontend_start_queue(fe);
}

void gpu_frontend_stop_queue(struct gpu_frontend *fe)
{
	struct vhu_msg reply;

	send_state(fe, VHOST_USER_GET_VRING_BASE, 0);
	assert_int_equal(vhu_msg_recv(fe->sock, &reply), 1);
	assert_int_equal(reply.hdr.request, VHOST_USER_GET_VRING_BASE);
}

void gpu_frontend_disconnect(struct gpu_frontend *fe)
{
	close(fe->sock);
	close(fe->backend);
	close(fe->kick_fd);
	close(fe->call_fd);
	close(fe->memfd);
	munmap(fe->ram, RAM_SIZE);
	munmap(fe->window, GPU_FRONTEND_WINDOW);
}

/* A SHMEM_MAP or SHMEM_UNMAP of the worker, as the VMM would serve it. */
static void serve_backend(struct gpu_frontend *fe)
{
	struct vhu_msg msg;
	const struct vhost_user_mmap *map = &msg.payload.mmap;
	uint64_t failed = 0;
	void *at;

	assert_int_equal(vhu_msg_recv(fe->backend, &msg), 1);
	assert_int_equal(msg.hdr.size, sizeof(*map));
	assert_int_equal(map->shmid, GPU_SHM_HOST_VISIBLE);
	assert_true(map->len && map->shm_offset <= GPU_FRONTEND_WINDOW &&
		    map->len <= GPU_FRONTEND_WINDOW - map->shm_offset);
	if (msg.hdr.request == VHOST_USER_BACKEND_SHMEM_MAP) {
		assert_int_equal(msg.nfds, 1);
		failed = fe->refuse_maps;
		at = failed ? NULL :
			      mmap(fe->window + map->shm_offset, map->len, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, msg.fds[0], (off_t)map->fd_offset);
		assert_true(at != MAP_FAILED);
		fe->maps++;
	} else {
		assert_int_equal(msg.hdr.request, VHOST_USER_BACKEND_SHMEM_UNMAP);
		at = mmap(fe->window + map->shm_offset, map->len, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		assert_true(at != MAP_FAILED);
		fe->unmaps++;
	}
	vhu_msg_release(&msg);
	msg.hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	msg.hdr.size = sizeof(uint64_t);
	msg.payload.u64 = failed;
	assert_int_equal(vhu_msg_send(fe->backend, &msg, -1), 0);
}

void gpu_frontend_post(struct gpu_frontend *fe, unsigned int slot, const void *req, size_t len,
		       size_t room)
{
	struct vring_desc *desc = (void *)(fe->ram + DESC);
	struct vring_avail *avail = (void *)(fe->ram + AVAIL);
	const uint64_t one = 1;
	uint16_t head = (uint16_t)(2 * slot);

	memcpy(fe->ram + SLOT(slot), req, len);
	memset(fe->ram + SLOT(slot) + SLOT_RESPONSE, 0xee, room);
	desc[head] = (struct vring_desc){ SLOT(slot), (uint32_t)len,
					  room ? VRING_DESC_F_NEXT : 0, (uint16_t)(head + 1) };
	desc[head + 1] = (struct vring_desc){ SLOT(slot) + SLOT_RESPONSE, (uint32_t)room,
					      VRING_DESC_F_WRITE, 0 };
	avail->ring[fe->avail_idx % QUEUE_SIZE] = head;
	__atomic_store_n(&avail->idx, ++fe->avail_idx, __ATOMIC_RELEASE);
	assert_int_equal(write(fe->kick_fd, &one, sizeof(one)), sizeof(one));
}

static bool take_used(struct gpu_frontend *fe, struct vring_used_elem *elem)
{
	const struct vring_used *used = (const void *)(fe->ram + USED);

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == fe->used_seen)
		return false;
	*elem = used->ring[fe->used_seen++ % QUEUE_SIZE];
	return true;
}

int gpu_frontend_wait(struct gpu_frontend *fe, int timeout_ms, const void **resp, uint32_t *len)
{
	struct vring_used_elem elem;
	uint64_t count;

	while (!take_used(fe, &elem)) {
		struct pollfd fds[] = { { fe->call_fd, POLLIN, 0 },
					{ fe->backend, POLLIN, 0 },
					{ fe->sock, POLLRDHUP, 0 } };

		if (poll(fds, 3, timeout_ms) == 0)
			return -1;
		assert_false(fds[2].revents & (POLLRDHUP | POLLHUP));
		if (fds[1].revents & POLLIN)
			serve_backend(fe);
		if (fds[0].revents & POLLIN)
			assert_int_equal(read(fe->call_fd, &count, sizeof(count)), sizeof(count));
	}
	*resp = fe->ram + SLOT(elem.id / 2) + SLOT_RESPONSE;
	*len = elem.len;
	return (int)(elem.id / 2);
}

uint32_t gpu_frontend_command(struct gpu_frontend *fe, const void *req, size_t len, size_t room,
			      const void **resp, uint32_t *resp_len)
{
	const struct virtio_gpu_ctrl_hdr *hdr;
	const void *r;
	uint32_t n;

	gpu_frontend_post(fe, 0, req, len, room);
	assert_int_equal(gpu_frontend_wait(fe, ANSWER_MS, &r, &n), 0);
	hdr = r;
	if (resp)
		*resp = r;
	if (resp_len)
		*resp_len = n;
	return n >= sizeof(*hdr) ? hdr->type : 0;
}
