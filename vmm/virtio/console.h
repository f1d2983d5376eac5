/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_CONSOLE_H
#define VMM_VIRTIO_CONSOLE_H

#include "vmm/virtio/virtio_device.h"

struct error;
struct last_words;

/* What a guest may put on its console in all: a log must not fill the host's disk. */
#define CONSOLE_MAX_BYTES (16u << 20)

/**
 * console_create() - the guest kernel's console (virtio 1.2, 5.3): output only, one port
 * @out_fd:     where the output goes, borrowed; -1: it is dropped
 * @last_words: is told all of it, borrowed
 *
 * Output is best effort: what @out_fd would block on is dropped, and so is all beyond
 * CONSOLE_MAX_BYTES. Containers' streams do not come this way.
 */
struct virtio_device *console_create(const struct guest_memory *mem, int out_fd,
				     struct last_words *last_words, struct error **err);

#endif
