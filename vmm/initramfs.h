/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_INITRAMFS_H
#define VMM_INITRAMFS_H

#include <stdint.h>

struct error;
struct guest_memory;

/**
 * initramfs_build() - make an archive in guest RAM that holds the agent as /init
 * @agent_fd: borrowed, an executable file
 * @floor:    nothing below this gpa is overwritten
 * @gpa:      out: where it begins, page aligned, as high as RAM below 4 GiB allows
 * @size:     out: bytes
 */
int initramfs_build(const struct guest_memory *gm, int agent_fd, uint64_t floor, uint64_t *gpa,
		    uint64_t *size, struct error **err);

#endif
