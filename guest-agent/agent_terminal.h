/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_TERMINAL_H
#define GUEST_AGENT_AGENT_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/**
 * terminal_open() - a new pseudoterminal of the container's own devpts
 * @console: also bind it over the container's /dev/console
 * @fds:     out: master and slave, close-on-exec, owned by the caller
 *
 * Runs in the container's process, with the container's root as "/".
 */
int terminal_open(uint32_t rows, uint32_t columns, bool console, int fds[2], struct error **err);

/** terminal_resize() - set the window size; the kernel sends SIGWINCH. 0 or -errno. */
int terminal_resize(int master, uint32_t rows, uint32_t columns);

#endif
