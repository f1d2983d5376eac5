/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The control queue lies in a memfd of ours that the worker maps as guest memory: its rings in the
 * first pages, then one slot a command: the request, and room for the response. A slot is two
 * descriptors, so the head of a chain is twice the slot's number.
 *
 * What the worker has mapped into the window is not mapped here at all: the fd of SHMEM_MAP is kept
 * and goes to the application, which maps it itself.
 */
#include "vtest_front.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "vmm/workers/vhu_msg.h"

#define QUEUE_SIZE (2 * VTEST_SLOTS)
#define DESC 0x1000
#define AVAIL 0x2000
#define USED 0x3000
#define SLOT_SIZE 0x24000
#define SLOT_RESPONSE 0x22000
#define RESPONSE_ROOM 0x1000
#define SLOT(n) (0x10000 + (uint64_t)(n) * SLOT_SIZE)
#define RAM_SIZE (0x10000 + (uint64_t)VTEST_SLOTS * SLOT_SIZE)
#define PAGE 4096u

static int send_message(struct vtest_front *fe, uint32_t request, const void *payload, size_t size,
			int fd)
{
	struct vhu_msg msg = { .hdr = { request, VHOST_USER_VERSION, (uint32_t)size } };

	memcpy(&msg.payload, payload, size);
	return vhu_msg_send(fe->sock, &msg, fd);
}

static int send_u64(struct vtest_front *fe, uint32_t request, uint64_t value, int fd)
{
	return send_message(fe, request, &value, sizeof(value), fd);
}

static int get_u64(struct vtest_front *fe, uint32_t request, uint64_t *value)
{
	struct vhu_msg reply;

	if (send_message(fe, request, "", 0, -1) < 0 || vhu_msg_recv(fe->sock, &reply) != 1)
		return -1;
	*value = reply.payload.u64;
	vhu_msg_release(&reply);
	return reply.hdr.request == request ? 0 : -1;
}

static int send_queue(struct vtest_front *fe)
{
	const struct vhost_user_vring_state size = { 0, QUEUE_SIZE }, base = { 0, 0 };
	const struct vhost_user_vring_state enable = { 0, 1 };
	const struct vhost_user_vring_addr addr = { .desc = DESC, .avail = AVAIL, .used = USED };

	if (send_message(fe, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1) < 0 ||
	    send_message(fe, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1) < 0 ||
	    send_message(fe, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), -1) < 0 ||
	    send_u64(fe, VHOST_USER_SET_VRING_CALL, 0, fe->call_fd) < 0 ||
	    send_u64(fe, VHOST_USER_SET_VRING_KICK, 0, fe->kick_fd) < 0)
		return -1;
	return send_message(fe, VHOST_USER_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
}

static int shake_hands(struct vtest_front *fe, int channel)
{
	const uint64_t protocol = 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
				  1ull << VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD |
				  1ull << VHOST_USER_PROTOCOL_F_SHMEM |
				  1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK;
	struct vhost_user_memory mem = { .count = 1, .regions = { { .size = RAM_SIZE } } };
	uint64_t features, offered;

	if (send_message(fe, VHOST_USER_SET_OWNER, "", 0, -1) < 0 ||
	    get_u64(fe, VHOST_USER_GET_FEATURES, &features) < 0 ||
	    send_u64(fe, VHOST_USER_SET_FEATURES, features & ~(1ull << VIRTIO_RING_F_EVENT_IDX),
		     -1) < 0 ||
	    get_u64(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered) < 0 ||
	    (offered & protocol) != protocol ||
	    send_u64(fe, VHOST_USER_SET_PROTOCOL_FEATURES, protocol, -1) < 0 ||
	    send_message(fe, VHOST_USER_SET_BACKEND_REQ_FD, "", 0, channel) < 0 ||
	    send_message(fe, VHOST_USER_SET_MEM_TABLE, &mem, 8 + sizeof(mem.regions[0]),
			 fe->memfd) < 0)
		return -1;
	return send_queue(fe);
}

static struct vtest_mapping *mapping_find(struct vtest_front *fe, uint64_t offset)
{
	struct vtest_mapping *m = fe->mappings;

	while (m && m->offset != offset)
		m = m->next;
	return m;
}

/* Serves a request to map or unmap: 0, or 1 for what a VMM would refuse. */
static uint64_t serve_mmap(struct vtest_front *fe, struct vhu_msg *msg)
{
	const struct vhost_user_mmap *map = &msg->payload.mmap;
	struct vtest_mapping *m = mapping_find(fe, map->shm_offset);
	off_t end;

	if (msg->hdr.size != sizeof(*map) || map->shmid != 1 || !m || m->len != map->len)
		return 1;
	if (msg->hdr.request == VHOST_USER_BACKEND_SHMEM_UNMAP && m->fd >= 0) {
		close(m->fd);
		m->fd = -1;
		return 0;
	}
	if (msg->hdr.request != VHOST_USER_BACKEND_SHMEM_MAP || msg->nfds != 1 || m->fd >= 0 ||
	    map->fd_offset)
		return 1;
	end = lseek(msg->fds[0], 0, SEEK_END);
	if (end < 0 || (((uint64_t)end + PAGE - 1) & ~(uint64_t)(PAGE - 1)) < map->len)
		return 1;
	m->fd = fcntl(msg->fds[0], F_DUPFD_CLOEXEC, 0);
	return m->fd < 0;
}

static int serve_backend(struct vtest_front *fe)
{
	struct vhu_msg msg;
	uint64_t refused;
	int r = vhu_msg_recv(fe->backend, &msg);

	if (r <= 0)
		return -1;
	pthread_mutex_lock(&fe->lock);
	refused = serve_mmap(fe, &msg);
	pthread_mutex_unlock(&fe->lock);
	if (refused)
		log_error("the worker's request %u was refused", msg.hdr.request);
	vhu_msg_release(&msg);
	msg.hdr.flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY;
	msg.hdr.size = sizeof(uint64_t);
	msg.payload.u64 = refused;
	return vhu_msg_send(fe->backend, &msg, -1);
}

/* With the lock held. A stream is a line for each command, and one for each answer's type. */
static void record_command(struct vtest_front *fe, uint64_t number, const uint8_t *req, size_t len)
{
	if (!fe->record)
		return;
	fprintf(fe->record, "> %llu ", (unsigned long long)number);
	for (size_t i = 0; i < len; i++)
		fprintf(fe->record, "%02x", req[i]);
	fputc('\n', fe->record);
}

static void record_answer(struct vtest_front *fe, uint64_t number, const void *resp)
{
	pthread_mutex_lock(&fe->lock);
	if (fe->record)
		fprintf(fe->record, "< %llu %#x\n", (unsigned long long)number,
			resp ? ((const struct virtio_gpu_ctrl_hdr *)resp)->type : 0);
	pthread_mutex_unlock(&fe->lock);
}

static void finish(struct vtest_front *fe, unsigned int slot, uint32_t len)
{
	struct vtest_slot *s = &fe->slots[slot];

	record_answer(fe, s->number, len ? fe->ram + SLOT(slot) + SLOT_RESPONSE : NULL);
	s->done(s->data, len ? fe->ram + SLOT(slot) + SLOT_RESPONSE : NULL, len);
	pthread_mutex_lock(&fe->lock);
	s->busy = false;
	pthread_cond_signal(&fe->freed);
	pthread_mutex_unlock(&fe->lock);
}

static int take_used(struct vtest_front *fe)
{
	const struct vring_used *used = (const void *)(fe->ram + USED);

	while (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) != fe->used_seen) {
		const struct vring_used_elem *elem = &used->ring[fe->used_seen++ % QUEUE_SIZE];

		if (elem->id % 2 || elem->id / 2 >= VTEST_SLOTS || !fe->slots[elem->id / 2].busy ||
		    elem->len < sizeof(struct virtio_gpu_ctrl_hdr) || elem->len > RESPONSE_ROOM) {
			log_error("the worker used chain %u with %u bytes", elem->id, elem->len);
			return -1;
		}
		finish(fe, elem->id / 2, elem->len);
	}
	return 0;
}

static void worker_gone(struct vtest_front *fe)
{
	pthread_mutex_lock(&fe->lock);
	fe->lost = true;
	pthread_mutex_unlock(&fe->lock);
	for (unsigned int i = 0; i < VTEST_SLOTS; i++)
		if (fe->slots[i].busy)
			finish(fe, i, 0);
}

static void *front_main(void *data)
{
	struct vtest_front *fe = data;
	uint64_t count;
	int r = 0;

	while (r >= 0) {
		struct pollfd fds[] = { { fe->call_fd, POLLIN, 0 },
					{ fe->backend, POLLIN, 0 },
					{ fe->sock, POLLRDHUP, 0 } };

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents & POLLIN)
			r = serve_backend(fe);
		if (fds[0].revents & POLLIN && read(fe->call_fd, &count, sizeof(count)) > 0) {
			fe->interrupts++;
			r = take_used(fe);
		}
		if (fds[2].revents & (POLLRDHUP | POLLHUP | POLLERR))
			break;
	}
	worker_gone(fe);
	return NULL;
}

int vtest_front_start(struct vtest_front *fe, int sock, uint64_t window, struct error **err)
{
	int channel[2];

	*fe = (struct vtest_front){ .sock = sock, .window = window };
	pthread_mutex_init(&fe->lock, NULL);
	pthread_cond_init(&fe->freed, NULL);
	fe->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe->memfd = memfd_create("vtest-ram", MFD_CLOEXEC);
	if (fe->kick_fd < 0 || fe->call_fd < 0 || fe->memfd < 0 ||
	    ftruncate(fe->memfd, (off_t)RAM_SIZE) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0)
		return error_set(err, errno, "cannot make the front end's files");
	fe->backend = channel[0];
	fe->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fe->memfd, 0);
	if (fe->ram == MAP_FAILED)
		return error_set(err, errno, "cannot map the front end's memory");
	if (shake_hands(fe, channel[1]) < 0)
		return error_set(err, 0, "the worker does not shake hands");
	close(channel[1]);
	if (pthread_create(&fe->thread, NULL, front_main, fe))
		return error_set(err, errno, "cannot start the front end's thread");
	return 0;
}

void vtest_front_stop(struct vtest_front *fe)
{
	shutdown(fe->sock, SHUT_RDWR);
	pthread_join(fe->thread, NULL);
	while (fe->mappings)
		vtest_front_unreserve(fe, fe->mappings->offset);
	munmap(fe->ram, RAM_SIZE);
	close(fe->sock);
	close(fe->backend);
	close(fe->kick_fd);
	close(fe->call_fd);
	close(fe->memfd);
}

/* With the lock held: a free slot, or -1 when the worker has gone. */
static int slot_take(struct vtest_front *fe)
{
	for (;;) {
		for (int i = 0; !fe->lost && i < VTEST_SLOTS; i++)
			if (!fe->slots[i].busy)
				return i;
		if (fe->lost)
			return -1;
		pthread_cond_wait(&fe->freed, &fe->lock);
	}
}

static void make_available(struct vtest_front *fe, unsigned int slot, size_t len)
{
	struct vring_desc *desc = (void *)(fe->ram + DESC);
	struct vring_avail *avail = (void *)(fe->ram + AVAIL);
	const struct vring_used *used = (const void *)(fe->ram + USED);
	const uint16_t head = (uint16_t)(2 * slot);
	const uint64_t one = 1;

	desc[head] = (struct vring_desc){ SLOT(slot), (uint32_t)len, VRING_DESC_F_NEXT,
					  (uint16_t)(head + 1) };
	desc[head + 1] = (struct vring_desc){ SLOT(slot) + SLOT_RESPONSE, RESPONSE_ROOM,
					      VRING_DESC_F_WRITE, 0 };
	avail->ring[fe->avail_idx % QUEUE_SIZE] = head;
	__atomic_store_n(&avail->idx, ++fe->avail_idx, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* index before flag: virtqueue_enable_kicks() */
	if (__atomic_load_n(&used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY)
		return;
	if (write(fe->kick_fd, &one, sizeof(one)) < 0)
		log_error("cannot kick: %s", strerror(errno));
}

void vtest_front_post(struct vtest_front *fe, const void *req, size_t len, const void *extra,
		      size_t extra_len, vtest_done done, void *data)
{
	int slot;

	pthread_mutex_lock(&fe->lock);
	slot = slot_take(fe);
	if (slot >= 0) {
		uint8_t *to = fe->ram + SLOT(slot);

		fe->slots[slot] = (struct vtest_slot){ true, ++fe->commands, done, data };
		memcpy(to, req, len);
		if (extra_len)
			memcpy(to + len, extra, extra_len);
		record_command(fe, fe->commands, to, len + extra_len);
		make_available(fe, (unsigned int)slot, len + extra_len);
	}
	pthread_mutex_unlock(&fe->lock);
	if (slot < 0)
		done(data, NULL, 0);
}

struct waiter {
	sem_t answered;
	void *resp;
	size_t room;
	uint32_t type;
};

static void waiter_done(void *data, const void *resp, uint32_t len)
{
	struct waiter *w = data;

	if (resp) {
		w->type = ((const struct virtio_gpu_ctrl_hdr *)resp)->type;
		if (w->resp)
			memcpy(w->resp, resp, len < w->room ? len : w->room);
	}
	sem_post(&w->answered);
}

uint32_t vtest_front_command(struct vtest_front *fe, const void *req, size_t len, void *resp,
			     size_t room)
{
	struct waiter w = { .resp = resp, .room = room };

	sem_init(&w.answered, 0, 0);
	vtest_front_post(fe, req, len, NULL, 0, waiter_done, &w);
	while (sem_wait(&w.answered) < 0 && errno == EINTR)
		;
	sem_destroy(&w.answered);
	return w.type;
}

bool vtest_front_reserve(struct vtest_front *fe, uint64_t len, uint64_t *offset)
{
	struct vtest_mapping *m = calloc(1, sizeof(*m)), **at;
	uint64_t free_from = 0;

	if (!m)
		return false;
	pthread_mutex_lock(&fe->lock);
	for (at = &fe->mappings; *at && (*at)->offset - free_from < len; at = &(*at)->next)
		free_from = (*at)->offset + (*at)->len;
	if (!*at && (free_from > fe->window || fe->window - free_from < len)) {
		pthread_mutex_unlock(&fe->lock);
		free(m);
		return false;
	}
	*m = (struct vtest_mapping){ *at, free_from, len, -1 };
	*at = m;
	*offset = free_from;
	pthread_mutex_unlock(&fe->lock);
	return true;
}

int vtest_front_mapped_fd(struct vtest_front *fe, uint64_t offset)
{
	const struct vtest_mapping *m;
	int fd;

	pthread_mutex_lock(&fe->lock);
	m = mapping_find(fe, offset);
	fd = m && m->fd >= 0 ? fcntl(m->fd, F_DUPFD_CLOEXEC, 0) : -1;
	pthread_mutex_unlock(&fe->lock);
	return fd;
}

void vtest_front_unreserve(struct vtest_front *fe, uint64_t offset)
{
	struct vtest_mapping **at, *m;

	pthread_mutex_lock(&fe->lock);
	for (at = &fe->mappings; *at && (*at)->offset != offset; at = &(*at)->next)
		;
	m = *at;
	if (m)
		*at = m->next;
	pthread_mutex_unlock(&fe->lock);
	if (m && m->fd >= 0)
		close(m->fd);
	free(m);
}

uint32_t vtest_front_new_resource(struct vtest_front *fe)
{
	return __atomic_add_fetch(&fe->last_resource, 1, __ATOMIC_RELAXED);
}

uint32_t vtest_front_new_context(struct vtest_front *fe)
{
	uint32_t id = 0;

	pthread_mutex_lock(&fe->lock);
	for (uint32_t i = 0; !id && i < 64; i++)
		if (!(fe->contexts & 1ull << i))
			id = i + 1;
	if (id)
		fe->contexts |= 1ull << (id - 1);
	pthread_mutex_unlock(&fe->lock);
	return id;
}

void vtest_front_free_context(struct vtest_front *fe, uint32_t id)
{
	pthread_mutex_lock(&fe->lock);
	fe->contexts &= ~(1ull << (id - 1));
	pthread_mutex_unlock(&fe->lock);
}
