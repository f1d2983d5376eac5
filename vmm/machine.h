/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

/*
 * One container's virtual machine: the only place where vCPUs, memory, devices and the container's
 * state machine are wired together. Called from main() in the order of this file.
 */

#include <stdbool.h>

#include "base/vmm_proto.h"

struct error;
struct machine;

/** machine_create() - KVM, RAM, interrupt controllers; takes VMM_FD_KVM out of @fds */
struct machine *machine_create(const struct vmm_config *cfg, int fds[VMM_FD_COUNT],
			       struct error **err);

/**
 * machine_add_devices() - plug in what the configuration asks for
 *
 * Takes VMM_FD_CONSOLE, VMM_FD_NET and later, VMM_FD_FS and VMM_FD_GPU out of @fds. Talks to the workers.
 */
int machine_add_devices(struct machine *m, int fds[VMM_FD_COUNT], struct error **err);

/** machine_load() - kernel, agent and what the kernel is told; closes VMM_FD_KERNEL and _AGENT */
int machine_load(struct machine *m, int fds[VMM_FD_COUNT], struct error **err);

/** machine_start_devices() - start devices' threads, with the rights of the caller */
int machine_start_devices(struct machine *m, struct error **err);

/** machine_add_vcpus() - vCPUs and their threads, which wait for machine_run() */
int machine_add_vcpus(struct machine *m, struct error **err);

/**
 * machine_add_container() - begin to listen to the agent and to command lines
 * @setup: VMM_SETUP_FD, owned by the container from now on, also when this fails
 */
int machine_add_container(struct machine *m, int fds[VMM_FD_COUNT], int setup,
			  struct error **err);

/**
 * machine_run() - boot, and serve until the container has ended
 * @wait_status: out: how its process ended, as from waitpid()
 *
 * Return: 0, or -1 when the machine ended for another reason.
 */
int machine_run(struct machine *m, int *wait_status, struct error **err);

/** machine_fail() - tell those who wait for the container that it will not be */
void machine_fail(struct machine *m, const char *why);

/** machine_creator_told() - the command that creates the container knows why it failed */
bool machine_creator_told(struct machine *m);

/** machine_free() - end the vCPUs, unplug everything, free it all; harmless on NULL */
void machine_free(struct machine *m);

#endif
