/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_INTERNAL_H
#define LAUNCH_INTERNAL_H

/* The parts of launch.c. Each answers 0, or -1 with @err set; launch.c cleans up. */

#include "base/vmm_proto.h"
#include "container.h"
#include "gpu_select.h"
#include "launch.h"
#include "launch_plan.h"
#include "launch_size.h"
#include "net_collect.h"

struct spawn;

#define AGENT_PROGRAM LIBEXECDIR "/krun-gpu-agent"

/** struct launch - a container on its way to being created */
struct launch {
	const struct app *app;
	const struct launch_options *opts;
	struct container c; /* its spec's arena also holds what the launch comes to */
	struct launch_plan plan;
	struct launch_size size;
	int vmm_fds[VMM_FD_COUNT]; /* owned, by enum vmm_fd; -1 where absent */
	int setup;		   /* owned: our end of the VMM's set-up socket */
	int cgroup;		   /* owned: directory of the cgroup, -1 without */
	int netns;		   /* owned: network namespace to join, -1 without */
	bool new_netns;
	bool pause; /* the container holds a pod's namespaces, and has no microVM */
	struct net_found net; /* owned: the guest's interfaces */
	size_t num_nets;      /* its network devices: as many, or more */
	uint32_t net_queues;  /* queue pairs of each */
	bool vhost_net;	      /* served by the host's kernel */
	struct gpu_choice gpu; /* owned; set when size.gpu_window is not 0 */
	const char *krunfw; /* path of libkrunfw.so.5 when that is the guest kernel */
};

/** launch_spawn() - spawn with what all helpers have in common, and remember the process */
int launch_spawn(struct launch *l, struct spawn *s, struct process_ref *ref, struct error **err);

/** launch_warn() - log what the container goes without; once for each container */
void launch_warn(const struct launch *l);

/** launch_vmm_open() - open what the VMM needs: KVM, guest kernel, agent */
int launch_vmm_open(struct launch *l, struct error **err);

/**
 * launch_spawn_machine() - spawn what is the container on the host: the VMM, or a pod's pause process
 *
 * With the control socket, where command lines reach it, and one end of l->setup as VMM_SETUP_FD.
 */
int launch_spawn_machine(struct launch *l, struct spawn *s, struct error **err);

/** launch_is_pause() - is it the container that holds a pod's namespaces? */
bool launch_is_pause(const struct oci_spec *spec);

/** launch_pause() - start the process of such a container, which waits for launch_pause_begin() */
int launch_pause(struct launch *l, struct error **err);

/** launch_pause_begin() - have it serve command lines */
int launch_pause_begin(struct launch *l, struct error **err);

/** launch_join_pod() - namespaces of a pod's that are given by path; refuses those of others */
int launch_join_pod(struct launch *l, struct error **err);

/** launch_vmm_spawn() - start the VMM, which waits for its configuration */
int launch_vmm_spawn(struct launch *l, struct error **err);

/** launch_proc() - where the VMM shows the container's processes, as launch_root() mounts it */
int launch_proc(struct launch *l, struct error **err);

/** launch_root() - in the forked child that becomes the VMM: its mount namespace */
int launch_root(void *data, struct error **err);

/** launch_vmm_boot() - send the configuration and wait until the container is created */
int launch_vmm_boot(struct launch *l, struct error **err);

/** launch_cgroup() - make the container's cgroup, which everything spawned later joins */
int launch_cgroup(struct launch *l, struct error **err);

/** launch_scope() - with systemd: make the cgroup around the VMM, which has been spawned */
int launch_scope(struct launch *l, struct error **err);

/** launch_net() - connect the guest to what is in the container's network namespace */
int launch_net(struct launch *l, struct error **err);

/** launch_net_host() - the same where the container is to share the host's network */
int launch_net_host(struct launch *l, struct error **err);

/** launch_oom() - where the VMM marks that memory was too little, and engines look for it */
int launch_oom(struct launch *l, struct error **err);

/** launch_fs() - start the file server on the export */
int launch_fs(struct launch *l, struct error **err);

/** launch_sockets() - start the worker for unix sockets of the host's, where some are mounted */
int launch_sockets(struct launch *l, struct error **err);

/** launch_gpu_choose() - which GPU and driver; nothing when no GPU was asked for */
int launch_gpu_choose(struct launch *l, struct error **err);

/** launch_gpu() - start the render server and the GPU worker */
int launch_gpu(struct launch *l, struct error **err);

/** launch_streams() - the container's standard streams, or its terminal */
int launch_streams(struct launch *l, struct error **err);

#endif
