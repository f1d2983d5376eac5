/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_HOST_H
#define GUEST_AGENT_AGENT_HOST_H

#include <stdint.h>

struct error;

/*
 * What only a microVM has: the way to the host, the export, and a machine to switch off. The
 * agent's tests link an implementation of their own (tests/guest/agent_host_unix.c), everything
 * else is the same code in both.
 */

/**
 * host_connect() - connect to a port of the host (agent_proto.h)
 *
 * Return: a blocking stream socket, close-on-exec, or -1.
 */
int host_connect(uint32_t port, struct error **err);

/** host_mount_export() - mount the file system with tag AGENT_FS_TAG on an existing directory */
int host_mount_export(const char *path, struct error **err);

/** host_power_off() - end the machine; nothing more is to be told */
void host_power_off(void) __attribute__((noreturn));

#endif
