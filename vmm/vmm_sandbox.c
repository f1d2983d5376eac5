/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/vmm_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sandbox.h"

static const struct sandbox_rule rules[] = {
	/* vCPU threads */
	SANDBOX_ARG("ioctl", 1, KVM_RUN, "run the guest"),
	SANDBOX_ARG("ioctl", 1, KVM_IRQ_LINE, "interrupt the guest"),
	SANDBOX_ARG("ioctl", 1, KVM_KVMCLOCK_CTRL, "tell the guest that it was paused"),
	SANDBOX_ARG("ioctl", 1, KVM_GET_REGS, "say where a vCPU failed"),
	SANDBOX_ARG("ioctl", 1, KVM_GET_SREGS, "say where a vCPU failed"),
	SANDBOX_ALLOW("poll", "is there room for a line of the serial port"),
	SANDBOX_ALLOW("rt_sigreturn", "leave the kick's handler"),
	SANDBOX_ALLOW("restart_syscall", "a wait that a stop and a continue interrupted"),
	/* network devices' threads */
	SANDBOX_ARG("ioctl", 1, TUNSETOFFLOAD, "what the guest agreed to have left to it"),
	SANDBOX_ARG("ioctl", 1, TUNSETQUEUE, "which of a tap's queues the guest uses"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_FEATURES, "vhost-net: how the rings look"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_VRING_NUM, "vhost-net: where the rings are"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_VRING_BASE, "vhost-net: where they begin"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_VRING_ADDR, "vhost-net: where the rings are"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_VRING_KICK, "vhost-net: the eventfds that KVM has already"),
	SANDBOX_ARG("ioctl", 1, VHOST_SET_VRING_CALL, "vhost-net: the eventfds that KVM has already"),
	SANDBOX_ARG("ioctl", 1, VHOST_NET_SET_BACKEND, "vhost-net: the tap, or none"),
	/* event loop and locks */
	SANDBOX_ALLOW("epoll_wait", "the event loop"),
	SANDBOX_ALLOW("epoll_pwait", "the event loop, on architectures without epoll_wait"),
	SANDBOX_ALLOW("epoll_ctl", "devices watch their fds"),
	SANDBOX_ALLOW("futex", "the machine's lock"),
	SANDBOX_ALLOW("rseq", "a vCPU's thread that begins when the filter is there already"),
	SANDBOX_ALLOW("set_robust_list", "likewise"),
	SANDBOX_ALLOW("sched_yield", "the C library's locks"),
	SANDBOX_ALLOW("clock_gettime", "time stamps, where the vDSO cannot"),
	SANDBOX_ALLOW("gettimeofday", "time stamps, where the vDSO cannot"),
	SANDBOX_ALLOW("clock_nanosleep", "bounded waits"),
	/* eventfds, streams, console, workers' and agent's sockets, the log */
	SANDBOX_ALLOW("read", "eventfds, streams, signalfd"),
	SANDBOX_ALLOW("readv", "streams into guest memory"),
	SANDBOX_ALLOW("preadv", "streams into guest memory"),
	SANDBOX_ALLOW("preadv2", "streams into guest memory"),
	SANDBOX_ALLOW("write", "eventfds, streams, the log"),
	SANDBOX_ALLOW("writev", "streams out of guest memory"),
	SANDBOX_ALLOW("pwritev", "streams out of guest memory"),
	SANDBOX_ALLOW("pwritev2", "streams out of guest memory"),
	SANDBOX_ALLOW("recvfrom", "sockets"),
	SANDBOX_ALLOW("recvmsg", "workers' and command lines' messages, with their fds"),
	SANDBOX_ALLOW("sendto", "sockets"),
	SANDBOX_ALLOW("sendmsg", "workers' and command lines' messages, with their fds; the guest's questions about "
	      "names"),
	SANDBOX_ALLOW("ppoll", "bounded waits for a worker's answer"),
	SANDBOX_ALLOW("shutdown", "half-close a stream"),
	SANDBOX_ALLOW("accept4", "command lines on the control socket"),
	SANDBOX_ARG("getsockopt", 1, SOL_SOCKET, "who is it"),
	SANDBOX_ARG("setsockopt", 2, SO_LINGER, "reset a connection that the guest refuses"),
	SANDBOX_FCNTL(F_GETFL, "O_NONBLOCK, what kind of fd a stream is"),
	SANDBOX_FCNTL(F_SETFL, "O_NONBLOCK"),
	SANDBOX_FCNTL(F_DUPFD_CLOEXEC, "a stream's other direction; the terminal of an exec"),
	SANDBOX_ALLOW("fstat", "size of a file that a worker has mapped; kind of a stream's fd"),
	SANDBOX_ALLOW("newfstatat", "fstat(), as newer C libraries make it"),
	SANDBOX_ALLOW("lseek", "size of a dma-buf that a worker has mapped"),
	SANDBOX_ALLOW("close", "connections, streams, received fds"),
	SANDBOX_ALLOW("dup", "streams of an exec"),
	SANDBOX_ALLOW("timerfd_settime", "is a worker that leaves kicks unread alive?"),
	SANDBOX_ALLOW("eventfd2", "rings of a worker that is started again"),
	SANDBOX_ARG("socketpair", 0, AF_UNIX, "streams inside this process"),
	SANDBOX_ALLOW("pipe2", "streams inside this process"),
	SANDBOX_ARG("ioctl", 1, TIOCGWINSZ, "the terminal's size"),
	SANDBOX_ARG("ioctl", 1, FIONREAD, "how much a stream holds"),
	SANDBOX_ARG("mkdirat", 2, 0700, "mark that the guest's memory was too little, in VMM_FD_OOM, the one "
		  "directory there is"),
	/* memory: shared-memory windows and the allocator; never executable */
	SANDBOX_WITHOUT("mmap", 2, PROT_EXEC, "windows, allocator"),
	SANDBOX_WITHOUT("mprotect", 2, PROT_EXEC, "allocator"),
	SANDBOX_ALLOW("munmap", "allocator"),
	SANDBOX_ALLOW("mremap", "allocator"),
	SANDBOX_ALLOW("madvise", "allocator"),
	SANDBOX_ALLOW("brk", "allocator"),
	SANDBOX_ALLOW("getrandom", "the entropy device"),
	/* the end: as the container ended */
	SANDBOX_ALLOW("rt_sigaction", "give a signal its default action back"),
	SANDBOX_ALLOW("rt_sigprocmask", "unblock it"),
	SANDBOX_ALLOW("getpid", "signal oneself and one's threads"),
	SANDBOX_ALLOW("gettid", "signal oneself"),
	SANDBOX_TGKILL_SELF("kick vCPUs, signal oneself"),
	SANDBOX_ALLOW("exit", "a thread ends"),
	SANDBOX_ALLOW("exit_group", "the process ends"),
};

static int hide_file_system(bool root_below, struct error **err)
{
	if (!sandbox_has_cap(CAP_SYS_ADMIN)) {
		log_debug("without CAP_SYS_ADMIN the root directory cannot be left");
		return 0;
	}
	return root_below ? sandbox_leave_root(err) : sandbox_empty_root(err);
}

int vmm_sandbox_drop_rights(bool root_below, struct error **err)
{
	if (hide_file_system(root_below, err) || sandbox_keep_caps(NULL, 0, err))
		return -1;
	return sandbox_no_new_privs(err);
}

int vmm_sandbox_seccomp(struct error **err)
{
	return sandbox_seccomp(rules, sizeof(rules) / sizeof(rules[0]), err);
}
