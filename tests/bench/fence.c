/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long does a fence take through our worker, from the renderer's callback to the front end that
 * waits for the queue's call eventfd? In a guest the eventfd is KVM's irqfd. The renderer is not
 * virglrenderer but tests/unit/fake_renderer.c, whose fences pass 200 us after they were asked for, so
 * that everyone is asleep by then; the front end is tests/unit/gpu_frontend.c, in a process of its own.
 *
 * The same is taken without a worker: a thread of that process writes the eventfd at once. What is
 * more than that is ours.
 *
 * Usage: fence [COUNT]      (10000 when not said)
 * Prints "worker P50 P99" and "eventfd P50 P99", in microseconds, and "added P50 P99", the difference.
 */
#include <linux/virtio_gpu.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "tests/unit/fake_renderer.h"
#include "tests/unit/gpu_frontend.h"
#include "vmm/workers/gpu_device.h"

#define CONTEXT 1u
#define CAPSET_VENUS 4
#define MAX_COUNT 1000000u
#define MAX_BYTES (1ull << 30)

static struct gpu_device device;
static struct gpu_frontend fe;
static double *us; /* what each took */
static uint64_t *stamp; /* shared: when the callback was called last, in ns */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "fence: %s\n", what);
	exit(1);
}

static void passed(void *data, uint32_t ctx, uint32_t ring, uint64_t number)
{
	__atomic_store_n(stamp, now(), __ATOMIC_RELEASE);
	gpu_device_fence_passed(data, ctx, ring, number);
}

static void __attribute__((noreturn)) worker(int sock)
{
	FILE *calls = fopen("/dev/null", "we");
	struct error *err = NULL;
	struct vhu *vhu;
	int r;

	log_init("worker", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	gpu_device_init(&device, GPU_FRONTEND_WINDOW, MAX_BYTES);
	vhu = vhu_create(sock, &gpu_device_ops, &device, &err);
	if (!calls || !vhu)
		exit(1);
	gpu_device_set_vhu(&device, vhu);
	fake_renderer_init(calls, passed, &device);
	if (gpu_device_load_capset(&device, &err) < 0)
		exit(1);
	r = vhu_run(vhu);
	fake_renderer_finish();
	vhu_free(vhu);
	gpu_device_release(&device);
	exit(r < 0);
}

/* Microseconds from the stamp to the end of the wait that is begun now. */
static double wait_call(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t end;

	if (poll(&p, 1, 10000) != 1)
		fail("nothing comes");
	end = now();
	return (double)(end - __atomic_load_n(stamp, __ATOMIC_ACQUIRE)) / 1000;
}

static double fence_once(uint64_t id)
{
	const struct virtio_gpu_cmd_submit req = {
		.hdr = { .type = VIRTIO_GPU_CMD_SUBMIT_3D, .ctx_id = CONTEXT, .fence_id = id,
			 .flags = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX },
	};
	const struct virtio_gpu_ctrl_hdr *resp;
	const void *at;
	uint32_t len;
	double took;

	gpu_frontend_post(&fe, 0, &req, sizeof(req), sizeof(req.hdr));
	took = wait_call(fe.call_fd);
	if (gpu_frontend_wait(&fe, 10000, &at, &len) != 0)
		fail("the call was for nothing");
	resp = at;
	if (resp->type != VIRTIO_GPU_RESP_OK_NODATA || resp->fence_id != id)
		fail("another answer than a fence's");
	return took;
}

static void run_worker(unsigned int count)
{
	const struct virtio_gpu_ctx_create create = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_CREATE, .ctx_id = CONTEXT },
		.context_init = CAPSET_VENUS,
	};
	const struct virtio_gpu_ctx_destroy destroy = {
		.hdr = { .type = VIRTIO_GPU_CMD_CTX_DESTROY, .ctx_id = CONTEXT },
	};
	int sock[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0 || (pid = fork()) < 0)
		fail("cannot start the worker");
	if (!pid) {
		close(sock[0]);
		worker(sock[1]);
	}
	close(sock[1]);
	gpu_frontend_connect(&fe, sock[0]);
	if (gpu_frontend_command(&fe, &create, sizeof(create), sizeof(create.hdr), NULL, NULL) !=
	    VIRTIO_GPU_RESP_OK_NODATA)
		fail("no context");
	for (unsigned int i = 0; i < count; i++)
		us[i] = fence_once(i + 1);
	gpu_frontend_command(&fe, &destroy, sizeof(destroy), sizeof(destroy.hdr), NULL, NULL);
	gpu_frontend_disconnect(&fe);
	if (waitpid(pid, &status, 0) != pid || status)
		fail("the worker failed");
}

/* The other process of the comparison: as the fake renderer, and then nothing but the eventfd. */
static void __attribute__((noreturn)) writer(int kick, int call)
{
	const struct timespec work = { 0, 200000 };
	uint64_t n;

	while (read(kick, &n, sizeof(n)) == sizeof(n)) {
		nanosleep(&work, NULL);
		n = 1;
		__atomic_store_n(stamp, now(), __ATOMIC_RELEASE);
		if (write(call, &n, sizeof(n)) != sizeof(n))
			break;
	}
	_exit(1);
}

static void run_eventfd(unsigned int count)
{
	const int kick = eventfd(0, EFD_CLOEXEC), call = eventfd(0, EFD_CLOEXEC);
	const pid_t pid = fork();
	uint64_t n = 1;

	if (kick < 0 || call < 0 || pid < 0)
		fail("cannot start the comparison");
	if (!pid)
		writer(kick, call);
	for (unsigned int i = 0; i < count; i++) {
		n = 1;
		if (write(kick, &n, sizeof(n)) != sizeof(n))
			fail("cannot write an eventfd");
		us[i] = wait_call(call);
		if (read(call, &n, sizeof(n)) != sizeof(n))
			fail("cannot read an eventfd");
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void percentiles(unsigned int count, double out[2])
{
	qsort(us, count, sizeof(*us), compare);
	out[0] = us[count / 2];
	out[1] = us[count - 1 - count / 100];
}

int main(int argc, char **argv)
{
	const unsigned int count = argc > 1 ? (unsigned int)strtoul(argv[1], NULL, 10) : 10000;
	double ours[2], bare[2];

	us = calloc(count + 1ul, sizeof(*us));
	if (argc > 2 || !count || count > MAX_COUNT || !us)
		fail("usage: fence [COUNT]");
	stamp = mmap(NULL, sizeof(*stamp), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stamp == MAP_FAILED)
		fail("no memory");
	run_worker(count);
	percentiles(count, ours);
	run_eventfd(count);
	percentiles(count, bare);
	printf("worker %.1f %.1f\neventfd %.1f %.1f\nadded %.1f %.1f\n", ours[0], ours[1], bare[0],
	       bare[1], ours[0] - bare[0], ours[1] - bare[1]);
	free(us);
	return 0;
}
