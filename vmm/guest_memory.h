/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_GUEST_MEMORY_H
#define VMM_GUEST_MEMORY_H

/*
 * Guest RAM: shared mappings of one or more files (the VMM's memfd; in a worker, what
 * SET_MEM_TABLE brought). With virtqueue.c this is the only place that turns a guest physical
 * address into a pointer, and never without a length. Shared-memory windows are not RAM: no
 * descriptor can point there.
 */

#include <stddef.h>
#include <stdint.h>

#define GUEST_MEMORY_MAX_REGIONS 8

struct error;

struct guest_region {
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;	    /* owned mapping of size bytes */
	uint64_t fd_offset; /* where in the file the region begins */
};

struct guest_memory {
	struct guest_region regions[GUEST_MEMORY_MAX_REGIONS];
	size_t count;
	int memfd; /* owned; -1 in workers */
};

/**
 * guest_memory_create() - make a machine's RAM
 * @ram_bytes: multiple of 2 MiB
 * @low_max:   RAM reaches from 0 to at most here; the rest continues at 4 GiB
 *
 * A sealed (F_SEAL_SHRINK|GROW) memfd, mapped MAP_SHARED|MAP_NORESERVE, excluded from core dumps.
 */
int guest_memory_create(struct guest_memory *gm, uint64_t ram_bytes, uint64_t low_max,
			struct error **err);

/**
 * guest_memory_add() - map another process's region (workers)
 *
 * Checks alignment, overflow, overlap and that the file is long enough; @fd stays the caller's.
 * Return: 0 or -errno.
 */
int guest_memory_add(struct guest_memory *gm, uint64_t gpa, uint64_t size, int fd,
		     uint64_t fd_offset);

/** guest_memory_release() - unmap everything, close the memfd */
void guest_memory_release(struct guest_memory *gm);

/** guest_memory_ptr() - @len bytes at @gpa, NULL when they are not wholly inside one region */
void *guest_memory_ptr(const struct guest_memory *gm, uint64_t gpa, uint64_t len);

/** guest_memory_read() - copy out of the guest; 0 or -EFAULT */
int guest_memory_read(const struct guest_memory *gm, uint64_t gpa, void *buf, size_t len);

/** guest_memory_write() - copy into the guest; 0 or -EFAULT */
int guest_memory_write(const struct guest_memory *gm, uint64_t gpa, const void *buf, size_t len);

#endif
