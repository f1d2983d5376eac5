/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/sandbox.h"

/*
 * A detached mount of /proc/self/fd alone. A plain fd of that directory would do for the server,
 * but its ".." leads to all of /proc, where root without any capability can still write sysctls
 * such as kernel.core_pattern: whoever took this process over would be out.
 */
static int fs_sandbox_open_proc(struct error **err)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/fd",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		error_set(err, errno, "cannot set /proc/self/fd aside");
	return fd;
}

static int fs_sandbox_pivot(const char *dir, struct error **err)
{
	/* pivot_root() wants a mount point; --export may be any directory. */
	if (mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(dir) < 0)
		return error_set(err, errno, "cannot enter the export %s", dir);
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, errno, "cannot make the export %s the root", dir);
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, errno, "cannot leave the old root");
	return 0;
}

int fs_sandbox_enter_export(const char *dir, int *proc_fd, struct error **err)
{
	cleanup_close int proc = -1;
	int root;

	if (unshare(CLONE_NEWNS) < 0)
		return error_set(err, errno, "cannot make a mount namespace");
	/* Nothing gets out; what the host mounts below a volume that asks for it still comes in. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_set(err, errno, "cannot make mounts slaves of the host's");
	/* Neither is of any use with the system calls that are left: a second fence. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		log_warning("cannot leave the host's network namespace");
	proc = fs_sandbox_open_proc(err);
	if (proc < 0 || fs_sandbox_pivot(dir, err) < 0)
		return -1;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, errno, "cannot open the export");
	*proc_fd = steal_fd(&proc);
	return root;
}

int fs_sandbox_drop_rights(struct error **err)
{
	static const int caps[] = {
		CAP_CHOWN,	     /* files get the owners that the guest gives them */
		CAP_DAC_OVERRIDE,    /* permissions are checked in the guest */
		CAP_DAC_READ_SEARCH, /* likewise */
		CAP_FOWNER,	     /* chmod, utimes, setxattr on files of all owners */
		CAP_FSETID,	     /* SUID and SGID stay, unless the guest says they go */
		CAP_SETUID,	     /* files are created as the guest's user */
		CAP_SETGID,	     /* likewise */
		CAP_MKNOD,	     /* device nodes: of no use on the host, its mounts are nodev */
		CAP_SETFCAP,	     /* security.capability */
	};

	if (sandbox_keep_caps(caps, sizeof(caps) / sizeof(caps[0]), err) < 0)
		return -1;
	return sandbox_no_new_privs(err);
}

static const struct sandbox_rule fs_rules[] = {
	/* the vhost-user connection, queues and threads */
	{ .syscall = "epoll_wait", .why = "wait for kicks and messages" },
	{ .syscall = "epoll_pwait", .why = "the same, as some C libraries make it" },
	{ .syscall = "epoll_ctl", .why = "kick fds come and go" },
	{ .syscall = "read", .why = "eventfds, payloads of messages" },
	{ .syscall = "write", .why = "eventfds, the log" },
	{ .syscall = "recvmsg", .why = "messages with fds" },
	{ .syscall = "sendmsg", .why = "answers" },
	{ .syscall = "close", .why = "files, fds of messages" },
	SANDBOX_FCNTL(F_GETFL, "non-blocking kick fds"),
	SANDBOX_FCNTL(F_SETFL, "likewise"),
	SANDBOX_FCNTL(F_DUPFD_CLOEXEC, "FLUSH"),
	{ .syscall = "futex", .why = "locks" },
	{ .syscall = "exit", .why = "a thread ends" },
	{ .syscall = "exit_group", .why = "the process ends" },
	{ .syscall = "rt_sigreturn", .why = "return from a signal handler" },
	{ .syscall = "rt_sigprocmask", .why = "threads ending; abort()" },
	{ .syscall = "restart_syscall", .why = "after a stop and go on" },
	{ .syscall = "gettid", .why = "abort()" },
	{ .syscall = "getpid", .why = "abort()" },
	SANDBOX_TGKILL_SELF("abort()"),
	{ .syscall = "clock_gettime", .why = "rate limits of the log, where there is no vDSO" },
	{ .syscall = "sched_yield", .why = "allocator locks" },
	{ .syscall = "rseq", .why = "C library, in threads" },
	{ .syscall = "set_robust_list", .why = "C library, in threads" },
	/* memory */
	{ .syscall = "mmap", .why = "guest memory, malloc" },
	{ .syscall = "munmap", .why = "guest memory, malloc" },
	{ .syscall = "mremap", .why = "realloc of large tables" },
	{ .syscall = "mprotect", .why = "malloc arenas" },
	{ .syscall = "madvise", .why = "guest memory is not dumped; malloc" },
	{ .syscall = "brk", .why = "malloc" },
	{ .syscall = "getrandom", .why = "malloc, in a thread's first call" },
	/* whom a file is created for */
	{ .syscall = "setfsuid", .why = "the guest's user" },
	{ .syscall = "setfsgid", .why = "and group" },
	{ .syscall = "setgroups", .why = "and one more group" },
	{ .syscall = "capset", .why = "CAP_DAC_OVERRIDE as that user; off and on CAP_FSETID" },
	{ .syscall = "umask", .why = "the guest's umask" },
	/* files: every FUSE request is one or two of these */
	{ .syscall = "openat2", .why = "LOOKUP" },
	{ .syscall = "openat", .why = "OPEN, OPENDIR, CREATE, TMPFILE" },
	{ .syscall = "statx", .why = "LOOKUP, GETATTR" },
	{ .syscall = "fstat", .why = "length of guest memory files, end of file" },
	{ .syscall = "newfstatat", .why = "the same, as C libraries make it" },
	{ .syscall = "fstatfs", .why = "STATFS" },
	{ .syscall = "fchmodat", .why = "SETATTR" },
	{ .syscall = "fchownat", .why = "SETATTR" },
	{ .syscall = "ftruncate", .why = "SETATTR" },
	{ .syscall = "utimensat", .why = "SETATTR" },
	{ .syscall = "mknodat", .why = "MKNOD" },
	{ .syscall = "mkdirat", .why = "MKDIR" },
	{ .syscall = "symlinkat", .why = "SYMLINK" },
	{ .syscall = "readlinkat", .why = "READLINK" },
	{ .syscall = "linkat", .why = "LINK" },
	{ .syscall = "unlinkat", .why = "UNLINK, RMDIR" },
	{ .syscall = "renameat2", .why = "RENAME, RENAME2" },
	{ .syscall = "renameat", .why = "the same without flags, as C libraries make it" },
	{ .syscall = "preadv2", .why = "READ" },
	{ .syscall = "preadv", .why = "the same without flags, as C libraries make it" },
	{ .syscall = "pwritev2", .why = "WRITE" },
	{ .syscall = "pwritev", .why = "likewise" },
	{ .syscall = "lseek", .why = "LSEEK, directory offsets" },
	{ .syscall = "getdents64", .why = "READDIR" },
	{ .syscall = "fsync", .why = "FSYNC" },
	{ .syscall = "fdatasync", .why = "FSYNC" },
	{ .syscall = "syncfs", .why = "SYNCFS" },
	{ .syscall = "fallocate", .why = "FALLOCATE" },
	{ .syscall = "copy_file_range", .why = "COPY_FILE_RANGE" },
	{ .syscall = "setxattr", .why = "SETXATTR" },
	{ .syscall = "getxattr", .why = "GETXATTR" },
	{ .syscall = "listxattr", .why = "LISTXATTR" },
	{ .syscall = "removexattr", .why = "REMOVEXATTR" },
};

/* The sanitizers' run-time libraries make system calls of their own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FS_SANITIZED 1
#endif
#if !defined(FS_SANITIZED)
#define FS_SANITIZED 0
#endif

int fs_sandbox_seccomp(struct error **err)
{
	if (FS_SANITIZED) {
		log_warning("a build with sanitizers: no seccomp filter");
		return 0;
	}
	return sandbox_seccomp(fs_rules, sizeof(fs_rules) / sizeof(fs_rules[0]), err);
}
