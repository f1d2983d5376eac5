/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-vmm: one container's virtual machine. Started by the command line with a socket as fd
 * VMM_SETUP_FD and a log as fd 2; its process is the container's process for everybody else on the
 * host, and it ends as the container's process ends.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "vmm/container.h"
#include "vmm/machine.h"
#include "vmm/vmm_sandbox.h"

#define PROGRAM "krun-gpu-vmm"

/* End the way the container's process did: its exit code, or the same signal. */
_Noreturn static void end_as(int wait_status)
{
	if (WIFSIGNALED(wait_status)) {
		const int signo = WTERMSIG(wait_status);
		sigset_t set;

		signal(signo, SIG_DFL);
		sigemptyset(&set);
		sigaddset(&set, signo);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		raise(signo);
		_exit(128 + signo); /* a signal that does not kill: the agent made it up */
	}
	_exit(WEXITSTATUS(wait_status));
}

/*
 * The machine broke: to the outside the container's process was killed. What the command line has been
 * told it says itself.
 */
_Noreturn static void end_broken(struct machine *m, const struct error *err)
{
	log_write(machine_creator_told(m) ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "%s", error_msg(err));
	end_as(SIGKILL);
}

/* Before the container could be created: the command line that waits is told, and we are gone. */
_Noreturn static void end_setup(const struct error *err)
{
	struct wire_writer w = { 0 };

	log_debug("set-up failed: %s", error_msg(err));
	wire_put_u32(&w, err ? (uint32_t)err->code : 0);
	wire_put_str(&w, error_msg(err));
	if (!w.failed)
		msg_send(VMM_SETUP_FD, VMM_ERROR, w.data, w.len, NULL, 0);
	_exit(1);
}

static int take_fds(const struct vmm_config *cfg, struct msg *msg, int fds[VMM_FD_COUNT],
		    struct error **err)
{
	size_t next = 0;

	for (unsigned int i = 0; i < VMM_FD_COUNT; i++) {
		fds[i] = -1;
		if (!(cfg->fd_mask & (1ull << i)))
			continue;
		if (next == msg->nfds)
			return error_set(err, EPROTO, "the configuration lacks file descriptors");
		fds[i] = steal_fd(&msg->fds[next++]);
	}
	return 0;
}

/* A device has all of its queues' descriptors, or none. */
static bool net_fds_fit(const int *fds, uint32_t queues)
{
	const bool tap = fds[0] >= 0;

	for (uint32_t i = 0; i < VMM_NET_QUEUES_MAX; i++)
		if ((fds[i] >= 0) != (tap && i < queues))
			return false;
	return true;
}

static int check_nets(const struct vmm_config *cfg, const int fds[VMM_FD_COUNT],
		      struct error **err)
{
	/* The first device is there if any is. */
	if (cfg->net[0].mtu && (cfg->net_queues < 1 || cfg->net_queues > VMM_NET_QUEUES_MAX))
		return error_set(err, EINVAL, "%u network queues are not between 1 and %d",
				 cfg->net_queues, VMM_NET_QUEUES_MAX);
	for (size_t i = 0; i < VMM_NET_MAX; i++) {
		const uint32_t mtu = cfg->net[i].mtu, queues = mtu ? cfg->net_queues : 0;

		if (mtu && (mtu < 68 || mtu > 65535))
			return error_set(err, EINVAL, "an MTU of %u is not possible", mtu);
		if (!net_fds_fit(&fds[VMM_FD_NET + i * VMM_NET_QUEUES_MAX], queues) ||
		    !net_fds_fit(&fds[VMM_FD_VHOST + i * VMM_NET_QUEUES_MAX], queues))
			return error_set(err, EINVAL, "network device %zu lacks descriptors", i);
	}
	return 0;
}

static int check_config(const struct vmm_config *cfg, const int fds[VMM_FD_COUNT],
			struct error **err)
{
	static const enum vmm_fd needed[] = { VMM_FD_KVM, VMM_FD_AGENT, VMM_FD_CONTROL };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (fds[needed[i]] < 0)
			return error_set(err, EINVAL, "the configuration lacks descriptor %d",
					 needed[i]);
	if (cfg->kernel == VMM_KERNEL_FILE ? fds[VMM_FD_KERNEL] < 0 :
					     cfg->kernel != VMM_KERNEL_KRUNFW)
		return error_set(err, EINVAL, "the configuration has no guest kernel");
	if (check_nets(cfg, fds, err))
		return -1;
	if (cfg->vcpus < 1 || cfg->vcpus > 64)
		return error_set(err, EINVAL, "%u vCPUs are not between 1 and 64", cfg->vcpus);
	return 0;
}

static int receive_config(struct vmm_config *cfg, int fds[VMM_FD_COUNT], struct error **err)
{
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r;
	const int got = msg_recv(VMM_SETUP_FD, &msg);

	if (got < 0)
		return error_set(err, -got, "cannot receive the configuration");
	if (got == 0)
		return error_set(err, EPIPE, "nobody sent a configuration");
	r = WIRE_READER(msg.payload, msg.len);
	if (msg.type != VMM_CONFIG || vmm_config_decode(&r, cfg))
		return error_set(err, EPROTO, "the configuration cannot be understood");
	if (take_fds(cfg, &msg, fds, err))
		return -1;
	return check_config(cfg, fds, err);
}

static struct machine *build_machine(const struct vmm_config *cfg, int fds[VMM_FD_COUNT],
				     struct error **err)
{
	struct machine *m = machine_create(cfg, fds, err);

	if (m && (machine_add_devices(m, fds, err) || machine_load(m, fds, err) ||
		  vmm_sandbox_drop_rights(cfg->root_below, err) || machine_start_devices(m, err) ||
		  machine_add_vcpus(m, err)))
		return NULL; /* the process is about to end */
	return m;
}

int main(void)
{
	int keep[] = { VMM_SETUP_FD }, fds[VMM_FD_COUNT], wait_status;
	cleanup_error struct error *err = NULL;
	struct vmm_config cfg = { 0 };
	struct machine *machine;

	log_init(PROGRAM, STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	/* With more arenas the C library counts processors in sysfs, where the sandbox ends it. */
	mallopt(M_ARENA_MAX, 2);
	container_block_signals();
	fd_keep_only(keep, 1);
	fd_set_cloexec(VMM_SETUP_FD, true);
	if (receive_config(&cfg, fds, &err))
		end_setup(err);
	log_init(PROGRAM, STDERR_FILENO, (enum log_format)cfg.log_format,
		 (enum log_level)cfg.log_level);
	machine = build_machine(&cfg, fds, &err);
	if (!machine)
		end_setup(err);
	if (machine_add_container(machine, fds, VMM_SETUP_FD, &err))
		end_broken(machine, err);
	if (vmm_sandbox_seccomp(&err)) {
		machine_fail(machine, error_msg(err));
		end_broken(machine, err);
	}
	if (machine_run(machine, &wait_status, &err)) {
		machine_fail(machine, error_msg(err));
		end_broken(machine, err);
	}
	end_as(wait_status);
}
