/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A socket pair of packets in the place of a tap's queue: linking this replaces net_tap.c. */
#include "tests/unit/fake_tap.h"

#include <errno.h>

#include "vmm/virtio/net_priv.h"

#define FDS 1024

/* Detached queues, by their fd. A queue is attached when it is opened. */
static bool detached[FDS];

int net_tap_set_queue(int tap, bool attach)
{
	if (tap < 0 || tap >= FDS || detached[tap] == !attach)
		return -EINVAL; /* as the kernel answers what is so already */
	detached[tap] = !attach;
	return 0;
}

void fake_tap_opened(int tap)
{
	detached[tap] = false;
}

bool fake_tap_attached(int tap)
{
	return tap >= 0 && !detached[tap];
}

int net_tap_set_offload(int tap, uint64_t features)
{
	(void)tap;
	(void)features;
	return 0;
}
