/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_GPU_FRONTEND_H
#define TESTS_UNIT_GPU_FRONTEND_H

/*
 * The other end of krun-gpu-gpu for tests: a vhost-user front end with one control queue in a
 * memfd, that maps what SHMEM_MAP brings. No virtual machine is needed. Failures are cmocka's.
 */

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GPU_FRONTEND_WINDOW (64ull << 20)

struct gpu_frontend {
	int sock, backend; /* the worker's requests come on the second */
	int kick_fd, call_fd;
	int memfd;
	uint8_t *ram;
	uint8_t *window; /* what SHMEM_MAP mapped lies here */
	uint16_t avail_idx, used_seen;
	unsigned int maps, unmaps; /* requests served */
	bool refuse_maps;
};

/** gpu_frontend_connect() - take the worker through the vhost-user set-up; @sock: becomes ours */
void gpu_frontend_connect(struct gpu_frontend *fe, int sock);
/** gpu_frontend_stop_queue() - GET_VRING_BASE, as when the guest's driver goes away */
void gpu_frontend_stop_queue(struct gpu_frontend *fe);
void gpu_frontend_start_queue(struct gpu_frontend *fe);
void gpu_frontend_disconnect(struct gpu_frontend *fe);

/** gpu_frontend_post() - a chain of @len readable and @room writable bytes; @slot 0 to 7 */
void gpu_frontend_post(struct gpu_frontend *fe, unsigned int slot, const void *req, size_t len,
		       size_t room);
/**
 * gpu_frontend_wait() - until a chain comes back, serving the worker meanwhile
 *
 * Return: its slot; @resp points to the response, *len is its length. -1 after @timeout_ms.
 */
int gpu_frontend_wait(struct gpu_frontend *fe, int timeout_ms, const void **resp, uint32_t *len);

/** gpu_frontend_command() - post and wait; the response's type, 0 when it is shorter than that */
uint32_t gpu_frontend_command(struct gpu_frontend *fe, const void *req, size_t len, size_t room,
			      const void **resp, uint32_t *resp_len);

#endif
