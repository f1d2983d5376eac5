/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_PROCESS_REF_H
#define OCI_PROCESS_REF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct process_ref - a process that may end, and whose pid may then be another's
 * @pid:   0: none
 * @start: its start time in clock ticks since boot, which together with the pid is unique
 */
struct process_ref {
	pid_t pid;
	uint64_t start;
};

/** process_ref_of() - a reference to a process there is; pid 0 in it when there is none */
struct process_ref process_ref_of(pid_t pid);

/** process_ref_alive() - is it still that process, and not a zombie? */
bool process_ref_alive(const struct process_ref *ref);

/** process_ref_open() - a pidfd of it, or -1 with errno (ESRCH when it is gone or a zombie) */
int process_ref_open(const struct process_ref *ref);

/** process_ref_kill() - send a signal; 0 or -errno (-ESRCH when it is gone or a zombie) */
int process_ref_kill(const struct process_ref *ref, int signo);

/**
 * process_ref_end() - SIGKILL it and wait until it is gone
 * @timeout_ms: how long
 *
 * Return: 0 when it is gone, -ETIMEDOUT or another -errno.
 */
int process_ref_end(const struct process_ref *ref, int timeout_ms);

#endif
