/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_PROC_H
#define GUEST_AGENT_AGENT_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * proc_open() - the /proc that a process of the container's has
 * @pid: that process, as the agent sees it
 *
 * Return: an fd, or -1 where the container has none.
 */
int proc_open(pid_t pid);

/**
 * proc_read() - what is asked of it
 * @proc: as proc_open() gave it
 * @what: enum agent_proc
 * @pid:  as the container sees it
 * @text: room for AGENT_PROC_TEXT_MAX bytes
 * @len:  out
 *
 * Return: 0 or -errno.
 */
int proc_read(int proc, uint32_t what, uint32_t pid, char *text, size_t *len);

#endif
