/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_VMM_PROTO_H
#define BASE_VMM_PROTO_H

/*
 * What the command line and krun-gpu-vmm say to each other (framed messages, base/msg.h).
 *
 * Set-up: the command line executes krun-gpu-vmm with one end of a stream socketpair as fd
 * VMM_SETUP_FD and sends VMM_CONFIG with its fds. The VMM builds the machine, narrows its rights,
 * boots, and answers VMM_CREATED when the agent said READY, or VMM_ERROR. Until VMM_CREATED, the
 * end of this socket means that the command line died: the VMM ends too. After VMM_CREATED both
 * sides close it.
 *
 * Control: later command lines connect to the container's control socket (its listening fd came
 * with VMM_CONFIG). Each connection may hold one request at a time; VMM_OK or VMM_ERROR answers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMM_SETUP_FD 3
/* The directory that the VMM makes in VMM_FD_OOM when memory was too little in the guest. */
#define VMM_OOM_MARK "killed"
/* Network devices of a machine. */
#define VMM_NET_MAX 4
/* Queue pairs of each, and taps' queues. */
#define VMM_NET_QUEUES_MAX 4

enum vmm_msg {
	VMM_CONFIG = 1, /* struct vmm_config; fds as the enum vmm_fd slots say */
	VMM_CREATED,	/* empty */
	VMM_OK,		/* empty */
	VMM_ERROR,	/* u32 errno or 0, string */
	VMM_START,	/* control: execute the container's process; u32 as AGENT_START */
	VMM_SIGNAL,	/* control: u32 signo, u8 all */
	VMM_STATE,	/* control: answered by VMM_STATE_IS */
	VMM_STATE_IS,	/* u8 enum vmm_container_state */
	VMM_PAUSE,	/* control: stop the vCPUs */
	VMM_RESUME,	/* control */
	VMM_EXEC,	/* control: struct agent_process encoding; fds: the process's stdin, stdout,
			 * stderr, or one terminal. Answered by VMM_STARTED or VMM_ERROR, then, on the
			 * same connection, by VMM_EXITED. Meanwhile VMM_EXEC_SIGNAL and VMM_EXEC_RESIZE
			 * may be sent, and are not answered. Closing it kills the process. */
	VMM_STARTED,	/* u32 pid in the guest */
	VMM_EXITED,	/* u32 wait status */
	VMM_EXEC_SIGNAL, /* u32 signo */
	VMM_EXEC_RESIZE, /* u32 rows, u32 columns */
	VMM_CGROUP,	 /* control: as AGENT_CGROUP; answered by VMM_CGROUP_IS or VMM_ERROR */
	VMM_CGROUP_IS,	 /* as AGENT_CGROUP_IS: the guest's words, for the command line to check */
};

enum vmm_container_state { VMM_BOOTING, VMM_STATE_CREATED, VMM_STATE_RUNNING, VMM_STATE_STOPPING };

/*
 * The fds of VMM_CONFIG. A bit in vmm_config.fd_mask says which are there; they are sent in this
 * order without gaps. Standard streams: with a terminal STDIN is the host pty's slave, and STDOUT
 * and STDERR are absent.
 */
enum vmm_fd {
	VMM_FD_KVM,	/* /dev/kvm */
	VMM_FD_KERNEL,	/* vmlinux or bzImage, read only; absent with KERNEL_KRUNFW */
	VMM_FD_AGENT,	/* the agent's ELF file, to become /init of the initramfs */
	VMM_FD_CONTROL, /* listening unix stream socket */
	VMM_FD_STDIN,
	VMM_FD_STDOUT,
	VMM_FD_STDERR,
	VMM_FD_FS,	/* vhost-user socket of krun-gpu-fs (or virtiofsd) */
	VMM_FD_GPU,	/* vhost-user socket of krun-gpu-gpu */
	VMM_FD_CONSOLE, /* where the guest kernel's console goes (append only); absent: dropped */
	VMM_FD_CONNECT, /* SOCK_SEQPACKET socket of krun-gpu-connect (base/connect_proto.h) */
	VMM_FD_PROC,	/* of /dev/fuse: the list of the container's processes (vmm/proc_view.h) */
	VMM_FD_OOM,	/* an empty directory with nothing above it, for VMM_OOM_MARK */
	/*
	 * Tap devices, with vnet headers as virtio 1 has them and in non-blocking mode: VMM_NET_QUEUES_MAX
	 * slots for each entry of vmm_config.net, of which one that is connected from the start fills
	 * vmm_config.net_queues.
	 */
	VMM_FD_NET,
	VMM_FD_NET_LAST = VMM_FD_NET + VMM_NET_MAX * VMM_NET_QUEUES_MAX - 1,
	/* /dev/vhost-net for every device, connected or not, in the same slots; absent without it. */
	VMM_FD_VHOST,
	VMM_FD_VHOST_LAST = VMM_FD_VHOST + VMM_NET_MAX * VMM_NET_QUEUES_MAX - 1,
	VMM_FD_NET_WATCH,  /* where krun-gpu-net says what changed, and is asked (enum vmm_net_msg) */
	VMM_FD_NET_WORKER, /* instead of these: vhost-user socket of passt; it is vmm_config.net[0] */
	VMM_FD_COUNT,
};

enum vmm_kernel {
	VMM_KERNEL_FILE,    /* VMM_FD_KERNEL; ELF or bzImage is told from its header */
	VMM_KERNEL_KRUNFW,  /* kernel_path names libkrunfw.so.5; loaded before rights are narrowed */
};

/** struct vmm_net - a virtio-net device on a tap, or on none yet */
struct vmm_net {
	uint8_t mac[6];
	uint32_t mtu; /* 68 to 65535; 0: there is no such device */
};

/*
 * What krun-gpu-net, which watches the container's network namespace, says to the VMM. What it
 * describes of an interface is the agent's matter, and passed on.
 */
enum vmm_net_msg {
	VMM_NET_PLUG = 1, /* u32 device, bytes: AGENT_INTERFACE payload; fds: the tap's queues */
	VMM_NET_CHANGE,	  /* the same without a tap: how it is now */
	VMM_NET_UNPLUG,	  /* u32 device */
	VMM_NET_LOCAL,	  /* u32 TCP port, bytes: the address (4 or 16, in network byte order) to which
			   * somebody in the namespace connected; fd: the connection */
	VMM_NET_DNS_IS,	  /* as AGENT_DNS_IS */
	VMM_NET_DNS_CONNECTED, /* u32 slot, u32 errno or 0; then fd: the connection */
	VMM_NET_SETTLED, /* all that there is has been told; u32 the address of a name server that was
			  * found just now, or 0 */
	/* and what the VMM says to it, which is the guest's: */
	VMM_NET_DNS = 64, /* as AGENT_DNS */
	VMM_NET_DNS_CONNECT, /* u32 slot, which comes back: connect to the name server by TCP */
	VMM_NET_SETTLE, /* tell what has changed, now; u32 an address of the loopback interface's at which
			 * there may be a name server by now, or 0 */
};

struct vmm_config {
	uint64_t fd_mask; /* bit enum vmm_fd */
	uint64_t ram_bytes; /* a multiple of 2 MiB */
	uint32_t vcpus;	    /* 1 to 64 */
	uint32_t kernel;    /* enum vmm_kernel */
	char *kernel_path;
	char *cmdline_extra; /* appended to the kernel command line; "" for none */
	bool root_below;     /* below the VMM's root lies the container's (oci/oci_view.h) */
	bool terminal;	     /* VMM_FD_STDIN is a pty slave: take it as controlling terminal */
	uint64_t gpu_window; /* bytes of the host-visible shared-memory region; with VMM_FD_GPU */
	struct vmm_net net[VMM_NET_MAX];
	uint32_t net_queues; /* queue pairs of each of them, 1 to VMM_NET_QUEUES_MAX */
	uint32_t log_level, log_format; /* base/log.h; the log is fd 2 of the VMM */
	char *guest;	     /* AGENT_CONTAINER payload, opaque to the VMM */
	size_t guest_len;
};

struct wire_writer;
struct wire_reader;

void vmm_config_encode(struct wire_writer *w, const struct vmm_config *c);
/** vmm_config_decode() - @c must be zero; 0, or -1 with @c released */
int vmm_config_decode(struct wire_reader *r, struct vmm_config *c);
void vmm_config_release(struct vmm_config *c);

#endif
