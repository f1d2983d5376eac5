/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_BOOT_H
#define GUEST_AGENT_AGENT_BOOT_H

#include <stdint.h>

struct error;

/* The guest's own file system tree, as the agent sees it. */
#define BOOT_EXPORT "/export"		/* the virtio-fs export */
#define BOOT_CONTAINER "/container"	/* where a container's root is put together */
#define BOOT_CGROUP "/sys/fs/cgroup"

/**
 * boot_machine() - PID 1's first steps
 *
 * Replaces the initramfs by a small tmpfs as the root (pivot_root(2) refuses an initramfs, and a
 * container's root is pivoted into), mounts proc, sysfs, devtmpfs and cgroup2, makes sure that
 * fds 0 to 2 are open, protects the agent from the guest's OOM killer, brings the loopback
 * interface up and mounts the export.
 */
int boot_machine(struct error **err);

/**
 * boot_set_clock() - set CLOCK_REALTIME unless it is right already (kvmclock)
 * @host_ns: the host's time in ns since 1970; 0: unknown, nothing is done
 */
int boot_set_clock(uint64_t host_ns, struct error **err);

/** boot_flush_export() - write what is dirty back to the host, and unmount the export */
void boot_flush_export(void);

#endif
