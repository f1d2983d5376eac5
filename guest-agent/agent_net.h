/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NET_H
#define GUEST_AGENT_AGENT_NET_H

#include <stddef.h>

struct agent_interface;
struct error;

/** net_loopback_up() - bring `lo` up in the caller's network namespace (netdevice(7)) */
int net_loopback_up(struct error **err);

/**
 * net_configure() - make the guest's interfaces what those of the container are on the host
 *
 * Return: 0, or -1 with what could not be had.
 */
int net_configure(const struct agent_interface *v, size_t count, struct error **err);

#endif
