/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_BOOT_H
#define GUEST_AGENT_AGENT_BOOT_H

#include <stdint.h>

struct agent_container;
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

/**
 * boot_pin_export() - have the agent's own mount namespace hold the export's submounts
 *
 * A submount of virtio-fs may not be the last of its file system to go while requests of it are
 * under way, such as the RELEASE of a file that was just closed: Linux (6.12 at least) does not wait
 * for them, finds inodes busy after the unmount, and crashes when the answers come. So neither a
 * container that unmounts a volume nor the end of its mount namespace is ever the last.
 */
void boot_pin_export(const struct agent_container *c);

#endif
