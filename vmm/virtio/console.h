/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_CONSOLE_H
#define VMM_VIRTIO_CONSOLE_H

#include "vmm/virtio/virtio_device.h"

struct error;

/* What a guest may put on its console in all: a log must not fill the host's disk. */
#define CONSOLE_MAX_BYTES (16u << 20)

/**
 * console_create() - the guest kernel's console (virtio 1.2, 5.3): output only, one port
 * @out_fd: where the output goes, borrowed; -1: it is dropped
 *
 * Output is best effort: what @out_fd would block on is dropped, and so is all beyond
 * CONSOLE_MAX_BYTES. Containers' streams do not come this way.
 */
struct virtio_device *console_create(const struct guest_memory *mem, int out_fd,
				     struct error **err);

/**
 * console_last_words() - why the guest is about to end, as its kernel or its agent says; NULL: they
 * have not said it
 *
 * A line that begins with "Kernel panic - not syncing: " or "krun-gpu-agent: " (and is no warning),
 * without time stamps, of printable ASCII characters. It is the guest's word: anything that runs
 * there may have written it.
 */
const char *console_last_words(const struct virtio_device *dev);

#endif
