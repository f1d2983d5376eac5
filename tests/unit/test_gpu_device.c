/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The GPU worker against a front end and a jailed render server over lavapipe, without a virtual
 * machine. The worker is a fork of this process without its sandbox (sanitizers need system calls
 * that the filter denies), or, with KRUN_GPU_TEST_WORKER=PROGRAM, the real program with it.
 * Skipped where there is no lavapipe or no privilege to make the jail.
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
#include "base/fd.h"
#include "base/log.h"
#include "gpu_frontend.h"
#include "gpu_jail.h"
#include "tests/gpu/jail_child.h"
#include "gpu_select.h"
#include "unit.h"
#include "vmm/workers/gpu_device.h"

#define PAGE 4096u
#define MAX_BYTES (1ull << 30)

static struct rig {
	struct gpu_frontend fe;
	pid_t server, worker;
} rig;

#define HDR(command, ctx) \
	.hdr = { .type = VIRTIO_GPU_CMD_##command, .ctx_id = (ctx) }
#define RUN(req) gpu_frontend_command(&rig.fe, &(req), sizeof(req), 512, NULL, NULL)

static void worker_in_process(int sock, int server)
{
	static struct gpu_device dev;
	const struct gpu_watchdog_config watch = { .server_sock = server, .watch_sock = -1,
						   .timeout_s = 5, .waiting = gpu_device_waiting,
						   .data = &dev };
	struct error *err = NULL;
	struct vhu *vhu;
	int r;

	signal(SIGPIPE, SIG_IGN);
	log_init("worker", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	gpu_device_init(&dev, GPU_FRONTEND_WINDOW, MAX_BYTES);
	vhu = vhu_create(sock, &gpu_device_ops, &dev, &err);
	gpu_device_set_vhu(&dev, vhu);
	if (!vhu || gpu_renderer_init(&watch, gpu_device_fence_passed, &dev, &err) < 0 ||
	    gpu_device_load_capset(&dev, &err) < 0) {
		log_error("%s", error_msg(err));
		exit(1);
	}
	r = vhu_run(vhu);
	gpu_contexts_destroy_all(&dev.contexts);
	vhu_free(vhu);
	gpu_device_release(&dev);
	exit(r < 0);
}

static void worker_program(const char *program, int sock, int server)
{
	char sock_arg[32], server_arg[32], window_arg[48], bytes_arg[48];

	fd_set_cloexec(sock, false);
	fd_set_cloexec(server, false);
	snprintf(sock_arg, sizeof(sock_arg), "--vhost-user-fd=%d", sock);
	snprintf(server_arg, sizeof(server_arg), "--render-server-fd=%d", server);
	snprintf(window_arg, sizeof(window_arg), "--window=%llu", GPU_FRONTEND_WINDOW);
	snprintf(bytes_arg, sizeof(bytes_arg), "--max-bytes=%llu", MAX_BYTES);
	execl(program, program, sock_arg, server_arg, window_arg, bytes_arg, "--timeout=5",
	      "--log-level=error", (char *)NULL);
	perror(program);
	exit(127);
}

static pid_t start_worker(int sock, int server, int other)
{
	const char *program = getenv("KRUN_GPU_TEST_WORKER");
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	close(other);
	if (program)
		worker_program(program, sock, server);
	else
		worker_in_process(sock, server);
	_exit(1);
}

static int start(void **state)
{
	const struct gpu_node node = { "/dev/dri/renderD128", 0 };
	const struct gpu_request req = { .nodes = &node, .count = 1, .annotation = "software" };
	/* No Vulkan instance is made here, so any directory will do as the layer's. */
	struct gpu_jail jail = { .watch_fd = -1, .log_fd = STDERR_FILENO, .cgroup_fd = -1,
				 .layer = "/usr/share" };
	struct error *err = NULL;
	struct gpu_choice choice;
	int server[2], sock[2];

	(void)state;
	if (geteuid() || gpu_select(&req, "", &choice, &err) < 0) {
		print_message("skipped: %s\n", err ? error_msg(err) : "not root");
		error_free(&err);
		exit(77);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, server), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
	jail.choice = &choice;
	jail.server_fd = server[1];
	if (gpu_render_server_spawn(&jail, &rig.server, &err) < 0)
		fail_msg("%s", error_msg(err));
	close(server[1]);
	gpu_choice_release(&choice);
	rig.worker = start_worker(sock[1], server[0], sock[0]);
	close(server[0]);
	close(sock[1]);
	gpu_frontend_connect(&rig.fe, sock[0]);
	return 0;
}

/* Within ten seconds; the status, or -1. */
static int wait_end(pid_t pid)
{
	int status;

	for (int i = 0; i < 1000; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

/* The front end's end is the worker's, and the worker's is the render server's. */
static int stop(void **state)
{
	(void)state;
	gpu_frontend_disconnect(&rig.fe);
	assert_int_equal(wait_end(rig.worker), 0);
	assert_true(wait_end(rig.server) >= 0);
	return 0;
}

static uint32_t create_context(uint32_t id)
{
	const struct virtio_gpu_ctx_create req = {
		HDR(CTX_CREATE, id), .nlen = 4, .context_init = 4, .debug_name = "test",
	};

	return RUN(req);
}

static uint32_t destroy_context(uint32_t id)
{
	const struct virtio_gpu_ctx_destroy req = { HDR(CTX_DESTROY, id) };

	return RUN(req);
}

static uint32_t create_blob(uint32_t ctx, uint32_t res, uint64_t size)
{
	const struct virtio_gpu_resource_create_blob req = {
		HDR(RESOURCE_CREATE_BLOB, ctx), .resource_id = res,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE, .size = size,
	};

	return RUN(req);
}

static uint32_t map_blob(uint32_t res, uint64_t offset)
{
	const struct virtio_gpu_resource_map_blob req = { HDR(RESOURCE_MAP_BLOB, 0),
							  .resource_id = res, .offset = offset };

	return RUN(req);
}

static uint32_t unmap_blob(uint32_t res)
{
	const struct virtio_gpu_resource_unmap_blob req = { HDR(RESOURCE_UNMAP_BLOB, 0),
							    .resource_id = res };

	return RUN(req);
}

static uint32_t unref(uint32_t res)
{
	const struct virtio_gpu_resource_unref req = { HDR(RESOURCE_UNREF, 0), .resource_id = res };

	return RUN(req);
}

static uint32_t attach(uint32_t ctx, uint32_t res)
{
	const struct virtio_gpu_ctx_resource req = { HDR(CTX_ATTACH_RESOURCE, ctx),
						     .resource_id = res };

	return RUN(req);
}

static void test_capset(void **state)
{
	const struct virtio_gpu_get_capset_info info = { HDR(GET_CAPSET_INFO, 0) };
	const struct virtio_gpu_get_capset get = { HDR(GET_CAPSET, 0), .capset_id = 4 };
	const struct virtio_gpu_resp_capset_info *ir;
	const struct virtio_gpu_resp_capset *cr;
	const void *resp;
	uint32_t len, size, wire_format;

	(void)state;
	assert_int_equal(gpu_frontend_command(&rig.fe, &info, sizeof(info), 512, &resp, &len),
			 VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	ir = resp;
	assert_int_equal(ir->capset_id, 4);
	assert_int_equal(ir->capset_max_version, 0);
	size = ir->capset_max_size;
	assert_true(size >= 16);
	assert_int_equal(gpu_frontend_command(&rig.fe, &get, sizeof(get), 2048, &resp, &len),
			 VIRTIO_GPU_RESP_OK_CAPSET);
	assert_int_equal(len, sizeof(struct virtio_gpu_ctrl_hdr) + size);
	cr = resp;
	memcpy(&wire_format, cr->capset_data, sizeof(wire_format));
	assert_int_equal(wire_format, 1);
}

static void test_contexts(void **state)
{
	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(create_context(0), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(create_context(UINT32_MAX), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(UINT32_MAX), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_blob(void **state)
{
	const uint64_t size = 3 * PAGE;

	(void)state;
	rig.fe.maps = rig.fe.unmaps = 0;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 7, size), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(attach(1, 7), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(map_blob(7, 2 * PAGE), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(rig.fe.maps, 1);
	memset(rig.fe.window + 2 * PAGE, 0x5a, size);
	assert_int_equal(map_blob(7, 64 * PAGE), VIRTIO_GPU_RESP_ERR_UNSPEC);

	/* A second blob may not touch the first one's range. */
	assert_int_equal(create_blob(1, 8, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(map_blob(8, 2 * PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(map_blob(8, 4 * PAGE), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(map_blob(8, PAGE + 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(map_blob(8, GPU_FRONTEND_WINDOW), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(map_blob(8, UINT64_MAX & ~(uint64_t)(PAGE - 1)),
			 VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(rig.fe.maps, 1);
	assert_int_equal(map_blob(8, 5 * PAGE), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(rig.fe.window[4 * PAGE + 1], 0x5a);
	assert_int_equal(rig.fe.window[5 * PAGE], 0);

	assert_int_equal(unmap_blob(7), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(unmap_blob(7), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(map_blob(7, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(rig.fe.window[PAGE], 0x5a);
	assert_int_equal(unref(7), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(unref(7), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(rig.fe.unmaps, 2);

	/* The context goes first, the blob stays usable. */
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	rig.fe.window[5 * PAGE] = 1;
	assert_int_equal(unref(8), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(rig.fe.maps, rig.fe.unmaps);
}

static void test_map_refused(void **state)
{
	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 9, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	rig.fe.refuse_maps = true;
	assert_int_equal(map_blob(9, 0), VIRTIO_GPU_RESP_ERR_UNSPEC);
	rig.fe.refuse_maps = false;
	assert_int_equal(map_blob(9, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(unref(9), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* Shared memory cannot go to another context, whatever the ids: the library would abort. */
static void test_attach(void **state)
{
	const struct virtio_gpu_ctx_resource detach = { HDR(CTX_DETACH_RESOURCE, 1),
							.resource_id = 5 };

	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_context(2), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 5, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(attach(2, 5), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(attach(2, 6), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(attach(3, 5), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(RUN(detach), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(attach(1, 5), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(attach(1, 5), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(unref(5), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(2), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_uuid(void **state)
{
	const struct virtio_gpu_resource_assign_uuid req = { HDR(RESOURCE_ASSIGN_UUID, 0),
							     .resource_id = 3 };

	(void)state;
	assert_int_equal(RUN(req), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 3, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(RUN(req), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_int_equal(unref(3), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* Eight fences on two rings come back, echoed; one without a ring does at once. */
static void test_fences(void **state)
{
	struct virtio_gpu_cmd_submit req = { HDR(SUBMIT_3D, 1) };
	unsigned int seen = 0;

	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	req.hdr.flags = VIRTIO_GPU_FLAG_FENCE;
	req.hdr.fence_id = 99;
	assert_int_equal(RUN(req), VIRTIO_GPU_RESP_OK_NODATA);
	req.hdr.flags |= VIRTIO_GPU_FLAG_INFO_RING_IDX;
	for (unsigned int i = 0; i < 8; i++) {
		req.hdr.fence_id = 1000 + i;
		req.hdr.ring_idx = 0;
		gpu_frontend_post(&rig.fe, i, &req, sizeof(req), 64);
	}
	for (unsigned int i = 0; i < 8; i++) {
		const struct virtio_gpu_ctrl_hdr *hdr;
		const void *resp;
		uint32_t len;
		int slot = gpu_frontend_wait(&rig.fe, 10000, &resp, &len);

		assert_true(slot >= 0);
		hdr = resp;
		assert_int_equal(hdr->type, VIRTIO_GPU_RESP_OK_NODATA);
		assert_int_equal(hdr->flags, req.hdr.flags);
		assert_int_equal(hdr->fence_id, 1000 + (unsigned int)slot);
		seen |= 1u << slot;
	}
	assert_int_equal(seen, 0xff);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* A stream that is no Venus ends its context, not the device. */
static void test_garbage_submission(void **state)
{
	struct {
		struct virtio_gpu_cmd_submit cmd;
		uint32_t words[16];
	} req = { .cmd = { HDR(SUBMIT_3D, 1), .size = 64 } };

	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	memset(req.words, 0xff, sizeof(req.words));
	/* virglrenderer 1.1 takes the first one without looking; the context's process ends. */
	for (int i = 0; RUN(req) != VIRTIO_GPU_RESP_ERR_UNSPEC; i++) {
		assert_true(i < 100);
		usleep(10000);
	}
	/* It is dead, its fences come back nevertheless, and its id is free again after its end. */
	req.cmd.hdr.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	assert_int_equal(RUN(req), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(create_blob(1, 4, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* A fence that its context's process never comes to, because it ends, is answered all the same. */
static void test_lost_fence(void **state)
{
	struct {
		struct virtio_gpu_cmd_submit cmd;
		uint32_t words[4];
	} req = { .cmd = { HDR(SUBMIT_3D, 1), .size = 16 } };

	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	memset(req.words, 0xff, sizeof(req.words));
	req.cmd.hdr.flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	req.cmd.hdr.ring_idx = 63;
	RUN(req);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* Every command, torn at every length, with every field all ones, with little room to answer. */
static void test_bad_requests(void **state)
{
	static const uint32_t types[] = {
		0x0, 0xff, 0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107, 0x108, 0x109,
		0x10a, 0x10b, 0x10c, 0x10d, 0x10e, 0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206,
		0x207, 0x208, 0x209, 0x20a, 0x300, 0x301, 0x1100, 0x1200, 0xffffffff,
	};
	uint32_t req[64];

	(void)state;
	for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++) {
		for (unsigned int fill = 0; fill < 2; fill++) {
			for (size_t len = 1; len <= 128; len = len < 24 ? len + 5 : len + 1) {
				memset(req, fill ? 0xff : 0, sizeof(req));
				req[0] = types[t];
				gpu_frontend_command(&rig.fe, req, len, 512, NULL, NULL);
			}
			gpu_frontend_command(&rig.fe, req, sizeof(req), 10, NULL, NULL);
			gpu_frontend_command(&rig.fe, req, sizeof(req), 0, NULL, NULL);
		}
	}
	/* Still alive, and nothing was made. */
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_bad_values(void **state)
{
	struct virtio_gpu_resource_create_blob blob = {
		HDR(RESOURCE_CREATE_BLOB, 1), .resource_id = 2,
		.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = 1, .size = PAGE,
	};
	struct virtio_gpu_ctx_create ctx = { HDR(CTX_CREATE, 2), .nlen = 65, .context_init = 4 };
	struct virtio_gpu_cmd_submit submit = { HDR(SUBMIT_3D, 1), .size = 4 };

	(void)state;
	assert_int_equal(RUN(ctx), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	ctx.nlen = 0;
	ctx.context_init = 1;
	assert_int_equal(RUN(ctx), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(RUN(submit), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	submit.size = 0xfffffffc;
	assert_int_equal(RUN(submit), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.blob_mem = VIRTIO_GPU_BLOB_MEM_GUEST;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D;
	blob.nr_entries = 1;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.nr_entries = 0;
	blob.blob_flags = 0x80;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.blob_flags = 1;
	blob.size = 0;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.size = UINT64_MAX;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	blob.size = MAX_BYTES + 1;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	blob.size = PAGE;
	blob.resource_id = 0;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	/* No such allocation: the render server refuses, and its context goes on. */
	blob.resource_id = 2;
	blob.blob_id = 12345;
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	assert_int_equal(RUN(blob), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	assert_int_equal(unref(2), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create_blob(1, 2, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(map_blob(2, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(unref(2), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* The guest's driver goes and comes again: everything it had is gone. */
static void test_reset(void **state)
{
	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 2, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(map_blob(2, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	gpu_frontend_stop_queue(&rig.fe);
	gpu_frontend_start_queue(&rig.fe);
	assert_int_equal(unref(2), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_blob(1, 2, PAGE), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(map_blob(2, 0), VIRTIO_GPU_RESP_OK_MAP_INFO);
	assert_int_equal(rig.fe.window[0], 0);
	assert_int_equal(unref(2), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

static void test_context_limit(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= GPU_MAX_CONTEXTS; id++)
		assert_int_equal(create_context(id), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(create_context(GPU_MAX_CONTEXTS + 1), VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	for (uint32_t id = 1; id <= GPU_MAX_CONTEXTS; id++)
		assert_int_equal(destroy_context(id), VIRTIO_GPU_RESP_OK_NODATA);
}

/* A render server that hangs: the watchdog (5 s here) cuts it off, and the guest has its answer. */
static void test_server_hangs(void **state)
{
	(void)state;
	assert_int_equal(create_context(1), VIRTIO_GPU_RESP_OK_NODATA);
	assert_int_equal(kill(jail_child(rig.server), SIGSTOP), 0);
	assert_int_equal(create_context(2), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(kill(jail_child(rig.server), SIGCONT), 0);
	assert_int_equal(destroy_context(1), VIRTIO_GPU_RESP_OK_NODATA);
}

/* After it has died, everything fails and is answered. The last test: there is no server after. */
static void test_server_dies(void **state)
{
	(void)state;
	kill(jail_child(rig.server), SIGKILL);
	assert_int_equal(create_context(3), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(create_blob(3, 1, PAGE), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capset),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_blob),
		cmocka_unit_test(test_map_refused),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_fences),
		cmocka_unit_test(test_garbage_submission),
		cmocka_unit_test(test_lost_fence),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_context_limit),
		cmocka_unit_test(test_server_hangs),
		cmocka_unit_test(test_server_dies),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
