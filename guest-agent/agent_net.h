/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NET_H
#define GUEST_AGENT_AGENT_NET_H

struct error;

/** net_loopback_up() - bring `lo` up in the caller's network namespace (netdevice(7)) */
int net_loopback_up(struct error **err);

#endif
