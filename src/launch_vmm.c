/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/wire.h"
#include "console.h"
#include "control_client.h"
#include "launch_guest.h"
#include "launch_internal.h"
#include "spawn.h"

#define VMM_PROGRAM LIBEXECDIR "/krun-gpu-vmm"
#define KERNEL_FILE DATADIR "/vmlinux"

/* A guest that has not set itself up by then never will. */
/*
 * What a device says is the most that the driver takes, and a device may come to stand for any
 * network. The agent sets what it is. With buffers that merge the guest needs no larger ones.
 */
#define NET_DEVICE_MTU 65535

#define BOOT_TIMEOUT_MS 120000
#define END_TIMEOUT_MS 10000

static int open_kvm(struct launch *l, struct error **err)
{
	l->vmm_fds[VMM_FD_KVM] = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (l->vmm_fds[VMM_FD_KVM] >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return error_set(err, errno, "/dev/kvm: this host offers no KVM (is virtualization "
				 "enabled, and the module kvm_intel or kvm_amd loaded?)");
	if (errno == EACCES || errno == EPERM)
		return error_set(err, errno, "/dev/kvm: this user may not use KVM (is it in the "
				 "group kvm?)");
	return error_set(err, errno, "cannot open /dev/kvm");
}

static bool is_krunfw(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strncmp(slash ? slash + 1 : path, "libkrunfw.so", strlen("libkrunfw.so"));
}

/* As the man page says: the host's configuration, our own kernel, libkrunfw. */
static int open_kernel(struct launch *l, struct error **err)
{
	static const char *const krunfw[] = {
		"/usr/local/lib64/libkrunfw.so.5", "/usr/local/lib/libkrunfw.so.5",
		"/usr/lib64/libkrunfw.so.5", "/usr/lib/x86_64-linux-gnu/libkrunfw.so.5",
		"/usr/lib/libkrunfw.so.5",
	};
	const char *named = l->app->host.kernel;

	if (named && is_krunfw(named)) {
		if (access(named, R_OK) < 0)
			return error_set(err, errno, "cannot open the guest kernel %s", named);
		l->krunfw = named;
		return 0;
	}
	l->vmm_fds[VMM_FD_KERNEL] = open(named ? named : KERNEL_FILE, O_RDONLY | O_CLOEXEC);
	if (l->vmm_fds[VMM_FD_KERNEL] >= 0)
		return 0;
	if (named || errno != ENOENT)
		return error_set(err, errno, "cannot open the guest kernel %s",
				 named ? named : KERNEL_FILE);
	for (size_t i = 0; i < sizeof(krunfw) / sizeof(*krunfw); i++)
		if (!access(krunfw[i], R_OK)) {
			l->krunfw = krunfw[i];
			return 0;
		}
	return error_set(err, 0, "there is no guest kernel: neither %s nor libkrunfw.so.5",
			 KERNEL_FILE);
}

int launch_vmm_open(struct launch *l, struct error **err)
{
	if (open_kvm(l, err) < 0 || open_kernel(l, err) < 0)
		return -1;
	l->vmm_fds[VMM_FD_AGENT] = open(AGENT_PROGRAM, O_RDONLY | O_CLOEXEC);
	if (l->vmm_fds[VMM_FD_AGENT] < 0)
		return error_set(err, errno, "cannot open the guest agent %s", AGENT_PROGRAM);
	return 0;
}

static int open_terminal(struct launch *l, struct error **err)
{
	const struct oci_process *p = &l->c.spec.process;
	cleanup_close int master = -1;

	if (l->opts->terminal >= 0) {
		l->vmm_fds[VMM_FD_STDIN] = fcntl(l->opts->terminal, F_DUPFD_CLOEXEC, 3);
		return l->vmm_fds[VMM_FD_STDIN] < 0 ? error_set(err, errno, "terminal") : 0;
	}
	if (!l->opts->console_socket)
		return error_set(err, 0, "process.terminal: --console-socket is needed for it");
	if (console_open(&master, &l->vmm_fds[VMM_FD_STDIN], p->rows, p->columns, err) < 0)
		return -1;
	return console_send(l->opts->console_socket, master, err);
}

int launch_streams(struct launch *l, struct error **err)
{
	if (l->c.spec.process.terminal)
		return open_terminal(l, err);
	if (l->opts->console_socket)
		return error_set(err, 0, "--console-socket: process.terminal is false");
	for (int fd = 0; fd < 3; fd++) {
		int *copy = &l->vmm_fds[VMM_FD_STDIN + fd];

		/* The null device needs no stream. */
		if (!fd && fd_is_null(fd))
			continue;
		*copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (*copy < 0)
			return error_set(err, errno, "cannot pass standard streams on");
	}
	return 0;
}

static int launch_listen(struct launch *l, struct error **err)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", l->c.dirfd,
		 OCI_CONTROL_SOCKET);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(sock, 16) < 0)
		return error_set(err, errno, "cannot make the control socket");
	l->vmm_fds[VMM_FD_CONTROL] = steal_fd(&sock);
	return 0;
}

int launch_spawn_machine(struct launch *l, struct spawn *s, struct error **err)
{
	cleanup_close int theirs = -1;
	int pair[2];

	if (launch_listen(l, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->setup = pair[0];
	theirs = pair[1];
	s->fds[s->num_fds++] = (struct spawn_fd){ theirs, VMM_SETUP_FD };
	return launch_spawn(l, s, &l->c.state.vmm, err);
}

int launch_vmm_spawn(struct launch *l, struct error **err)
{
	static const char *const argv[] = { VMM_PROGRAM, NULL };
	struct spawn s = {
		.argv = argv, .netns_fd = l->netns, .new_netns = l->new_netns,
		/* With a terminal the VMM itself becomes the session's leader. */
		.new_session = !l->c.spec.process.terminal,
		.apparmor_profile = l->c.spec.process.apparmor_profile,
		.prepare = launch_root, .data = l,
	};

	return launch_spawn_machine(l, &s, err);
}

static int send_config(struct launch *l, struct error **err)
{
	cleanup_wire struct wire_writer guest = { 0 }, w = { 0 };
	cleanup_free char *state = NULL;
	struct vmm_config cfg = {
		.ram_bytes = l->size.ram_bytes, .vcpus = l->size.vcpus,
		.kernel = l->krunfw ? VMM_KERNEL_KRUNFW : VMM_KERNEL_FILE,
		.kernel_path = (char *)l->krunfw,
		.cmdline_extra = (char *)l->app->host.kernel_options,
		.root_below = true, .terminal = l->c.spec.process.terminal, .gpu_window = l->size.gpu_window,
		.log_level = l->app->log_level, .log_format = l->app->log_format,
	};
	int fds[VMM_FD_COUNT], r;
	size_t n = 0;

	l->c.state.status = OCI_STATUS_CREATED; /* as it will be when hooks read it */
	state = oci_state_json(&l->c.state, &l->c.spec);
	l->c.state.status = OCI_STATUS_CREATING;
	if (!state)
		return error_set(err, ENOMEM, "cannot write the state for hooks");
	if (launch_guest_encode(&l->c.spec, &l->plan, &l->net, state,
				l->vmm_fds[VMM_FD_STDIN] >= 0,
				&l->c.spec.arena, &guest, err) < 0)
		return -1;
	cfg.net_queues = l->net_queues;
	for (size_t i = 0; i < l->num_nets; i++) {
		net_device_mac((uint32_t)i, cfg.net[i].mac);
		cfg.net[i].mtu = NET_DEVICE_MTU;
		if (i < l->net.count)
			memcpy(cfg.net[i].mac, l->net.interfaces[i].device_mac,
			       sizeof(cfg.net[i].mac));
	}
	cfg.guest = guest.data;
	cfg.guest_len = guest.len;
	for (int i = 0; i < VMM_FD_COUNT; i++)
		if (l->vmm_fds[i] >= 0) {
			cfg.fd_mask |= 1ull << i;
			fds[n++] = l->vmm_fds[i];
		}
	vmm_config_encode(&w, &cfg);
	if (w.failed)
		return error_set(err, ENOMEM, "cannot write the VMM's configuration");
	r = msg_send(l->setup, VMM_CONFIG, w.data, w.len, fds, n);
	/* A VMM that died before it read this has said why on the log. */
	return r < 0 ? error_set(err, -r, "cannot configure the VMM") : 0;
}

/* A VMM that ended without an answer: how it did is all there is to tell, beside its log. */
static int vmm_ended(struct launch *l, struct error **err)
{
	const pid_t pid = l->c.state.vmm.pid;
	cleanup_close int fd = process_ref_open(&l->c.state.vmm);
	struct pollfd pfd = { fd, POLLIN, 0 };
	int status;

	/* The socket is closed before the process is gone. */
	if (fd >= 0)
		poll(&pfd, 1, END_TIMEOUT_MS);
	if (waitpid(pid, &status, WNOHANG) != pid)
		return -1;
	if (WIFSIGNALED(status))
		return error_set(err, 0, "the VMM was ended by signal %d (%s)", WTERMSIG(status),
				 strsignal(WTERMSIG(status)));
	return error_set(err, 0, "the VMM ended with code %d", WEXITSTATUS(status));
}

int launch_vmm_boot(struct launch *l, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_msg struct msg msg = { 0 };

	if (send_config(l, err) < 0)
		return -1;
	/* Only the VMM may hold these now: whoever waits for their end is to see it. */
	for (int i = 0; i < VMM_FD_COUNT; i++)
		if (l->vmm_fds[i] >= 0)
			close(steal_fd(&l->vmm_fds[i]));
	if (control_receive(l->setup, BOOT_TIMEOUT_MS, &msg, &why) < 0) {
		if (why->code == ECONNRESET)
			vmm_ended(l, &why);
		return error_move(err, &why);
	}
	if (msg.type != VMM_CREATED)
		return error_set(err, EPROTO, "the VMM answered out of turn");
	return 0;
}
