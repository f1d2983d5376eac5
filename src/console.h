/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

struct error;

/**
 * console_open() - a new pty on the host, which a VMM relays to the one in its guest
 * @master: out: owned by the caller
 * @slave:  out: raw, so that only the guest's line discipline acts
 * @rows:   with @columns the size to begin with; 0: none yet
 */
int console_open(int *master, int *slave, uint32_t rows, uint32_t columns, struct error **err);

/** console_send() - hand a pty's master over on the unix socket at @path (--console-socket) */
int console_send(const char *path, int master, struct error **err);

#endif
