/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_VTEST_PROTO_H
#define TESTS_GPU_VTEST_PROTO_H

/*
 * The vtest protocol, version 3, as far as Mesa's Venus driver speaks it: a stream of 32-bit words
 * in the host's byte order. Every message begins with its length (in words, without these two; for
 * VTEST_CREATE_RENDERER in bytes) and its command; answers likewise.
 */

#include <stdint.h>

#define VTEST_VERSION 3u

enum vtest_command {
	VTEST_RESOURCE_UNREF = 3,    /* resource */
	VTEST_BUSY_WAIT = 7,	     /* resource, flags; answer: busy */
	VTEST_CREATE_RENDERER = 8,   /* the program's name */
	VTEST_PING_VERSION = 10,     /* answer: empty */
	VTEST_VERSION_QUERY = 11,    /* version; answer: version */
	VTEST_GET_PARAM = 15,	     /* parameter; answer: known, value */
	VTEST_GET_CAPSET = 16,	     /* id, version; answer: known, contents */
	VTEST_CONTEXT_INIT = 17,     /* capset id */
	VTEST_CREATE_BLOB = 18,	     /* type, flags, size, id (64-bit); answer: resource; an fd */
	VTEST_SYNC_CREATE = 19,	     /* value (64-bit); answer: sync */
	VTEST_SYNC_UNREF = 20,	     /* sync */
	VTEST_SYNC_READ = 21,	     /* sync; answer: value (64-bit) */
	VTEST_SYNC_WRITE = 22,	     /* sync, value (64-bit) */
	VTEST_SYNC_WAIT = 23,	     /* flags, timeout in ms, (sync, value)...; answer: empty; an fd */
	VTEST_SUBMIT = 24,	     /* count, struct vtest_batch..., commands, (sync, value)... */
};

#define VTEST_PARAM_MAX_TIMELINES 1u
#define VTEST_BLOB_TYPE_HOST3D 2u
#define VTEST_WAIT_ANY 1u
#define VTEST_BATCH_RING_IDX 1u

/* Offsets are from the message's first word, sizes in words. */
struct vtest_batch {
	uint32_t flags;
	uint32_t cmd_offset, cmd_size;
	uint32_t sync_offset, sync_count; /* three words each: sync, value */
	uint32_t ring_idx;
};

#endif
