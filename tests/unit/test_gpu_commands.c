/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each command of the GPU's control queue is answered when its ids, offsets, counts or sizes are
 * wrong, or when it comes too early, too late or twice. The renderer is none (fake_renderer.c), and
 * ends the worker when it is asked what it must not be asked.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "fake_renderer.h"
#include "gpu_frontend.h"
#include "unit.h"
#include "vmm/workers/gpu_device.h"

#define PAGE 4096u
#define MAX_BYTES (1ull << 20)
#define WINDOW GPU_FRONTEND_WINDOW
#define BEFORE_MAX 5

struct submission {
	struct virtio_gpu_cmd_submit cmd;
	uint32_t words[4];
};

union request {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_get_capset_info get_capset_info;
	struct virtio_gpu_get_capset get_capset;
	struct virtio_gpu_resource_unref unref;
	struct virtio_gpu_resource_assign_uuid assign_uuid;
	struct virtio_gpu_resource_create_blob create_blob;
	struct virtio_gpu_ctx_create ctx_create;
	struct virtio_gpu_ctx_destroy ctx_destroy;
	struct virtio_gpu_ctx_resource ctx_resource;
	struct submission submit;
	struct virtio_gpu_resource_map_blob map_blob;
	struct virtio_gpu_resource_unmap_blob unmap_blob;
};

static struct gpu_frontend fe;
static pid_t worker_pid;

static uint32_t run(const union request *req, size_t len)
{
	return gpu_frontend_command(&fe, req, len, sizeof(struct virtio_gpu_ctrl_hdr) + GPU_CAPSET_MAX,
				    NULL, NULL);
}

#define SIZE(member) sizeof(((union request *)NULL)->member)
/* A request: the union's @member, of the command @command in the context @ctx. */
#define REQ(member, command, ctx, ...) \
	{ .member = { .hdr = { .type = VIRTIO_GPU_CMD_##command, .ctx_id = (ctx) }, ##__VA_ARGS__ } }
#define SUBMIT(ctx, bytes, first, ...)                                                        \
	{ .submit = { .cmd = { .hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = (ctx), ##__VA_ARGS__ }, \
			       .size = (bytes) }, .words = { first } } }
#define BLOB_OF(ctx, id, mem, flag_bits, bytes, ...)                                         \
	REQ(create_blob, RESOURCE_CREATE_BLOB, ctx, .resource_id = (id), .blob_mem = (mem), \
	    .blob_flags = (flag_bits), .size = (bytes), ##__VA_ARGS__)
#define BLOB(ctx, id, ...)                                                                   \
	BLOB_OF(ctx, id, VIRTIO_GPU_BLOB_MEM_HOST3D, VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE, PAGE, \
		##__VA_ARGS__)

/* What goes before: context 1 and resource 2, which it made, if not otherwise said. */
static void good(const union request *req, size_t len)
{
	const uint32_t type = run(req, len);

	if (type < VIRTIO_GPU_RESP_OK_NODATA || type >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		fail_msg("command %#x: %#x", req->hdr.type, type);
}

static void context(void)
{
	const union request req = REQ(ctx_create, CTX_CREATE, 1, .context_init = 4);

	good(&req, SIZE(ctx_create));
}

static void context_3(void)
{
	const union request req = REQ(ctx_create, CTX_CREATE, 3, .context_init = 4);

	good(&req, SIZE(ctx_create));
}

static void context_end(void)
{
	const union request req = REQ(ctx_destroy, CTX_DESTROY, 1);

	good(&req, SIZE(ctx_destroy));
}

static void context_fails(void)
{
	const union request req = SUBMIT(1, 4, FAKE_RENDERER_FAILS);

	assert_int_equal(run(&req, SIZE(submit)), VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void blob(void)
{
	const union request req = BLOB(1, 2);

	good(&req, SIZE(create_blob));
}

static void blob_4(void)
{
	const union request req = BLOB(1, 4);

	good(&req, SIZE(create_blob));
}

static void map(void)
{
	const union request req = REQ(map_blob, RESOURCE_MAP_BLOB, 0, .resource_id = 2,
				      .offset = PAGE);

	good(&req, SIZE(map_blob));
}

static void unmap(void)
{
	const union request req = REQ(unmap_blob, RESOURCE_UNMAP_BLOB, 0, .resource_id = 2);

	good(&req, SIZE(unmap_blob));
}

static void detach(void)
{
	const union request req = REQ(ctx_resource, CTX_DETACH_RESOURCE, 1, .resource_id = 2);

	good(&req, SIZE(ctx_resource));
}

static void unref(void)
{
	const union request req = REQ(unref, RESOURCE_UNREF, 0, .resource_id = 2);

	good(&req, SIZE(unref));
}

#define OK VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define BAD_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define BAD_CONTEXT VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define BAD_PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define FENCE VIRTIO_GPU_FLAG_FENCE
#define RING (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX)

#define CAPSET_INFO(...) REQ(get_capset_info, GET_CAPSET_INFO, 0, ##__VA_ARGS__), SIZE(get_capset_info)
#define CAPSET(...) REQ(get_capset, GET_CAPSET, 0, ##__VA_ARGS__), SIZE(get_capset)
#define CREATE(ctx, ...) REQ(ctx_create, CTX_CREATE, ctx, ##__VA_ARGS__), SIZE(ctx_create)
#define DESTROY(ctx) REQ(ctx_destroy, CTX_DESTROY, ctx), SIZE(ctx_destroy)
#define ATTACH(ctx, id) \
	REQ(ctx_resource, CTX_ATTACH_RESOURCE, ctx, .resource_id = (id)), SIZE(ctx_resource)
#define DETACH(ctx, id) \
	REQ(ctx_resource, CTX_DETACH_RESOURCE, ctx, .resource_id = (id)), SIZE(ctx_resource)
#define SUBMITTED(ctx, bytes, ...) SUBMIT(ctx, bytes, 1, ##__VA_ARGS__), SIZE(submit)
#define MAP(id, at) \
	REQ(map_blob, RESOURCE_MAP_BLOB, 0, .resource_id = (id), .offset = (at)), SIZE(map_blob)
#define UNMAP(id) \
	REQ(unmap_blob, RESOURCE_UNMAP_BLOB, 0, .resource_id = (id)), SIZE(unmap_blob)
#define UNREF(id) REQ(unref, RESOURCE_UNREF, 0, .resource_id = (id)), SIZE(unref)
#define UUID(id) \
	REQ(assign_uuid, RESOURCE_ASSIGN_UUID, 0, .resource_id = (id)), SIZE(assign_uuid)
#define MADE(ctx, id, ...) BLOB(ctx, id, ##__VA_ARGS__), SIZE(create_blob)
/* Resource 2 of context 1. */
#define KIND(mem, flag_bits) BLOB_OF(1, 2, mem, flag_bits, PAGE), SIZE(create_blob)
#define SIZED(bytes) \
	BLOB_OF(1, 2, VIRTIO_GPU_BLOB_MEM_HOST3D, VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE, bytes), \
		SIZE(create_blob)

static const struct row {
	const char *name;
	void (*before[BEFORE_MAX])(void);
	union request req;
	size_t len;
	uint32_t expected;
} rows[] = {
	{ "display info", { NULL }, REQ(get_capset_info, GET_DISPLAY_INFO, 0), SIZE(hdr),
	  VIRTIO_GPU_RESP_OK_DISPLAY_INFO },
	{ "display info, torn", { NULL }, REQ(get_capset_info, GET_DISPLAY_INFO, 0), SIZE(hdr) - 1,
	  UNSPEC },

	{ "capset info", { NULL }, CAPSET_INFO(), VIRTIO_GPU_RESP_OK_CAPSET_INFO },
	{ "capset info of a second one", { NULL }, CAPSET_INFO(.capset_index = 1), BAD_PARAMETER },
	{ "capset info of the last", { NULL }, CAPSET_INFO(.capset_index = UINT32_MAX), BAD_PARAMETER },
	{ "capset", { NULL }, CAPSET(.capset_id = 4), VIRTIO_GPU_RESP_OK_CAPSET },
	{ "capset 0", { NULL }, CAPSET(.capset_id = 0), BAD_PARAMETER },
	{ "capset of OpenGL", { NULL }, CAPSET(.capset_id = 1), BAD_PARAMETER },
	{ "capset of a later version", { NULL }, CAPSET(.capset_id = 4, .capset_version = 1),
	  BAD_PARAMETER },

	{ "context", { NULL }, CREATE(1, .context_init = 4), OK },
	{ "context 0", { NULL }, CREATE(0, .context_init = 4), BAD_CONTEXT },
	{ "context twice", { context }, CREATE(1, .context_init = 4), BAD_CONTEXT },
	{ "context over a failed one", { context, context_fails }, CREATE(1, .context_init = 4),
	  BAD_CONTEXT },
	{ "context after its end", { context, context_end }, CREATE(1, .context_init = 4), OK },
	{ "context of OpenGL", { NULL }, CREATE(1, .context_init = 1), BAD_PARAMETER },
	{ "context without a kind", { NULL }, CREATE(1), BAD_PARAMETER },
	{ "context with bits beside", { NULL }, CREATE(1, .context_init = 0x104), BAD_PARAMETER },
	{ "context, the longest name", { NULL }, CREATE(1, .context_init = 4, .nlen = 64), OK },
	{ "context, a longer name", { NULL }, CREATE(1, .context_init = 4, .nlen = 65), BAD_PARAMETER },
	{ "context, any length", { NULL }, CREATE(1, .context_init = 4, .nlen = UINT32_MAX),
	  BAD_PARAMETER },

	{ "end of context 0", { NULL }, DESTROY(0), BAD_CONTEXT },
	{ "end of no context", { context }, DESTROY(2), BAD_CONTEXT },
	{ "end of a context twice", { context, context_end }, DESTROY(1), BAD_CONTEXT },
	{ "end of a failed context", { context, context_fails }, DESTROY(1), OK },
	{ "end of a context before its blob's", { context, blob, map }, DESTROY(1), OK },

	{ "attach where it is", { context, blob }, ATTACH(1, 2), OK },
	{ "attach to no context", { context, blob }, ATTACH(3, 2), BAD_CONTEXT },
	{ "attach to context 0", { context, blob }, ATTACH(0, 2), BAD_CONTEXT },
	{ "attach nothing", { context }, ATTACH(1, 2), BAD_RESOURCE },
	{ "attach resource 0", { context }, ATTACH(1, 0), BAD_RESOURCE },
	{ "attach to another context", { context, blob, context_3 }, ATTACH(3, 2), BAD_PARAMETER },
	{ "attach again", { context, blob, detach }, ATTACH(1, 2), BAD_PARAMETER },
	{ "attach after unref", { context, blob, unref }, ATTACH(1, 2), BAD_RESOURCE },
	{ "attach after the context", { context, blob, context_end }, ATTACH(1, 2), BAD_CONTEXT },
	{ "attach to a successor", { context, blob, context_end, context }, ATTACH(1, 2),
	  BAD_PARAMETER },
	{ "attach to a failed context", { context, blob, context_fails }, ATTACH(1, 2), OK },

	{ "detach from no context", { context, blob }, DETACH(3, 2), BAD_CONTEXT },
	{ "detach nothing", { context }, DETACH(1, 2), BAD_RESOURCE },
	{ "detach before attach", { context, blob, context_3 }, DETACH(3, 2), OK },
	{ "detach twice", { context, blob, detach }, DETACH(1, 2), OK },
	{ "detach after unref", { context, blob, unref }, DETACH(1, 2), BAD_RESOURCE },
	{ "detach after the context", { context, blob, context_end }, DETACH(1, 2), BAD_CONTEXT },
	{ "detach from a failed context", { context, blob, context_fails }, DETACH(1, 2), OK },

	{ "submit", { context }, SUBMITTED(1, 16), OK },
	{ "submit nothing", { context }, SUBMITTED(1, 0), OK },
	{ "submit to no context", { context }, SUBMITTED(2, 16), BAD_CONTEXT },
	{ "submit to context 0", { context }, SUBMITTED(0, 16), BAD_CONTEXT },
	{ "submit half a word", { context }, SUBMITTED(1, 2), BAD_PARAMETER },
	{ "submit a byte too many", { context }, SUBMITTED(1, 5), BAD_PARAMETER },
	{ "submit more than there is", { context }, SUBMITTED(1, 20), BAD_PARAMETER },
	{ "submit more than is taken", { context }, SUBMITTED(1, GPU_SUBMIT_MAX + 4), BAD_PARAMETER },
	{ "submit all there could be", { context }, SUBMITTED(1, 0xfffffffc), BAD_PARAMETER },
	{ "submit what fails", { context }, SUBMIT(1, 4, FAKE_RENDERER_FAILS), SIZE(submit), UNSPEC },
	{ "submit to a failed context", { context, context_fails }, SUBMITTED(1, 16), UNSPEC },
	{ "submit after the context", { context, context_end }, SUBMITTED(1, 16), BAD_CONTEXT },
	{ "fence of a ring", { context }, SUBMITTED(1, 0, .flags = RING, .ring_idx = 63), OK },
	{ "fence of ring 64", { context }, SUBMITTED(1, 0, .flags = RING, .ring_idx = 64), OK },
	{ "fence of ring 255", { context }, SUBMITTED(1, 0, .flags = RING, .ring_idx = 255), OK },
	{ "fence without a ring", { context }, SUBMITTED(1, 0, .flags = FENCE, .ring_idx = 9), OK },
	{ "fence of no context", { context }, SUBMITTED(2, 0, .flags = FENCE), BAD_CONTEXT },
	{ "fence of no context's ring", { context }, SUBMITTED(2, 0, .flags = RING), BAD_CONTEXT },
	{ "fence of a failed context", { context, context_fails }, SUBMITTED(1, 0, .flags = RING),
	  UNSPEC },
	{ "fence after the context", { context, context_end }, SUBMITTED(1, 0, .flags = RING),
	  BAD_CONTEXT },

	{ "blob", { context }, MADE(1, 2), OK },
	{ "blob 0", { context }, MADE(1, 0), BAD_RESOURCE },
	{ "blob twice", { context, blob }, MADE(1, 2), BAD_RESOURCE },
	{ "blob after its end", { context, blob, unref }, MADE(1, 2), OK },
	{ "blob of no context", { context }, MADE(3, 2), BAD_CONTEXT },
	{ "blob of context 0", { context }, MADE(0, 2), BAD_CONTEXT },
	{ "blob of a failed context", { context, context_fails }, MADE(1, 2), BAD_CONTEXT },
	{ "blob after the context", { context, context_end }, MADE(1, 2), BAD_CONTEXT },
	{ "blob of no kind", { context }, KIND(0, 1), BAD_PARAMETER },
	{ "blob of the guest's", { context }, KIND(1, 1), BAD_PARAMETER },
	{ "blob of both", { context }, KIND(3, 1), BAD_PARAMETER },
	{ "blob of any kind", { context }, KIND(UINT32_MAX, 1), BAD_PARAMETER },
	{ "blob with other flags", { context }, KIND(VIRTIO_GPU_BLOB_MEM_HOST3D, 8), BAD_PARAMETER },
	{ "blob with entries", { context }, MADE(1, 2, .nr_entries = 1), BAD_PARAMETER },
	{ "blob with all entries", { context }, MADE(1, 2, .nr_entries = UINT32_MAX), BAD_PARAMETER },
	{ "blob of nothing", { context }, SIZED(0), BAD_PARAMETER },
	{ "blob of all", { context }, SIZED(UINT64_MAX), BAD_PARAMETER },
	{ "blob of half", { context }, SIZED(INT64_MAX), BAD_PARAMETER },
	{ "blob of all memory", { context }, SIZED(MAX_BYTES), OK },
	{ "blob of more memory", { context }, SIZED(MAX_BYTES + 1), NO_MEMORY },
	{ "blob of more than is left", { context, blob_4 }, SIZED(MAX_BYTES), NO_MEMORY },
	{ "blob the renderer has not", { context }, MADE(1, 2, .blob_id = FAKE_RENDERER_NO_MEMORY),
	  NO_MEMORY },
	{ "blob the renderer fails at", { context }, MADE(1, 2, .blob_id = FAKE_RENDERER_FAILS),
	  UNSPEC },

	{ "map", { context, blob }, MAP(2, 0), VIRTIO_GPU_RESP_OK_MAP_INFO },
	{ "map at the end", { context, blob }, MAP(2, WINDOW - PAGE), VIRTIO_GPU_RESP_OK_MAP_INFO },
	{ "map before create", { context }, MAP(2, 0), BAD_RESOURCE },
	{ "map resource 0", { context, blob }, MAP(0, 0), BAD_RESOURCE },
	{ "map twice", { context, blob, map }, MAP(2, 8 * PAGE), UNSPEC },
	{ "map twice at one place", { context, blob, map }, MAP(2, PAGE), UNSPEC },
	{ "map over another", { context, blob, map, blob_4 }, MAP(4, PAGE), BAD_PARAMETER },
	{ "map inside a page", { context, blob }, MAP(2, 1), BAD_PARAMETER },
	{ "map behind the end", { context, blob }, MAP(2, WINDOW), BAD_PARAMETER },
	{ "map past all", { context, blob }, MAP(2, UINT64_MAX - PAGE + 1), BAD_PARAMETER },
	{ "map again", { context, blob, map, unmap }, MAP(2, 0), VIRTIO_GPU_RESP_OK_MAP_INFO },
	{ "map after unref", { context, blob, unref }, MAP(2, 0), BAD_RESOURCE },
	{ "map after the context", { context, blob, context_end }, MAP(2, 0),
	  VIRTIO_GPU_RESP_OK_MAP_INFO },
	{ "map after its context failed", { context, blob, context_fails }, MAP(2, 0),
	  VIRTIO_GPU_RESP_OK_MAP_INFO },

	{ "unmap before create", { context }, UNMAP(2), BAD_RESOURCE },
	{ "unmap before map", { context, blob }, UNMAP(2), UNSPEC },
	{ "unmap twice", { context, blob, map, unmap }, UNMAP(2), UNSPEC },
	{ "unmap after unref", { context, blob, map, unref }, UNMAP(2), BAD_RESOURCE },
	{ "unmap after the context", { context, blob, map, context_end }, UNMAP(2), OK },
	{ "unmap after its context failed", { context, blob, map, context_fails }, UNMAP(2), OK },

	{ "unref before create", { context }, UNREF(2), BAD_RESOURCE },
	{ "unref resource 0", { context, blob }, UNREF(0), BAD_RESOURCE },
	{ "unref twice", { context, blob, unref }, UNREF(2), BAD_RESOURCE },
	{ "unref what is mapped", { context, blob, map }, UNREF(2), OK },
	{ "unref after the context", { context, blob, context_end }, UNREF(2), OK },
	{ "unref after its context failed", { context, blob, map, context_fails }, UNREF(2), OK },

	{ "UUID", { context, blob }, UUID(2), VIRTIO_GPU_RESP_OK_RESOURCE_UUID },
	{ "UUID of nothing", { context }, UUID(2), BAD_RESOURCE },
	{ "UUID of resource 0", { context, blob }, UUID(0), BAD_RESOURCE },
	{ "UUID after unref", { context, blob, unref }, UUID(2), BAD_RESOURCE },
};

#define NUM_ROWS (sizeof(rows) / sizeof(*rows))

static void worker(int sock)
{
	static struct gpu_device dev;
	struct error *err = NULL;
	struct vhu *vhu;
	int r;

	log_init("worker", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	gpu_device_init(&dev, WINDOW, MAX_BYTES);
	vhu = vhu_create(sock, &gpu_device_ops, &dev, &err);
	gpu_device_set_vhu(&dev, vhu);
	fake_renderer_init(fopen("/dev/null", "we"), gpu_device_fence_passed, &dev);
	if (!vhu || gpu_device_load_capset(&dev, &err) < 0)
		exit(1);
	r = vhu_run(vhu);
	gpu_contexts_destroy_all(&dev.contexts);
	fake_renderer_finish();
	vhu_free(vhu);
	gpu_device_release(&dev);
	exit(r < 0);
}

static int start(void **state)
{
	int sock[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return -1;
	worker_pid = fork();
	if (!worker_pid) {
		close(sock[0]);
		worker(sock[1]);
	}
	close(sock[1]);
	gpu_frontend_connect(&fe, sock[0]);
	return worker_pid < 0 ? -1 : 0;
}

/* The worker ends well: nothing was asked of the renderer that it must not be, and nothing is left. */
static int stop(void **state)
{
	int status;

	(void)state;
	gpu_frontend_disconnect(&fe);
	return waitpid(worker_pid, &status, 0) == worker_pid && !status ? 0 : -1;
}

/* The guest's driver goes and comes again: all is as at first, which the next row relies on. */
static void reset(void)
{
	gpu_frontend_stop_queue(&fe);
	gpu_frontend_start_queue(&fe);
}

static void test_rows(void **state)
{
	(void)state;
	for (const struct row *row = rows; row < rows + NUM_ROWS; row++) {
		const uint32_t flags = row->req.hdr.flags & RING;
		const struct virtio_gpu_ctrl_hdr *hdr;
		const void *resp;
		uint32_t type, len;

		for (size_t i = 0; i < BEFORE_MAX && row->before[i]; i++)
			row->before[i]();
		type = gpu_frontend_command(&fe, &row->req, row->len,
					    sizeof(*hdr) + GPU_CAPSET_MAX, &resp, &len);
		if (type != row->expected)
			fail_msg("%s: %#x, not %#x", row->name, type, row->expected);
		hdr = resp;
		if (type >= UNSPEC && len != sizeof(*hdr))
			fail_msg("%s: an error of %u bytes", row->name, len);
		if (hdr->flags != flags || (flags && hdr->ring_idx != row->req.hdr.ring_idx))
			fail_msg("%s: fence flags %#x, ring %u", row->name, hdr->flags, hdr->ring_idx);
		reset();
	}
}

/* A command that has been refused leaves what there was as it was. */
static void test_refusals_change_nothing(void **state)
{
	(void)state;
	for (const struct row *row = rows; row < rows + NUM_ROWS; row++) {
		if (row->expected < UNSPEC || row->expected == UNSPEC || row->before[0] != context ||
		    (row->before[1] && row->before[1] != blob) || row->before[2])
			continue;
		context();
		if (row->before[1])
			blob();
		assert_int_equal(run(&row->req, row->len), row->expected);
		if (!row->before[1])
			blob();
		map();
		unref();
		context_end();
		reset();
	}
}

/* Every command that is served has a row in which it does, or is refused; and none is torn. */
static void test_every_command(void **state)
{
	uint32_t type;

	(void)state;
	for (size_t i = 0; (type = gpu_device_command(i)); i++) {
		const struct row *first = NULL;
		unsigned int refusals = 0;

		for (const struct row *row = rows; row < rows + NUM_ROWS; row++) {
			if (row->req.hdr.type != type)
				continue;
			first = first ? first : row;
			refusals += row->expected >= UNSPEC;
		}
		if (!first || !refusals)
			fail_msg("command %#x: no row", type);
		for (size_t len = SIZE(hdr); len < first->len && type != VIRTIO_GPU_CMD_SUBMIT_3D; len++)
			assert_int_equal(run(&first->req, len), BAD_PARAMETER);
		for (size_t len = 1; len < SIZE(hdr); len++)
			assert_int_equal(run(&first->req, len), UNSPEC);
	}
}

static void test_not_served(void **state)
{
	static const uint32_t types[] = { 0, 0xff, 0x101, 0x103, 0x104, 0x105, 0x106, 0x107, 0x10a, 0x10d,
					  0x204, 0x205, 0x206, 0x300, 0x301, 0x1100, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		union request req;

		memset(&req, 0xff, sizeof(req));
		req.hdr.type = types[i];
		req.hdr.flags = 0;
		assert_int_equal(run(&req, sizeof(req)), UNSPEC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_refusals_change_nothing),
		cmocka_unit_test(test_every_command),
		cmocka_unit_test(test_not_served),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start, stop);
}
