/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VMM_SANDBOX_H
#define VMM_VMM_SANDBOX_H

/*
 * What krun-gpu-vmm gives up before the guest runs. Called by main(), in this order.
 */

#include <stdbool.h>

struct error;

/**
 * vmm_sandbox_drop_rights() - capabilities, new privileges and the file system
 * @root_below: below the root lies the container's, to be left for who joins the mount namespace
 *
 * Before any thread exists. Without CAP_SYS_ADMIN (a rootless caller) the file system stays in
 * sight, and the seccomp filter is what keeps it out of reach.
 */
int vmm_sandbox_drop_rights(bool root_below, struct error **err);

/** vmm_sandbox_seccomp() - the system calls of all threads, once all of them exist */
int vmm_sandbox_seccomp(struct error **err);

#endif
