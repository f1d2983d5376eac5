/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_RNG_H
#define VMM_VIRTIO_RNG_H

#include "vmm/virtio/virtio_device.h"

struct error;

/** rng_create() - an entropy device (virtio 1.2, 5.4) fed by getrandom() */
struct virtio_device *rng_create(const struct guest_memory *mem, struct error **err);

#endif
