/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_WATCHDOG_H
#define VMM_WORKERS_GPU_WATCHDOG_H

/*
 * Sees to it that a render server which never answers is cut off, and that one of its processes
 * which was stopped is ended (gpu_watchdog.c).
 */

#include <stdbool.h>

struct error;

/**
 * struct gpu_watchdog_config
 * @server_sock: what calls without a context wait on
 * @watch_sock:  to the first process of the jail (base/gpu_watch_proto.h); -1: none
 * @timeout_s:   the longest that one call may take
 * @waiting:     whether the guest waits for a fence; called in a signal handler
 */
struct gpu_watchdog_config {
	int server_sock, watch_sock;
	unsigned int timeout_s;
	bool (*waiting)(void *data);
	void *data;
};

/** gpu_watchdog_init() - for calls of the thread that calls this; once in a process */
int gpu_watchdog_init(const struct gpu_watchdog_config *config, struct error **err);

/** gpu_watchdog_begin() - a call begins that waits on @sock, or for the server when that is -1 */
void gpu_watchdog_begin(int sock);

/** gpu_watchdog_end() - it has returned; @what: its name in the log, had it to be cut off */
void gpu_watchdog_end(const char *what);

#endif
