/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Each message of the protocol becomes the commands that a guest's kernel would have given for the
 * same request of the same driver, in the same order: a blob is created, attached and mapped; a
 * submission is posted and not waited for, except for its fence. What the worker refuses fails as it
 * would in a guest; a protocol error hangs up on the application.
 */
#include "vtest_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "vtest_front.h"
#include "vtest_proto.h"
#include "vtest_sync.h"

#define BODY_MAX (16u << 20)
#define PAGE 4096u
#define MAX_RINGS 64

struct blob {
	struct blob *next;
	uint32_t id;
	uint64_t offset; /* of its mapping */
};

struct client {
	struct vtest_front *fe;
	int sock;
	uint32_t ctx; /* 0 until VTEST_CONTEXT_INIT */
	char name[64];
	struct blob *blobs;
	struct vtest_syncs syncs;
	pthread_mutex_t lock; /* of outstanding */
	pthread_cond_t answered;
	unsigned int outstanding; /* submissions without an answer */
	uint32_t *body;		  /* of the message, body_words long */
	size_t body_words, body_room;
};

/* A submission on its way. */
struct submission {
	struct client *client;
	size_t count;
	struct vtest_point points[];
};

static int read_all(int sock, void *buf, size_t len)
{
	uint8_t *at = buf;

	while (len) {
		ssize_t n = read(sock, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int answer(struct client *c, uint32_t command, const void *words, uint32_t count)
{
	uint32_t msg[2 + 512] = { count, command };
	const size_t len = (2 + (size_t)count) * 4;

	if (count > 512)
		return -1;
	memcpy(msg + 2, words, (size_t)count * 4);
	return send(c->sock, msg, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static int answer_fd(struct client *c, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char dummy = 0;
	struct iovec iov = { &dummy, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	n = sendmsg(c->sock, &msg, MSG_NOSIGNAL);
	close(fd);
	return n == 1 ? 0 : -1;
}

static uint64_t body_u64(const struct client *c, size_t word)
{
	return c->body[word] | (uint64_t)c->body[word + 1] << 32;
}

static int on_ping(struct client *c)
{
	return answer(c, VTEST_PING_VERSION, NULL, 0);
}

static int on_busy_wait(struct client *c)
{
	const uint32_t busy = 0;

	return answer(c, VTEST_BUSY_WAIT, &busy, 1);
}

static int on_version(struct client *c)
{
	const uint32_t version = c->body[0] < VTEST_VERSION ? c->body[0] : VTEST_VERSION;

	return answer(c, VTEST_VERSION_QUERY, &version, 1);
}

static int on_get_param(struct client *c)
{
	const bool known = c->body[0] == VTEST_PARAM_MAX_TIMELINES;
	const uint32_t value[2] = { known, known ? MAX_RINGS : 0 };

	return answer(c, VTEST_GET_PARAM, value, 2);
}

static int on_get_capset(struct client *c)
{
	const struct virtio_gpu_get_capset_info info_req = {
		.hdr.type = VIRTIO_GPU_CMD_GET_CAPSET_INFO,
	};
	const struct virtio_gpu_get_capset req = { .hdr.type = VIRTIO_GPU_CMD_GET_CAPSET,
						   .capset_id = c->body[0],
						   .capset_version = c->body[1] };
	struct virtio_gpu_resp_capset_info info;
	uint8_t resp[sizeof(struct virtio_gpu_ctrl_hdr) + 1024];
	uint32_t words[1 + 256] = { 0 };

	if (vtest_front_command(c->fe, &info_req, sizeof(info_req), &info, sizeof(info)) !=
		    VIRTIO_GPU_RESP_OK_CAPSET_INFO ||
	    info.capset_id != c->body[0] || info.capset_max_size > 1024 ||
	    vtest_front_command(c->fe, &req, sizeof(req), resp, sizeof(resp)) !=
		    VIRTIO_GPU_RESP_OK_CAPSET)
		return answer(c, VTEST_GET_CAPSET, words, 1);
	words[0] = 1;
	memcpy(words + 1, resp + sizeof(struct virtio_gpu_ctrl_hdr), info.capset_max_size);
	return answer(c, VTEST_GET_CAPSET, words, 1 + (info.capset_max_size + 3) / 4);
}

static int on_context_init(struct client *c)
{
	struct virtio_gpu_ctx_create req = { .hdr.type = VIRTIO_GPU_CMD_CTX_CREATE,
					     .context_init = c->body[0] };

	if (c->ctx)
		return -1;
	req.nlen = (uint32_t)strlen(c->name);
	memcpy(req.debug_name, c->name, req.nlen);
	c->ctx = vtest_front_new_context(c->fe);
	if (!c->ctx)
		return -1;
	req.hdr.ctx_id = c->ctx;
	if (vtest_front_command(c->fe, &req, sizeof(req), NULL, 0) == VIRTIO_GPU_RESP_OK_NODATA)
		return 0;
	vtest_front_free_context(c->fe, c->ctx);
	c->ctx = 0;
	return -1;
}

/* A command that names a resource and a context; they all have the same shape. */
static uint32_t resource_command(struct client *c, uint32_t type, uint32_t id)
{
	const struct virtio_gpu_ctx_resource req = { .hdr = { .type = type, .ctx_id = c->ctx },
						     .resource_id = id };

	return vtest_front_command(c->fe, &req, sizeof(req), NULL, 0);
}

static int blob_map(struct client *c, struct blob *blob, uint64_t size)
{
	struct virtio_gpu_resource_map_blob req = { .hdr.type = VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB,
						    .resource_id = blob->id };
	const uint64_t len = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (len < size || !vtest_front_reserve(c->fe, len, &blob->offset))
		return -1;
	req.offset = blob->offset;
	if (vtest_front_command(c->fe, &req, sizeof(req), NULL, 0) == VIRTIO_GPU_RESP_OK_MAP_INFO)
		return 0;
	vtest_front_unreserve(c->fe, blob->offset);
	return -1;
}

/* As a guest's kernel: unmapped first, detached, and then given up. */
static void blob_destroy(struct client *c, struct blob **at)
{
	struct blob *blob = *at;

	resource_command(c, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, blob->id);
	resource_command(c, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, blob->id);
	resource_command(c, VIRTIO_GPU_CMD_RESOURCE_UNREF, blob->id);
	vtest_front_unreserve(c->fe, blob->offset);
	*at = blob->next;
	free(blob);
}

/* As in a guest: the blob is there, but mapping it fails. (Mesa's driver would not end when hung up
 * on, but read for ever.) */
static int refuse_blob(struct client *c, struct blob *blob)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint32_t id = blob->id;

	free(blob);
	if (fd < 0 || answer(c, VTEST_CREATE_BLOB, &id, 1) < 0)
		return -1;
	return answer_fd(c, fd);
}

static int on_create_blob(struct client *c)
{
	struct virtio_gpu_resource_create_blob req = {
		.hdr = { .type = VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, .ctx_id = c->ctx },
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = c->body[1],
		.size = body_u64(c, 2),
		.blob_id = body_u64(c, 4),
	};
	struct blob *blob;
	int fd;

	if (c->body[0] != VTEST_BLOB_TYPE_HOST3D)
		return -1;
	blob = calloc(1, sizeof(*blob));
	if (!blob)
		return -1;
	blob->id = req.resource_id = vtest_front_new_resource(c->fe);
	if (vtest_front_command(c->fe, &req, sizeof(req), NULL, 0) != VIRTIO_GPU_RESP_OK_NODATA)
		return refuse_blob(c, blob);
	resource_command(c, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, blob->id);
	if (blob_map(c, blob, req.size) < 0) {
		resource_command(c, VIRTIO_GPU_CMD_RESOURCE_UNREF, blob->id);
		return refuse_blob(c, blob);
	}
	blob->next = c->blobs;
	c->blobs = blob;
	fd = vtest_front_mapped_fd(c->fe, blob->offset);
	if (fd < 0 || answer(c, VTEST_CREATE_BLOB, &blob->id, 1) < 0)
		return -1;
	return answer_fd(c, fd);
}

static int on_resource_unref(struct client *c)
{
	struct blob **at;

	for (at = &c->blobs; *at && (*at)->id != c->body[0]; at = &(*at)->next)
		;
	if (*at)
		blob_destroy(c, at);
	return 0; /* one that was refused is not there */
}

static int on_sync_create(struct client *c)
{
	const uint32_t id = vtest_sync_create(&c->syncs, body_u64(c, 0));

	return id ? answer(c, VTEST_SYNC_CREATE, &id, 1) : -1;
}

static int on_sync_unref(struct client *c)
{
	vtest_sync_unref(&c->syncs, c->body[0]);
	return 0;
}

static int on_sync_read(struct client *c)
{
	const uint64_t value = vtest_sync_read(&c->syncs, c->body[0]);

	return answer(c, VTEST_SYNC_READ, &value, 2);
}

static int on_sync_write(struct client *c)
{
	vtest_sync_write(&c->syncs, c->body[0], body_u64(c, 1));
	return 0;
}

static void read_points(struct client *c, size_t word, struct vtest_point *points, size_t count)
{
	for (size_t i = 0; i < count; i++, word += 3)
		points[i] = (struct vtest_point){
			c->body[word], vtest_sync_generation(&c->syncs, c->body[word]),
			body_u64(c, word + 1)
		};
}

static int on_sync_wait(struct client *c)
{
	size_t count = (c->body_words - 2) / 3;
	struct vtest_point *points;
	int fd;

	if (c->body_words != 2 + 3 * count)
		return -1;
	points = calloc(count + 1, sizeof(*points));
	if (!points)
		return -1;
	read_points(c, 2, points, count);
	fd = vtest_sync_wait(&c->syncs, points, count, c->body[0] & VTEST_WAIT_ANY, c->body[1]);
	free(points);
	if (fd < 0 || answer(c, VTEST_SYNC_WAIT, NULL, 0) < 0)
		return -1;
	return answer_fd(c, fd);
}

static void submission_done(void *data, const void *resp, uint32_t len)
{
	struct submission *sub = data;
	struct client *c = sub->client;

	(void)len;
	if (resp && ((const struct virtio_gpu_ctrl_hdr *)resp)->type != VIRTIO_GPU_RESP_OK_NODATA)
		log_warning("%s: a submission was refused", c->name);
	vtest_sync_reach(&c->syncs, sub->points, sub->count);
	free(sub);
	pthread_mutex_lock(&c->lock);
	c->outstanding--;
	pthread_cond_signal(&c->answered);
	pthread_mutex_unlock(&c->lock);
}

static bool in_body(const struct client *c, uint32_t offset, uint64_t size)
{
	return offset <= c->body_words && size <= c->body_words - offset;
}

static int submit_batch(struct client *c, const struct vtest_batch *b)
{
	struct virtio_gpu_cmd_submit req = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = c->ctx },
		.size = b->cmd_size * 4,
	};
	struct submission *sub;

	if (!in_body(c, b->cmd_offset, b->cmd_size) ||
	    !in_body(c, b->sync_offset, 3ull * b->sync_count) ||
	    b->cmd_size > (VTEST_COMMAND_MAX - sizeof(req)) / 4)
		return -1;
	sub = calloc(1, sizeof(*sub) + b->sync_count * sizeof(sub->points[0]));
	if (!sub)
		return -1;
	sub->client = c;
	sub->count = b->sync_count;
	read_points(c, b->sync_offset, sub->points, b->sync_count);
	if (b->sync_count) {
		req.hdr.flags = VIRTIO_GPU_FLAG_FENCE;
		if (b->flags & VTEST_BATCH_RING_IDX) {
			req.hdr.flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
			req.hdr.ring_idx = (uint8_t)b->ring_idx;
		}
	}
	pthread_mutex_lock(&c->lock);
	c->outstanding++;
	pthread_mutex_unlock(&c->lock);
	vtest_front_post(c->fe, &req, sizeof(req), c->body + b->cmd_offset, req.size,
			 submission_done, sub);
	return 0;
}

static int on_submit(struct client *c)
{
	const uint64_t words = sizeof(struct vtest_batch) / 4;

	if (!in_body(c, 1, c->body[0] * words))
		return -1;
	for (uint32_t i = 0; i < c->body[0]; i++) {
		struct vtest_batch batch;

		memcpy(&batch, c->body + 1 + i * words, sizeof(batch));
		if (submit_batch(c, &batch) < 0)
			return -1;
	}
	return 0;
}

static const struct {
	int (*fn)(struct client *c);
	uint32_t words; /* of the body, at least */
	bool needs_context;
} handlers[] = {
	[VTEST_RESOURCE_UNREF] = { on_resource_unref, 1, true },
	[VTEST_BUSY_WAIT] = { on_busy_wait, 2, false },
	[VTEST_PING_VERSION] = { on_ping, 0, false },
	[VTEST_VERSION_QUERY] = { on_version, 1, false },
	[VTEST_GET_PARAM] = { on_get_param, 1, false },
	[VTEST_GET_CAPSET] = { on_get_capset, 2, false },
	[VTEST_CONTEXT_INIT] = { on_context_init, 1, false },
	[VTEST_CREATE_BLOB] = { on_create_blob, 6, true },
	[VTEST_SYNC_CREATE] = { on_sync_create, 2, false },
	[VTEST_SYNC_UNREF] = { on_sync_unref, 1, false },
	[VTEST_SYNC_READ] = { on_sync_read, 1, false },
	[VTEST_SYNC_WRITE] = { on_sync_write, 3, false },
	[VTEST_SYNC_WAIT] = { on_sync_wait, 2, false },
	[VTEST_SUBMIT] = { on_submit, 1, true },
};

_Static_assert(sizeof(handlers) / sizeof(handlers[0]) == VTEST_MESSAGES, "counters and messages");

static int read_name(struct client *c, uint32_t len)
{
	char text[4096];

	if (!len || len > sizeof(text) || read_all(c->sock, text, len) < 0)
		return -1;
	text[len - 1] = 0;
	memcpy(c->name, text, len < sizeof(c->name) ? len : sizeof(c->name) - 1);
	return 0;
}

static int read_body(struct client *c, uint32_t words)
{
	if (words > BODY_MAX / 4)
		return -1;
	if (words > c->body_room) {
		uint32_t *grown = reallocarray(c->body, words, 4);

		if (!grown)
			return -1;
		c->body = grown;
		c->body_room = words;
	}
	c->body_words = words;
	return read_all(c->sock, c->body, (size_t)words * 4);
}

/* 0, or -1 at the end of the connection, or when it has to end. */
static int serve_one(struct client *c)
{
	uint32_t hdr[2];

	if (read_all(c->sock, hdr, sizeof(hdr)) < 0)
		return -1;
	if (hdr[1] == VTEST_CREATE_RENDERER)
		return read_name(c, hdr[0]);
	if (hdr[1] >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[hdr[1]].fn ||
	    hdr[0] < handlers[hdr[1]].words || (handlers[hdr[1]].needs_context && !c->ctx) ||
	    read_body(c, hdr[0]) < 0 || handlers[hdr[1]].fn(c) < 0) {
		log_error("%s: command %u failed: hanging up", c->name, hdr[1]);
		return -1;
	}
	__atomic_add_fetch(&c->fe->messages[hdr[1]], 1, __ATOMIC_RELAXED);
	return 0;
}

static void context_end(struct client *c)
{
	const struct virtio_gpu_ctx_destroy req = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = c->ctx },
	};

	while (c->blobs)
		blob_destroy(c, &c->blobs);
	vtest_front_command(c->fe, &req, sizeof(req), NULL, 0);
	/* Destroying a context answers its fences. */
	pthread_mutex_lock(&c->lock);
	while (c->outstanding)
		pthread_cond_wait(&c->answered, &c->lock);
	pthread_mutex_unlock(&c->lock);
	vtest_front_free_context(c->fe, c->ctx);
}

void vtest_client_serve(struct vtest_front *fe, int sock)
{
	struct client c = { .fe = fe, .sock = sock, .name = "venus" };

	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.answered, NULL);
	vtest_syncs_init(&c.syncs);
	while (serve_one(&c) == 0)
		;
	/* What the application waits for ends with this. */
	shutdown(sock, SHUT_RDWR);
	if (c.ctx)
		context_end(&c);
	vtest_syncs_release(&c.syncs);
	close(sock);
	free(c.body);
}
