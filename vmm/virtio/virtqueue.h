/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_VIRTQUEUE_H
#define VMM_VIRTIO_VIRTQUEUE_H

/*
 * Split virtqueues, the device's side (virtio 1.2, section 2.7), used by the VMM's own devices and
 * by the workers. The guest may rewrite descriptors at any time: each is copied once and checked
 * in the copy. Ring addresses and sizes are fixed by virtqueue_start() until virtqueue_stop().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vmm/guest_memory.h"

#define VIRTQUEUE_MAX_SIZE 1024
/* Bytes a chain may describe in one direction: over it, the chain is malformed. */
#define VIRTQUEUE_CHAIN_MAX_BYTES (1u << 30)

struct virtqueue {
	const struct guest_memory *mem; /* borrowed; set by virtqueue_start() */
	uint16_t size;			/* a power of two, at most max_size */
	uint16_t max_size;
	bool ready;	      /* virtqueue_start() succeeded */
	bool broken;	      /* a malformed chain was seen: no more chains until stopped */
	bool event_idx;	      /* VIRTIO_F_EVENT_IDX was negotiated */
	uint64_t desc, avail, used; /* gpa of the three parts, as the driver set them */
	uint16_t last_avail;  /* next avail entry to look at */
	uint16_t used_idx;    /* next used entry to write */
	uint16_t signalled_used; /* used_idx at the last interrupt */
	bool signalled_valid;
	/* Pointers into guest RAM, valid while ready. */
	struct vring_desc *desc_ring;
	struct vring_avail *avail_ring;
	struct vring_used *used_ring;
};

/* Where in the iovecs a chain's cursor stands. */
struct chain_cursor {
	uint16_t iov;
	size_t offset;
};

/**
 * struct virtq_chain - one popped descriptor chain
 *
 * Device-readable bytes first, then device-writable ones, each with a cursor. Holds no allocation.
 */
struct virtq_chain {
	uint16_t head;
	uint16_t num_readable, num_writable; /* iovecs */
	size_t readable_len, writable_len;   /* bytes in all */
	size_t read_pos, write_pos;	     /* bytes consumed and produced */
	/* Private to virtqueue.c and chain.c. */
	struct chain_cursor read_cursor, write_cursor;
	struct iovec iov[VIRTQUEUE_MAX_SIZE];
};

/**
 * virtqueue_start() - check and map the rings
 * @vq:  size, desc, avail, used, last_avail, used_idx and event_idx are set
 *
 * Return: 0 or -EINVAL (size no power of two or over max_size, misaligned, outside RAM).
 */
int virtqueue_start(struct virtqueue *vq, const struct guest_memory *mem);

/** virtqueue_stop() - forget the rings; size and addresses stay, indices go back to 0 */
void virtqueue_stop(struct virtqueue *vq);

/**
 * virtqueue_pop_chain() - take the next chain the driver made available
 *
 * Return: 1 with @chain filled, 0 when there is none, -EPROTO for a malformed one (loop, index out
 * of range, outside RAM, readable after writable, too long, empty): the queue is then broken, and
 * the caller sets NEEDS_RESET.
 */
int virtqueue_pop_chain(struct virtqueue *vq, struct virtq_chain *chain);

/**
 * virtqueue_chain_at() - the chain that begins at @head, which was popped by somebody before
 *
 * Return: 0, or -EPROTO for a malformed one.
 */
int virtqueue_chain_at(const struct virtqueue *vq, uint16_t head, struct virtq_chain *chain);

/** virtqueue_used_idx() - where the used ring itself says that it is */
uint16_t virtqueue_used_idx(const struct virtqueue *vq);

/** virtqueue_go_on() - go on for another process that ran this queue */
void virtqueue_go_on(struct virtqueue *vq, uint16_t last_avail, uint16_t used_idx);

/** virtqueue_unpop() - give back the chain popped last, nothing of it used: it is popped again */
void virtqueue_unpop(struct virtqueue *vq);

/** virtqueue_push() - return a chain to the driver with @len bytes written */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len);

/**
 * virtqueue_put() - as virtqueue_push(), but the driver does not see it before virtqueue_publish()
 *
 * For several chains that belong together: the driver is to see all of them or none.
 */
void virtqueue_put(struct virtqueue *vq, uint16_t head, uint32_t len);

/** virtqueue_publish() - let the driver see what was put */
void virtqueue_publish(struct virtqueue *vq);

/** virtqueue_should_notify() - after pushing: does the driver want an interrupt? (2.7.7, 2.7.10) */
bool virtqueue_should_notify(struct virtqueue *vq);

/** virtqueue_has_avail() - is there a chain to pop? */
bool virtqueue_has_avail(const struct virtqueue *vq);

/**
 * virtqueue_disable_kicks() - ask the driver not to notify while the queue is being worked on
 *
 * Whoever asks has to call virtqueue_enable_kicks() before it waits (2.7.7, 2.7.10).
 */
void virtqueue_disable_kicks(struct virtqueue *vq);

/**
 * virtqueue_enable_kicks() - ask to be notified of the next chain
 *
 * Return: true when a chain arrived meanwhile: look again before waiting.
 */
bool virtqueue_enable_kicks(struct virtqueue *vq);

/*
 * The only ways to a chain's bytes (chain.c). All begin at the chain's cursor and advance it.
 */

/** chain_read() - copy up to @len readable bytes out; the number copied */
size_t chain_read(struct virtq_chain *chain, void *buf, size_t len);

/** chain_write() - copy up to @len bytes into the writable part; the number copied */
size_t chain_write(struct virtq_chain *chain, const void *buf, size_t len);

/** chain_readable() - readable bytes left */
size_t chain_readable(const struct virtq_chain *chain);

/** chain_writable() - writable bytes left */
size_t chain_writable(const struct virtq_chain *chain);

/** chain_skip_write() - move the write cursor on by @len (at most what is left); bytes as they are */
size_t chain_skip_write(struct virtq_chain *chain, size_t len);

/** chain_rewind_write() - move the write cursor back to the first writable byte */
void chain_rewind_write(struct virtq_chain *chain);

/**
 * chain_read_to_fd() - write up to @len readable bytes to a file without a copy
 * @offset: as for pwritev2(); -1: at the file's position (pipes, sockets)
 * @flags:  RWF_*
 *
 * Return: bytes written (the cursor advanced by as many), or -errno.
 */
ssize_t chain_read_to_fd(struct virtq_chain *chain, int fd, off_t offset, size_t len, int flags);

/**
 * chain_write_from_fd() - read up to @len bytes of a file into the writable part without a copy
 *
 * Return: bytes read (0 at end of file), or -errno.
 */
ssize_t chain_write_from_fd(struct virtq_chain *chain, int fd, off_t offset, size_t len, int flags);

/**
 * chain_read_iov() - where the readable bytes that are left lie, for one writev() of them
 * @iov: out
 * @max: its length
 *
 * The cursor stays. Return: the number of entries, or -E2BIG.
 */
int chain_read_iov(const struct virtq_chain *chain, struct iovec *iov, size_t max);

/** chain_write_iov() - likewise the writable bytes that are left, for a readv() into them */
int chain_write_iov(const struct virtq_chain *chain, struct iovec *iov, size_t max);

#endif
