/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/gpu_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void gpu_window_init(struct gpu_window *win, uint64_t size)
{
	*win = (struct gpu_window){ .size = size };
}

void gpu_window_release(struct gpu_window *win)
{
	free(win->ranges);
	*win = (struct gpu_window){ 0 };
}

/* The index of the first range that begins at @offset or above it. */
static size_t gpu_window_search(const struct gpu_window *win, uint64_t offset)
{
	size_t low = 0, high = win->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (win->ranges[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int gpu_window_grow(struct gpu_window *win)
{
	size_t room = win->room ? win->room * 2 : 64;
	struct gpu_window_range *grown;

	if (win->count < win->room)
		return 0;
	grown = reallocarray(win->ranges, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	win->ranges = grown;
	win->room = room;
	return 0;
}

int gpu_window_take(struct gpu_window *win, uint64_t offset, uint64_t len)
{
	struct gpu_window_range *at;
	size_t i;

	if (!len || offset % GPU_PAGE_SIZE || len % GPU_PAGE_SIZE || offset > win->size ||
	    len > win->size - offset)
		return -EINVAL;
	i = gpu_window_search(win, offset);
	if (i < win->count && win->ranges[i].offset < offset + len)
		return -EEXIST;
	if (i > 0 && win->ranges[i - 1].offset + win->ranges[i - 1].len > offset)
		return -EEXIST;
	if (gpu_window_grow(win) < 0)
		return -ENOMEM;
	at = &win->ranges[i];
	memmove(at + 1, at, (win->count - i) * sizeof(*at));
	*at = (struct gpu_window_range){ offset, len };
	win->count++;
	return 0;
}

void gpu_window_drop(struct gpu_window *win, uint64_t offset)
{
	size_t i = gpu_window_search(win, offset);
	struct gpu_window_range *at = win->ranges + i;

	if (i == win->count || at->offset != offset)
		return;
	memmove(at, at + 1, (win->count - i - 1) * sizeof(*at));
	win->count--;
}

void gpu_window_clear(struct gpu_window *win)
{
	win->count = 0;
}
