/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "vmm/workers/gpu_renderer.h"

#define MAX_FENCES 256
#define MAX_BLOBS 1024

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                               \
		}                                                              \
	} while (0)

static struct fake {
	FILE *log;
	uint32_t wire_format;
	void (*retired)(void *data, uint32_t ctx, uint32_t ring, uint64_t fence);
	void *data;
	pthread_t thread;
	pthread_mutex_t lock; /* of the fences */
	pthread_cond_t changed;
	struct fake_fence {
		uint32_t ctx, ring;
		uint64_t number;
	} fences[MAX_FENCES];
	size_t num_fences;
	bool ending;
	uint64_t contexts; /* a bit for each id below 64 */
	struct fake_blob {
		uint32_t id; /* 0: free */
		int fd;
	} blobs[MAX_BLOBS];
} fake = { .wire_format = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* The oldest fence passes after a while, as if the GPU had been at work. */
static void *fence_main(void *unused)
{
	const struct timespec work = { 0, 200000 };
	struct fake_fence fence;

	(void)unused;
	pthread_mutex_lock(&fake.lock);
	while (!fake.ending) {
		if (!fake.num_fences) {
			pthread_cond_wait(&fake.changed, &fake.lock);
			continue;
		}
		fence = fake.fences[0];
		memmove(fake.fences, fake.fences + 1, --fake.num_fences * sizeof(fence));
		pthread_mutex_unlock(&fake.lock);
		nanosleep(&work, NULL);
		fake.retired(fake.data, fence.ctx, fence.ring, fence.number);
		pthread_mutex_lock(&fake.lock);
	}
	pthread_mutex_unlock(&fake.lock);
	return NULL;
}

void fake_renderer_init(FILE *log, void (*retired)(void *data, uint32_t ctx, uint32_t ring,
						   uint64_t fence), void *data)
{
	fake.log = log;
	fake.retired = retired;
	fake.data = data;
	CHECK(!pthread_create(&fake.thread, NULL, fence_main, NULL));
}

void fake_renderer_speak(uint32_t wire_format)
{
	fake.wire_format = wire_format;
}

void fake_renderer_finish(void)
{
	pthread_mutex_lock(&fake.lock);
	fake.ending = true;
	pthread_cond_signal(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
	pthread_join(fake.thread, NULL);
	CHECK(!fake.contexts);
	for (size_t i = 0; i < MAX_BLOBS; i++)
		CHECK(!fake.blobs[i].id);
	CHECK(!fclose(fake.log));
}

static struct fake_blob *blob_find(uint32_t id)
{
	for (size_t i = 0; i < MAX_BLOBS; i++)
		if (fake.blobs[i].id == id)
			return &fake.blobs[i];
	return NULL;
}

static bool context_is(uint32_t id)
{
	return id && id < 64 && fake.contexts & 1ull << id;
}

size_t gpu_renderer_capset(uint32_t *version, void *buf, size_t size)
{
	*version = 0;
	if (buf && size >= 160) {
		memset(buf, 1, 160);
		memcpy(buf, &fake.wire_format, sizeof(fake.wire_format));
	}
	return 160;
}

int gpu_renderer_context_create(struct gpu_renderer_context *ctx, uint32_t id, const char *name,
				uint32_t name_len)
{
	CHECK(id && id < 64 && !context_is(id));
	fake.contexts |= 1ull << id;
	fprintf(fake.log, "context %u %.*s\n", id, (int)name_len, name);
	*ctx = (struct gpu_renderer_context){ id, -1 };
	return 0;
}

void gpu_renderer_context_destroy(struct gpu_renderer_context *ctx)
{
	size_t kept = 0;

	CHECK(context_is(ctx->id));
	fake.contexts &= ~(1ull << ctx->id);
	fprintf(fake.log, "end of context %u\n", ctx->id);
	pthread_mutex_lock(&fake.lock);
	for (size_t i = 0; i < fake.num_fences; i++)
		if (fake.fences[i].ctx != ctx->id)
			fake.fences[kept++] = fake.fences[i];
	fake.num_fences = kept;
	pthread_mutex_unlock(&fake.lock);
}

int gpu_renderer_submit(struct gpu_renderer_context *ctx, void *cmd, size_t size)
{
	uint32_t sum = 2166136261u; /* FNV-1a */

	CHECK(context_is(ctx->id) && size && size % 4 == 0 && (uintptr_t)cmd % 8 == 0);
	for (size_t i = 0; i < size; i++)
		sum = (sum ^ ((const uint8_t *)cmd)[i]) * 16777619u;
	fprintf(fake.log, "submit %u: %zu bytes, %08x\n", ctx->id, size, sum);
	return *(const uint32_t *)cmd == FAKE_RENDERER_FAILS ? -EIO : 0;
}

int gpu_renderer_fence(struct gpu_renderer_context *ctx, uint32_t ring, uint64_t number)
{
	CHECK(context_is(ctx->id) && ring < 64);
	fprintf(fake.log, "fence %u on ring %u\n", ctx->id, ring);
	pthread_mutex_lock(&fake.lock);
	CHECK(fake.num_fences < MAX_FENCES);
	fake.fences[fake.num_fences++] = (struct fake_fence){ ctx->id, ring, number };
	pthread_cond_signal(&fake.changed);
	pthread_mutex_unlock(&fake.lock);
	return 0;
}

int gpu_renderer_blob_create(struct gpu_renderer_context *ctx, uint32_t res, uint64_t blob_id,
			     uint64_t size, uint32_t flags)
{
	struct fake_blob *blob = blob_find(0);

	CHECK(context_is(ctx->id) && res && !blob_find(res) && blob);
	fprintf(fake.log, "blob %u of %u: object %llu, %llu bytes, flags %u\n", res, ctx->id,
		(unsigned long long)blob_id, (unsigned long long)size, flags);
	if (blob_id == FAKE_RENDERER_FAILS || blob_id == FAKE_RENDERER_NO_MEMORY)
		return blob_id == FAKE_RENDERER_FAILS ? -EIO : -ENOMEM;
	*blob = (struct fake_blob){ res, memfd_create("blob", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	CHECK(blob->fd >= 0 && !ftruncate(blob->fd, (off_t)size));
	return 0;
}

void gpu_renderer_attach(struct gpu_renderer_context *ctx, uint32_t res)
{
	CHECK(context_is(ctx->id) && blob_find(res));
	fprintf(fake.log, "attach %u to %u\n", res, ctx->id);
}

void gpu_renderer_detach(struct gpu_renderer_context *ctx, uint32_t res)
{
	CHECK(context_is(ctx->id) && blob_find(res));
	fprintf(fake.log, "detach %u from %u\n", res, ctx->id);
}

int gpu_renderer_export(uint32_t res, enum gpu_fd_type *type)
{
	const struct fake_blob *blob = blob_find(res);

	CHECK(res && blob);
	*type = GPU_FD_SHM;
	return fcntl(blob->fd, F_DUPFD_CLOEXEC, 0);
}

uint32_t gpu_renderer_map_info(uint32_t res)
{
	CHECK(res && blob_find(res));
	return VIRTIO_GPU_MAP_CACHE_CACHED;
}

void gpu_renderer_unref(uint32_t res)
{
	struct fake_blob *blob = blob_find(res);

	CHECK(res && blob);
	fprintf(fake.log, "end of blob %u\n", res);
	close(blob->fd);
	blob->id = 0;
}
