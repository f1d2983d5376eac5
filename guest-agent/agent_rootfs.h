/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_ROOTFS_H
#define GUEST_AGENT_AGENT_ROOTFS_H

struct agent_container;
struct error;

/* Which of the container's sysctls. */
enum rootfs_sysctls {
	SYSCTLS_ALL,
	SYSCTLS_NETWORK, /* net.* */
	SYSCTLS_OTHER,
};

/**
 * rootfs_sysctl_path() - the file of a sysctl, malloc'ed; NULL with @err set
 * @key: with dots, or with slashes; as sysctl.d(5) has it, the other one of them, after the first, is
 *       part of a name: net/ipv4/conf/eth0.1/forwarding is net.ipv4.conf.eth0/1.forwarding
 */
char *rootfs_sysctl_path(const char *key, struct error **err);

/** rootfs_sysctls() - write sysctls, by the guest's /proc: it shows the caller's own namespaces */
int rootfs_sysctls(const struct agent_container *c, enum rootfs_sysctls which, struct error **err);

/*
 * The container's root. Both run in the container's first process, in its namespaces, in this
 * order; between them "/" is the container's root and may still be written to.
 */

/**
 * rootfs_enter() - put the root together, and pivot into it
 *
 * The export's rootfs, the mounts in their order, devices, sysctls, masked and read-only paths.
 */
int rootfs_enter(const struct agent_container *c, struct error **err);

/** rootfs_seal() - read-only root and tmpfs, and the root's propagation, as configured */
int rootfs_seal(const struct agent_container *c, struct error **err);

#endif
