/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_VTEST_FRONT_H
#define TESTS_GPU_VTEST_FRONT_H

/*
 * The guest's kernel and its VMM in one, without a guest: the vhost-user front end of krun-gpu-gpu,
 * with the control queue's driver. Commands may be given by any thread; answers are taken by one
 * thread of its own.
 */

#include <linux/virtio_gpu.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct error;

#define VTEST_SLOTS 64
#define VTEST_MESSAGES 25
#define VTEST_COMMAND_MAX ((128u << 10) + 64)

/* @resp is NULL when the worker has gone. Called on the front end's thread: must not wait. */
typedef void (*vtest_done)(void *data, const void *resp, uint32_t len);

struct vtest_slot {
	bool busy;
	uint64_t number; /* of the command, from 1 on */
	vtest_done done;
	void *data;
};

/* A range of the window; in a list by offset. */
struct vtest_mapping {
	struct vtest_mapping *next;
	uint64_t offset, len;
	int fd; /* owned; -1 until the worker has it mapped */
};

struct vtest_front {
	int sock, backend, kick_fd, call_fd, memfd; /* owned */
	uint8_t *ram;
	uint64_t window; /* bytes */
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t freed; /* a slot */
	struct vtest_slot slots[VTEST_SLOTS];
	uint16_t avail_idx, used_seen;
	struct vtest_mapping *mappings; /* owned */
	uint32_t last_resource;
	uint64_t contexts; /* bit per id in use, bit 0 for id 1 */
	bool lost;	   /* the worker has gone */
	uint64_t commands, interrupts;
	FILE *record; /* borrowed: where commands and answers are written; NULL: nowhere */
	uint64_t messages[VTEST_MESSAGES]; /* of applications, by the protocol's numbers */
};

/** vtest_front_start() - shake hands on @sock, which becomes the front end's; start its thread */
int vtest_front_start(struct vtest_front *fe, int sock, uint64_t window, struct error **err);
/** vtest_front_stop() - hang up; the worker ends by that */
void vtest_front_stop(struct vtest_front *fe);

/** vtest_front_post() - give a command; @done is called with its answer, exactly once */
void vtest_front_post(struct vtest_front *fe, const void *req, size_t len, const void *extra,
		      size_t extra_len, vtest_done done, void *data);

/**
 * vtest_front_command() - give a command and wait for its answer
 * @resp: gets up to @room bytes of it; may be NULL
 *
 * Return: the answer's type, or 0 when the worker has gone.
 */
uint32_t vtest_front_command(struct vtest_front *fe, const void *req, size_t len, void *resp,
			     size_t room);

/** vtest_front_reserve() - a free range of the window; false when there is none */
bool vtest_front_reserve(struct vtest_front *fe, uint64_t len, uint64_t *offset);
/** vtest_front_mapped_fd() - a copy of what the worker had mapped at @offset, or -1 */
int vtest_front_mapped_fd(struct vtest_front *fe, uint64_t offset);
void vtest_front_unreserve(struct vtest_front *fe, uint64_t offset);

uint32_t vtest_front_new_resource(struct vtest_front *fe);
/** vtest_front_new_context() - an id, or 0 when all are taken */
uint32_t vtest_front_new_context(struct vtest_front *fe);
void vtest_front_free_context(struct vtest_front *fe, uint32_t id);

#endif
