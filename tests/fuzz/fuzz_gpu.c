/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: the guest's side of virtio-gpu, with a renderer that makes blobs of memfds and
 * fails when the input says so. The input is a list of steps, each a byte and what it wants:
 *
 *   a command, whole: which one of the table, its fields as given (small numbers are made likely)
 *   a command, torn: its bytes as given, its response's room as given
 *   a fence passes, a context's process ends, the queue stops and starts, failing is set
 *
 * After each step every chain but those of fences must have come back, and what is mapped must be
 * what the worker says is mapped. See tests/fuzz/README.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "vmm/workers/gpu_device.h"

#define WINDOW (64u << 20)
#define MAX_BYTES (16u << 20)
#define REQUEST_ROOM (140u << 10)
#define MAX_MAPS 512
#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

enum { FAIL_CONTEXT = 1, FAIL_SUBMIT = 2, FAIL_FENCE = 4, FAIL_BLOB = 8, FAIL_EXPORT = 16,
       FAIL_MAP = 32, FAIL_UNMAP = 64, SHORT_FILE = 128 };

struct renderer_blob {
	uint32_t id;
	int fd;
	enum gpu_fd_type type;
};

struct renderer_fence {
	uint32_t ctx, ring;
	uint64_t number;
};

/* The fake renderer and the fake front end. */
static struct {
	struct gpu_device dev;
	struct fake_driver drv;
	struct virtqueue vq;
	uint8_t failing;
	struct renderer_blob blobs[256];
	struct renderer_fence fences[FAKE_QUEUE_SIZE];
	size_t num_fences;
	struct {
		uint64_t offset, len;
	} maps[MAX_MAPS];
	size_t num_maps;
	unsigned int in_flight; /* chains given and not back */
	bool woken;
	bool unmap_failed; /* once: the front end may still have what the worker forgot */
	uint64_t req_gpa, resp_gpa;
} t;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct renderer_blob *blob_find(uint32_t id)
{
	for (size_t i = 0; i < 256; i++)
		if (t.blobs[i].id == id)
			return &t.blobs[i];
	return NULL;
}

/*
 * gpu_renderer.h
 */
size_t gpu_renderer_capset(uint32_t *version, void *buf, size_t size)
{
	const uint32_t wire_format = 1;

	*version = 0;
	memset(buf, 1, size < 160 ? size : 160);
	memcpy(buf, &wire_format, sizeof(wire_format));
	return 160;
}

int gpu_renderer_context_create(struct gpu_renderer_context *ctx, uint32_t id, const char *name,
				uint32_t name_len)
{
	CHECK(id && name_len <= 64 && strnlen(name, 64) >= name_len);
	if (t.failing & FAIL_CONTEXT)
		return -EIO;
	*ctx = (struct gpu_renderer_context){ id, -1 };
	return 0;
}

void gpu_renderer_context_destroy(struct gpu_renderer_context *ctx)
{
	size_t kept = 0;

	for (size_t i = 0; i < t.num_fences; i++)
		if (t.fences[i].ctx != ctx->id)
			t.fences[kept++] = t.fences[i];
	t.num_fences = kept;
}

int gpu_renderer_submit(struct gpu_renderer_context *ctx, void *cmd, size_t size)
{
	static volatile uint8_t sum;

	(void)ctx;
	CHECK(size && size % 4 == 0 && (uintptr_t)cmd % 8 == 0);
	for (size_t i = 0; i < size; i++)
		sum ^= ((const uint8_t *)cmd)[i];
	return t.failing & FAIL_SUBMIT ? -EIO : 0;
}

int gpu_renderer_fence(struct gpu_renderer_context *ctx, uint32_t ring, uint64_t number)
{
	CHECK(ring < 64 && t.num_fences < FAKE_QUEUE_SIZE);
	if (t.failing & FAIL_FENCE)
		return -EIO;
	t.fences[t.num_fences++] = (struct renderer_fence){ ctx->id, ring, number };
	return 0;
}

int gpu_renderer_blob_create(struct gpu_renderer_context *ctx, uint32_t res, uint64_t blob_id,
			     uint64_t size, uint32_t flags)
{
	struct renderer_blob *blob = blob_find(0);

	(void)ctx;
	(void)flags;
	CHECK(res && size && size <= MAX_BYTES && !blob_find(res));
	if (t.failing & FAIL_BLOB || !blob)
		return blob_id & 1 ? -EIO : -ENOMEM;
	*blob = (struct renderer_blob){ res, memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING),
					(enum gpu_fd_type)(blob_id % 3) };
	CHECK(blob->fd >= 0);
	CHECK(!ftruncate(blob->fd, (off_t)(t.failing & SHORT_FILE ? size / 2 : size)));
	return 0;
}

void gpu_renderer_attach(struct gpu_renderer_context *ctx, uint32_t res)
{
	/* For anything else the library aborts. */
	CHECK(ctx->id && blob_find(res)->type == GPU_FD_DMABUF);
}

void gpu_renderer_detach(struct gpu_renderer_context *ctx, uint32_t res)
{
	CHECK(ctx->id && blob_find(res));
}

int gpu_renderer_export(uint32_t res, enum gpu_fd_type *type)
{
	const struct renderer_blob *blob = blob_find(res);

	CHECK(blob);
	if (t.failing & FAIL_EXPORT)
		return -EINVAL;
	*type = blob->type;
	return fcntl(blob->fd, F_DUPFD_CLOEXEC, 0);
}

uint32_t gpu_renderer_map_info(uint32_t res)
{
	CHECK(blob_find(res));
	return VIRTIO_GPU_MAP_CACHE_CACHED;
}

void gpu_renderer_unref(uint32_t res)
{
	struct renderer_blob *blob = blob_find(res);

	CHECK(blob);
	close(blob->fd);
	blob->id = 0;
}

/*
 * vhu.h
 */
void vhu_wake(struct vhu *vhu)
{
	(void)vhu;
	t.woken = true;
}

int vhu_watch_fd(struct vhu *vhu, int fd, void (*fn)(void *data), void *data)
{
	(void)vhu, (void)fd, (void)fn, (void)data;
	return 0;
}

void vhu_unwatch_fd(struct vhu *vhu, int fd)
{
	(void)vhu, (void)fd;
}

struct virtqueue *vhu_queue(struct vhu *vhu, unsigned int index)
{
	(void)vhu, (void)index;
	return &t.vq;
}

int vhu_pop(struct vhu *vhu, unsigned int index, struct virtq_chain *chain)
{
	(void)vhu, (void)index;
	return virtqueue_pop_chain(&t.vq, chain);
}

void vhu_push(struct vhu *vhu, unsigned int index, uint16_t head, uint32_t len)
{
	(void)vhu;
	CHECK(index == 0 && t.vq.ready && t.in_flight);
	t.in_flight--;
	virtqueue_push(&t.vq, head, len);
}

void vhu_queue_broken(struct vhu *vhu, unsigned int index, const char *why)
{
	(void)vhu, (void)index, (void)why;
	t.vq.broken = true;
}

static size_t map_find(uint64_t offset)
{
	size_t i = 0;

	while (i < t.num_maps && t.maps[i].offset != offset)
		i++;
	return i;
}

int vhu_shmem_map(struct vhu *vhu, uint8_t shmid, int fd, uint64_t fd_offset, uint64_t offset,
		  uint64_t len, bool writable)
{
	off_t end = lseek(fd, 0, SEEK_END);

	(void)vhu, (void)writable;
	CHECK(shmid == GPU_SHM_HOST_VISIBLE && !fd_offset && offset % 4096 == 0 && len &&
	      len % 4096 == 0 && offset <= WINDOW && len <= WINDOW - offset);
	CHECK(end > 0 && (uint64_t)end + 4095 >= len);
	for (size_t i = 0; i < t.num_maps; i++) {
		bool apart = t.maps[i].offset + t.maps[i].len <= offset ||
			     offset + len <= t.maps[i].offset;

		CHECK(apart || t.unmap_failed);
		if (!apart)
			return -EINVAL;
	}
	if (t.failing & FAIL_MAP || t.num_maps == MAX_MAPS)
		return -EINVAL;
	t.maps[t.num_maps].offset = offset;
	t.maps[t.num_maps++].len = len;
	return 0;
}

int vhu_shmem_unmap(struct vhu *vhu, uint8_t shmid, uint64_t offset, uint64_t len)
{
	size_t i = map_find(offset);

	(void)vhu;
	CHECK(shmid == GPU_SHM_HOST_VISIBLE && i < t.num_maps && t.maps[i].len == len);
	if (t.failing & FAIL_UNMAP) {
		t.unmap_failed = true;
		return -EINVAL;
	}
	t.maps[i] = t.maps[--t.num_maps];
	return 0;
}

/*
 * The driver's side. fake_driver.c's queue without its device.
 */
static void queue_start(void)
{
	struct fake_queue *q = &t.drv.queues[0];

	memset(fake_driver_ptr(&t.drv, q->avail, 6 + 2ull * q->size), 0, 6 + 2ull * q->size);
	memset(fake_driver_ptr(&t.drv, q->used, 6 + 8ull * q->size), 0, 6 + 8ull * q->size);
	q->avail_idx = q->used_seen = q->next_desc = 0;
	t.vq = (struct virtqueue){ .size = q->size, .max_size = 1024, .desc = q->desc,
				   .avail = q->avail, .used = q->used };
	CHECK(virtqueue_start(&t.vq, &t.drv.mem) == 0);
}

static void queue_stop(void)
{
	gpu_device_ops.queue_stop(&t.dev, NULL, 0);
	CHECK(!t.in_flight);
	virtqueue_stop(&t.vq);
}

static void settle(void)
{
	uint16_t head;
	uint32_t len;

	while (t.woken) {
		t.woken = false;
		gpu_device_ops.woken(&t.dev, NULL);
	}
	while (fake_driver_used(&t.drv, 0, &head, &len))
		;
	/* What is not back waits for a fence that the renderer still has. */
	CHECK(t.vq.broken || t.in_flight == t.num_fences);
}

static void command(const uint8_t *req, size_t len, size_t room)
{
	struct fake_buffer bufs[2] = { { t.req_gpa, (uint32_t)len, false },
				       { t.resp_gpa, (uint32_t)room, true } };

	/* A driver does not use a descriptor twice. */
	if (t.vq.broken || t.in_flight + 1 > FAKE_QUEUE_SIZE / 2 - 1 || !len)
		return;
	memcpy(fake_driver_ptr(&t.drv, t.req_gpa, len), req, len);
	t.drv.queues[0].next_desc %= t.drv.queues[0].size;
	fake_driver_add(&t.drv, 0, bufs, room ? 2 : 1);
	t.in_flight++;
	gpu_device_ops.queue_kick(&t.dev, NULL, 0);
	settle();
}

static const uint32_t types[] = {
	VIRTIO_GPU_CMD_CTX_CREATE, VIRTIO_GPU_CMD_CTX_DESTROY, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
	VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, VIRTIO_GPU_CMD_SUBMIT_3D,
	VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
	VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, VIRTIO_GPU_CMD_RESOURCE_UNREF,
	VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	VIRTIO_GPU_CMD_GET_CAPSET, VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
};

/* Whole commands: four bytes of input are a context, a resource, a page and flags. */
static void likely_command(uint8_t which, const uint8_t in[4])
{
	struct gpu_command cmd = { 0 };
	struct virtio_gpu_ctrl_hdr *hdr = &cmd.req.hdr;
	size_t len = sizeof(cmd.req);
	uint8_t req[sizeof(cmd.req) + 256];

	hdr->type = types[which % (sizeof(types) / sizeof(*types))];
	hdr->ctx_id = in[0] % 8;
	hdr->flags = in[3] % 4;
	hdr->ring_idx = in[3] / 4;
	switch (hdr->type) {
	case VIRTIO_GPU_CMD_CTX_CREATE:
		cmd.req.ctx_create.context_init = in[1] % 16 ? VIRTIO_GPU_CAPSET_VENUS : in[2];
		cmd.req.ctx_create.nlen = in[2] % 70;
		memset(cmd.req.ctx_create.debug_name, 'x', sizeof(cmd.req.ctx_create.debug_name));
		break;
	case VIRTIO_GPU_CMD_SUBMIT_3D:
		cmd.req.submit.size = in[1] % 65 * 4;
		len = sizeof(cmd.req.submit) + in[2] % 64 * 4;
		break;
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
		cmd.req.create_blob.resource_id = in[1] % 16;
		cmd.req.create_blob.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D;
		cmd.req.create_blob.blob_flags = in[2] % 8;
		cmd.req.create_blob.blob_id = in[3];
		cmd.req.create_blob.size = (uint64_t)in[2] << (in[3] % 64);
		break;
	case VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
		cmd.req.map_blob.resource_id = in[1] % 16;
		cmd.req.map_blob.offset = (uint64_t)in[2] << (in[3] % 64);
		break;
	case VIRTIO_GPU_CMD_GET_CAPSET:
		cmd.req.get_capset.capset_id = in[1] % 8;
		cmd.req.get_capset.capset_version = in[2] % 2;
		break;
	default:
		/* All others have the resource first. */
		cmd.req.unref.resource_id = in[1] % 16;
	}
	memset(req, in[1], sizeof(req));
	memcpy(req, &cmd.req, sizeof(cmd.req));
	command(req, len, 512);
}

static void fence_passes(uint8_t which)
{
	struct renderer_fence fence;
	size_t i, kept = 0;

	if (!t.num_fences)
		return;
	i = which % t.num_fences;
	fence = t.fences[i];
	for (size_t j = 0; j < t.num_fences; j++)
		if (t.fences[j].ctx != fence.ctx || t.fences[j].ring != fence.ring ||
		    t.fences[j].number > fence.number)
			t.fences[kept++] = t.fences[j];
	t.num_fences = kept;
	gpu_device_fence_passed(&t.dev, fence.ctx, fence.ring, fence.number);
	settle();
}

static void context_ends(uint8_t which)
{
	struct gpu_context *ctx = &t.dev.contexts.table[which % 8];

	if (!ctx->id || ctx->dead)
		return;
	t.dev.contexts.lost(ctx);
	settle();
}

/* One step; how much of the input it took. */
static size_t step(const uint8_t *data, size_t size)
{
	switch (data[0] % 16) {
	case 0:
		t.failing = size > 1 ? data[1] : 0;
		return 2;
	case 1:
		fence_passes(size > 1 ? data[1] : 0);
		return 2;
	case 2:
		context_ends(size > 1 ? data[1] : 0);
		return 2;
	case 3:
		queue_stop();
		queue_start();
		settle();
		return 1;
	case 4: {
		size_t len = size > 2 ? data[1] : 0;

		if (len > size - 3 || size < 3)
			len = size > 3 ? size - 3 : 0;
		command(data + 3 > data + size ? data : data + 3, len, size > 2 ? data[2] * 4u : 0);
		return 3 + len;
	}
	default:
		if (size >= 6)
			likely_command(data[1], data + 2);
		return 6;
	}
}

static void start(void)
{
	static bool started;

	if (!started) {
		log_init("fuzz", open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_FORMAT_TEXT,
			 LOG_LEVEL_ERROR);
		fake_driver_init(&t.drv);
		t.drv.queues[0] = (struct fake_queue){ .size = FAKE_QUEUE_SIZE };
		t.drv.queues[0].desc = fake_driver_alloc(&t.drv, 16 * FAKE_QUEUE_SIZE);
		t.drv.queues[0].avail = fake_driver_alloc(&t.drv, 6 + 2 * FAKE_QUEUE_SIZE);
		t.drv.queues[0].used = fake_driver_alloc(&t.drv, 6 + 8 * FAKE_QUEUE_SIZE);
		t.req_gpa = fake_driver_alloc(&t.drv, REQUEST_ROOM);
		t.resp_gpa = fake_driver_alloc(&t.drv, 4096);
		started = true;
	}
	t.failing = 0;
	t.woken = t.unmap_failed = false;
	t.num_maps = 0;
	gpu_device_init(&t.dev, WINDOW, MAX_BYTES);
	CHECK(gpu_device_load_capset(&t.dev, NULL) == 0);
	queue_start();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	while (size) {
		size_t took = step(data, size);

		if (took >= size)
			break;
		data += took;
		size -= took;
	}
	t.failing = 0;
	queue_stop();
	settle();
	/* The guest is gone: nothing it made is left. */
	CHECK((!t.num_maps || t.unmap_failed) && !t.num_fences && !t.dev.resources.count && !t.dev.resources.bytes);
	gpu_contexts_destroy_all(&t.dev.contexts);
	gpu_device_release(&t.dev);
	memset(&t.dev, 0, sizeof(t.dev));
	return 0;
}
