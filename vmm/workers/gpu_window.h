/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_WINDOW_H
#define VMM_WORKERS_GPU_WINDOW_H

/*
 * The host-visible window's allocation, as the guest's driver makes it: the guest chooses offsets,
 * and this table says whether a choice can stand. Bytes throughout.
 */

#include <stddef.h>
#include <stdint.h>

#define GPU_PAGE_SIZE 4096u

struct gpu_window_range {
	uint64_t offset, len;
};

struct gpu_window {
	uint64_t size;
	struct gpu_window_range *ranges; /* owned; sorted by offset, none overlap */
	size_t count, room;
};

void gpu_window_init(struct gpu_window *win, uint64_t size);
void gpu_window_release(struct gpu_window *win);

/**
 * gpu_window_take() - reserve a range
 *
 * Return: 0; -EINVAL (not page aligned, empty, outside the window), -EEXIST (overlaps), -ENOMEM.
 */
int gpu_window_take(struct gpu_window *win, uint64_t offset, uint64_t len);

/** gpu_window_drop() - give a range back that gpu_window_take() gave; harmless otherwise */
void gpu_window_drop(struct gpu_window *win, uint64_t offset);

/** gpu_window_clear() - give all back: the front end's window is empty too */
void gpu_window_clear(struct gpu_window *win);

#endif
