/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_PROC_VIEW_H
#define VMM_PROC_VIEW_H

/*
 * The container's processes as a small /proc for engines that look for one in the mount namespace of
 * the container's process, as `podman top` does: a FUSE file system, served here, of what the agent
 * says. Read-only; there is what tells of processes, and nothing else of a /proc.
 */

#include <stddef.h>
#include <stdint.h>

struct error;
struct event_loop;
struct proc_view;

/** proc_ask_fn - have the agent say what a file holds (AGENT_PROC); 0 or -errno */
typedef int (*proc_ask_fn)(void *data, uint32_t cookie, uint32_t what, uint32_t pid);

/**
 * proc_view_create() - begin to serve
 * @fd: of /dev/fuse, mounted, non-blocking; owned from now on, also when this fails
 */
struct proc_view *proc_view_create(struct event_loop *loop, int fd, proc_ask_fn ask, void *data,
				   struct error **err);

/**
 * proc_view_answer() - what a file holds
 * @cookie: as @ask got it; one that is not waited for is ignored
 * @code:   errno of the guest's, or 0
 * @text:   copied
 */
void proc_view_answer(struct proc_view *pv, uint32_t cookie, int code, const char *text, size_t len);

void proc_view_free(struct proc_view *pv);

#endif
