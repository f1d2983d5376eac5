/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/gpu_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sandbox.h"

/* sandbox_empty_root() makes the mount namespace. */
#define GPU_NAMESPACES (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

int gpu_sandbox_enter_namespaces(struct error **err)
{
	if (unshare(GPU_NAMESPACES) < 0 &&
	    (errno != EPERM || unshare(CLONE_NEWUSER | GPU_NAMESPACES) < 0))
		return error_set(err, errno, "cannot make namespaces for the GPU worker");
	if (sandbox_empty_root(err) < 0)
		return -1;
	/* Even without capabilities user 0 owns too much of the host. What is used is open already. */
	if (!geteuid() && sandbox_become_user(SANDBOX_UID_BASE + (uid_t)getpid(), err) < 0)
		return -1;
	if (sandbox_no_new_privs(err) < 0)
		return -1;
	return sandbox_keep_caps(NULL, 0, err);
}

static const struct sandbox_rule gpu_syscalls[] = {
	/* The event loop and the virtqueues (vhu.c). */
	{ .syscall = "epoll_wait", .why = "wait for kicks and messages" },
	{ .syscall = "epoll_pwait", .why = "the same, as other C libraries call it" },
	{ .syscall = "epoll_ctl", .why = "watch the kick eventfds as queues start and stop" },
	{ .syscall = "read", .why = "kick eventfds" },
	{ .syscall = "write", .why = "call eventfds, waking the loop, the log" },
	{ .syscall = "recvmsg", .why = "vhost-user messages; answers of the render server" },
	{ .syscall = "sendmsg", .why = "vhost-user answers, SHMEM_MAP; requests to the server" },
	{ .syscall = "recvfrom", .why = "recv() in the library" },
	{ .syscall = "sendto", .why = "send() in the library" },
	{ .syscall = "close", .why = "files received and passed on" },
	/* Guest memory and the library's. */
	{ .syscall = "mmap", .why = "guest memory of SET_MEM_TABLE, fence pages, malloc, stacks",
	  .arg = 2, .arg_mask = PROT_EXEC, .arg_value = 0 },
	{ .syscall = "munmap", .why = "undo the above" },
	{ .syscall = "mremap", .why = "realloc" },
	{ .syscall = "mprotect", .why = "guard pages of thread stacks, malloc's arenas",
	  .arg = 2, .arg_mask = PROT_EXEC, .arg_value = 0 },
	{ .syscall = "madvise", .why = "free, stacks of ended threads, no dumps of guest RAM" },
	{ .syscall = "brk", .why = "malloc" },
	{ .syscall = "memfd_create", .why = "the library's page of fence numbers, one a context" },
	{ .syscall = "ftruncate", .why = "its size" },
	{ .syscall = "fallocate", .why = "its size" },
	SANDBOX_FCNTL(F_GET_SEALS, "is a blob shared memory?"),
	SANDBOX_FCNTL(F_ADD_SEALS, "the library's page of fence numbers"),
	SANDBOX_FCNTL(F_DUPFD_CLOEXEC, "the library's duplicates of blob files; the lowest free file"),
	SANDBOX_FCNTL(F_DUPFD, "the same, where the library goes another way"),
	SANDBOX_FCNTL(F_GETFD, "likewise"),
	SANDBOX_FCNTL(F_SETFD, "likewise"),
	SANDBOX_FCNTL(F_GETFL, "kick eventfds that do not block"),
	SANDBOX_FCNTL(F_SETFL, "likewise"),
	{ .syscall = "fstat", .why = "the size of memory files" },
	{ .syscall = "newfstatat", .why = "fstat() in newer C libraries; no path leads anywhere" },
	{ .syscall = "lseek", .why = "the size of blobs" },
	{ .syscall = "dup", .why = "the library's duplicates of files" },
	{ .syscall = "eventfd2", .why = "the library's fence signal, one a context" },
	{ .syscall = "getsockopt", .why = "is a received file a SOCK_SEQPACKET socket?" },
	{ .syscall = "shutdown", .why = "the watchdog cuts a hung render server off" },
	/* The library's fence threads, one a context. */
	{ .syscall = "clone3", .why = "start them" },
	{ .syscall = "clone", .why = "start them where clone3 is missing" },
	{ .syscall = "set_robust_list", .why = "thread start" },
	{ .syscall = "rseq", .why = "thread start" },
	{ .syscall = "prctl", .why = "names of threads and of memory areas" },
	{ .syscall = "sched_getaffinity", .why = "thread start in some C libraries" },
	{ .syscall = "gettid", .why = "thread start, abort" },
	{ .syscall = "getpid", .why = "abort, logging" },
	{ .syscall = "futex", .why = "locks, joining threads" },
	{ .syscall = "poll", .why = "they wait for fences" },
	{ .syscall = "ppoll", .why = "the same" },
	{ .syscall = "exit", .why = "thread end" },
	{ .syscall = "exit_group", .why = "the end" },
	/* Time, signals, random numbers. */
	{ .syscall = "timer_settime", .why = "the watchdog, while there is work" },
	{ .syscall = "clock_gettime", .why = "log times, where the vDSO cannot tell" },
	{ .syscall = "clock_nanosleep", .why = "the library's waits" },
	{ .syscall = "sched_yield", .why = "the library's short waits" },
	{ .syscall = "rt_sigaction", .why = "thread start, abort" },
	{ .syscall = "rt_sigprocmask", .why = "thread start and end" },
	{ .syscall = "rt_sigreturn", .why = "back from the watchdog" },
	{ .syscall = "restart_syscall", .why = "a wait goes on after SIGCONT" },
	SANDBOX_TGKILL_SELF("abort"),
	{ .syscall = "getrandom", .why = "resource UUIDs, malloc's tcache key" },
};

int gpu_sandbox_seccomp(struct error **err)
{
	return sandbox_seccomp(gpu_syscalls, sizeof(gpu_syscalls) / sizeof(*gpu_syscalls), err);
}
