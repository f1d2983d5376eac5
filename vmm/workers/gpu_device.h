/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_DEVICE_H
#define VMM_WORKERS_GPU_DEVICE_H

/*
 * The virtio-gpu device (virtio 1.2, 5.7) without scanouts: Venus contexts and host blobs.
 * Everything runs on the thread of vhu_run(), but for fences passing.
 */

#include <linux/virtio_gpu.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gpu_stats_proto.h"
#include "vmm/workers/gpu_context.h"
#include "vmm/workers/gpu_fence.h"
#include "vmm/workers/gpu_resource.h"
#include "vmm/workers/gpu_window.h"
#include "vmm/workers/vhu.h"

#define GPU_SHM_HOST_VISIBLE 1
#define GPU_CAPSET_MAX 1024
/* What the library sends to the server in one piece; Venus's own submissions are a few KiB. */
#define GPU_SUBMIT_MAX (128u << 10)

struct gpu_device {
	struct vhu *vhu; /* borrowed */
	struct gpu_contexts contexts;
	struct gpu_resources resources;
	struct gpu_window window;
	struct gpu_fences fences;
	pthread_mutex_t push_lock; /* of the control queue's used ring; taken before fences.lock */
	struct gpu_stats *stats; /* what the host may see of it; own_stats unless shared */
	struct gpu_stats own_stats;
	uint32_t capset_version;
	uint32_t capset_size;
	uint8_t capset[GPU_CAPSET_MAX];
	bool reset_pending; /* the control queue stopped: what the guest made is to go */
	struct virtq_chain chain;
	uint64_t submit[GPU_SUBMIT_MAX / sizeof(uint64_t)];
};

/* A command being worked on. Fields of both headers are little-endian. */
struct gpu_command {
	struct virtq_chain *chain; /* its read cursor stands behind the fixed part */
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_get_capset_info get_capset_info;
		struct virtio_gpu_get_capset get_capset;
		struct virtio_gpu_resource_unref unref;
		struct virtio_gpu_resource_assign_uuid assign_uuid;
		struct virtio_gpu_resource_create_blob create_blob;
		struct virtio_gpu_ctx_create ctx_create;
		struct virtio_gpu_ctx_resource ctx_resource;
		struct virtio_gpu_cmd_submit submit;
		struct virtio_gpu_resource_map_blob map_blob;
		struct virtio_gpu_resource_unmap_blob unmap_blob;
	} req;
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_resp_display_info display_info;
		struct virtio_gpu_resp_capset_info capset_info;
		struct virtio_gpu_resp_resource_uuid uuid;
		struct virtio_gpu_resp_map_info map_info;
		uint8_t bytes[sizeof(struct virtio_gpu_ctrl_hdr) + GPU_CAPSET_MAX];
	} resp; /* zero, but for what the handler sets */
	size_t resp_len; /* of it, when the handler succeeds */
};

/**
 * gpu_device_init() - @dev: zero
 * @window:    bytes of the host-visible region
 * @max_bytes: of all blobs together
 */
void gpu_device_init(struct gpu_device *dev, uint64_t window, uint64_t max_bytes);
/** gpu_device_limit_files() - @files: how many this process may have open; a resource keeps one */
void gpu_device_limit_files(struct gpu_device *dev, uint32_t files);
/** gpu_device_set_vhu() - the back end that it is the device of; before vhu_run() */
void gpu_device_set_vhu(struct gpu_device *dev, struct vhu *vhu);
void gpu_device_release(struct gpu_device *dev);

/** gpu_device_share_stats() - count in @file, of GPU_STATS_SIZE bytes, from now on; 0 or -errno */
int gpu_device_share_stats(struct gpu_device *dev, int file);

/** gpu_device_load_capset() - from the renderer; an error when it serves no Venus, or another one */
int gpu_device_load_capset(struct gpu_device *dev, struct error **err);

/** gpu_device_command() - the type of the @i-th command that is served; 0 behind the last, for tests */
uint32_t gpu_device_command(size_t i);

/** gpu_device_fence_passed() - the renderer's callback, on any thread; @data: the device */
void gpu_device_fence_passed(void *data, uint32_t ctx, uint32_t ring, uint64_t number);

/** gpu_device_waiting() - whether the guest waits for a fence; for the watchdog */
bool gpu_device_waiting(void *data);

extern const struct vhu_ops gpu_device_ops;

/*
 * gpu_blob.c: the commands about resources. They answer a VIRTIO_GPU_RESP_*.
 */
uint32_t gpu_cmd_create_blob(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_map_blob(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_unmap_blob(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_unref(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_assign_uuid(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_ctx_attach(struct gpu_device *dev, struct gpu_command *cmd);
uint32_t gpu_cmd_ctx_detach(struct gpu_device *dev, struct gpu_command *cmd);

/** gpu_blobs_destroy_all() - unmap and unref every resource */
void gpu_blobs_destroy_all(struct gpu_device *dev);

/** gpu_device_context_failed() - the renderer gave an error: end the context, answer its fences */
void gpu_device_context_failed(struct gpu_device *dev, struct gpu_context *ctx);

#endif
