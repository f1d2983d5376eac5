/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_LOOKUP_H
#define GUEST_AGENT_AGENT_LOOKUP_H

#include <stdint.h>

/**
 * lookup_steer() - TCP connections to a port of an IPv4 address go to a listener that is elsewhere
 * @fd:      the listener
 * @address: in network byte order
 * @port:    in the host's
 *
 * In this process's network namespace, whoever else listens there. Both ends see the address and port that
 * were meant. Needs a kernel with BPF.
 *
 * Return: a file descriptor that this lasts as long as, or -errno.
 */
int lookup_steer(int fd, uint32_t address, uint16_t port);

#endif
