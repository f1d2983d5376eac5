/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_GPU_SANDBOX_H
#define VMM_WORKERS_GPU_SANDBOX_H

struct error;

/**
 * gpu_sandbox_enter_namespaces() - no network, no path, no capability
 *
 * Before threads exist. Without privileges it takes a user namespace for it.
 */
int gpu_sandbox_enter_namespaces(struct error **err);

/** gpu_sandbox_seccomp() - the system calls that serving a guest takes, and no other */
int gpu_sandbox_seccomp(struct error **err);

#endif
