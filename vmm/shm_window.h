/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_SHM_WINDOW_H
#define VMM_SHM_WINDOW_H

/*
 * A shared-memory region of a device (virtio 1.2, 2.10) as the VMM holds it: a reserved range of
 * its address space, one memslot, into which a worker has files mapped (vhost-user SHMEM_MAP).
 * The VMM itself never touches the bytes. Called with the machine's lock held.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;
struct shm_window;

/**
 * shm_window_create() - reserve the address space
 * @gpa:  where the guest will see it, page aligned
 * @size: bytes, page aligned
 *
 * Nothing is mapped yet: a guest that touches the window there ends its vCPU with EFAULT.
 */
struct shm_window *shm_window_create(uint64_t gpa, uint64_t size, struct error **err);
void shm_window_free(struct shm_window *win);

uint64_t shm_window_gpa(const struct shm_window *win);
uint64_t shm_window_size(const struct shm_window *win);
/** shm_window_hva() - for the memslot, and for nothing else */
void *shm_window_hva(const struct shm_window *win);

/**
 * shm_window_map() - map a file into the window
 * @offset:    in the window, page aligned
 * @len:       bytes, page aligned, not 0
 * @fd:        borrowed; a file with a size (memfd, dma-buf)
 * @fd_offset: in the file, page aligned; the range must lie within the file
 *
 * Return: 0, -EINVAL (alignment, bounds, file too short), -EEXIST (overlaps a present mapping),
 * -ENOSPC (too many mappings), or mmap()'s -errno; the window is then as it was.
 */
int shm_window_map(struct shm_window *win, uint64_t offset, uint64_t len, int fd,
		   uint64_t fd_offset, bool writable);

/** shm_window_unmap() - undo exactly one shm_window_map(); 0, -ENOENT, or mmap()'s -errno */
int shm_window_unmap(struct shm_window *win, uint64_t offset, uint64_t len);

/** shm_window_clear() - undo all (the device was reset, or its worker died) */
void shm_window_clear(struct shm_window *win);

#endif
