/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_SANDBOX_H
#define VMM_WORKERS_FS_SANDBOX_H

/* How krun-gpu-fs gives up what it does not need, in the order of its main(). */

#include <stdint.h>

struct error;

/**
 * fs_sandbox_enter_export() - make @dir all there is
 * @proc_fd: out: the directory /proc/self/fd, cut out of /proc: nothing is above it
 *
 * In a mount namespace of its own the process pivots into @dir. It has no network, no System V
 * IPC and no host name to change, either. Return: O_PATH of the export's root, or -1.
 */
int fs_sandbox_enter_export(const char *dir, int *proc_fd, struct error **err);

/** fs_sandbox_drop_rights() - keep only the capabilities that a file server needs */
int fs_sandbox_drop_rights(struct error **err);

/** fs_sandbox_seccomp() - from now on, only what serving files takes */
int fs_sandbox_seccomp(struct error **err);

#endif
