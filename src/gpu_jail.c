/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The render server runs a vendor's driver on what a guest asks of it: it is expected to fall. What
 * it has then is the GPU's device nodes, the shared memory it made itself, and its socket.
 *
 * The child is cloned into namespaces of its own (mount, pid, network, ipc, uts; a user namespace
 * too where the caller has no privileges), so it is the first process of its pid namespace and
 * every process it forks dies with it. It builds a root on a tmpfs: the host's libraries and driver
 * manifests read-only, sysfs read-only (drivers look for their device there), the chosen device
 * nodes, a small /tmp. With privileges, device nodes are made anew with mode 0666, so that a user
 * id which owns nothing on the host can open them; without, they are bind mounts, and the caller's
 * groups decide. Then it drops everything else and forks: the child executes the server, and it
 * stays to look after it (gpu_watch.c).
 *
 * The seccomp filter lists what is denied, not what is allowed: what a driver needs is not known.
 * It takes away the kernel's riskier doors (user namespaces, bpf, io_uring, keyrings, ptrace,
 * mounts, modules) and every socket but unix ones.
 *
 * /dev/udmabuf is left out on purpose: with it the server would back software rendering by udmabuf,
 * which ends at 64 MiB, instead of by our Vulkan layer.
 */
#include "gpu_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/gpu_limit_proto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "gpu_select.h"
#include "gpu_watch.h"

#define JAIL_NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
#define SERVER_FD 3
#define REPORT_FD 4
#define WATCH_FD 5
#define LAYER_NAME "VK_LAYER_KRUN_GPU_host_memory"

static const char *const server_paths[] = {
	"/usr/libexec/virgl_render_server",
	"/usr/local/libexec/virgl_render_server",
	"/usr/lib/virglrenderer/virgl_render_server",
	"/usr/lib/virgl_render_server",
};

/* Everything a Vulkan loader and its drivers read. What a host has not is left out. */
static const char *const jail_binds[] = {
	"/usr", "/lib", "/lib32", "/lib64", /* libraries; all of /usr for drivers in odd places */
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/alternatives",		    /* Debian's choice between NVIDIA versions */
	"/etc/vulkan", "/etc/glvnd", "/etc/egl", /* manifests that were changed on this host */
	"/etc/drirc",
};

const char *gpu_render_server_path(void)
{
	for (size_t i = 0; i < sizeof(server_paths) / sizeof(*server_paths); i++)
		if (access(server_paths[i], X_OK) == 0)
			return server_paths[i];
	return NULL;
}

/*
 * From here to jail_run() everything runs in the child. Paths below the new root are relative: the
 * working directory is its top until the pivot.
 */

static int jail_make_parents(const char *relative)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", relative);
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return 0;
}

static int jail_make_mount_point(const char *relative, const struct stat *st)
{
	int fd;

	if (S_ISDIR(st->st_mode))
		return mkdir(relative, 0755) < 0 && errno != EEXIST ? -1 : 0;
	fd = open(relative, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

/*
 * Binds @path at its own place in the new root, unless it is there already or not on this host.
 * What is mounted below it comes along, except for /sys, where that is other file systems; but
 * without privileges the kernel insists.
 */
static int jail_bind(const char *path, uint64_t attributes, struct error **err)
{
	struct mount_attr attr = { .attr_set = attributes };
	unsigned long flags = strcmp(path, "/sys") || geteuid() ? MS_BIND | MS_REC : MS_BIND;
	const char *relative = path + 1;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0 || access(relative, F_OK) == 0)
		return 0;
	if (jail_make_parents(relative) < 0)
		return error_set(err, errno, "cannot make the directory of %s", path);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (n <= 0 || symlink(target, relative) < 0)
			return error_set(err, errno, "cannot copy the link %s", path);
		return 0;
	}
	if (jail_make_mount_point(relative, &st) < 0 ||
	    mount(path, relative, NULL, flags, NULL) < 0 ||
	    syscall(SYS_mount_setattr, AT_FDCWD, relative, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return error_set(err, errno, "cannot bind %s", path);
	return 0;
}

/* *bound is set when the node could not be made anew: its permissions are then the host's. */
static int jail_device(const char *path, bool *bound, struct error **err)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
		return error_set(err, errno, "%s is no device node", path);
	if (jail_make_parents(path + 1) < 0)
		return error_set(err, errno, "cannot make the directory of %s", path);
	if (mknod(path + 1, S_IFCHR | 0666, st.st_rdev) == 0 && chmod(path + 1, 0666) == 0)
		return 0;
	*bound = true;
	return jail_bind(path, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}

static int jail_devices(const struct gpu_choice *choice, bool *bound, struct error **err)
{
	static const char *const always[] = { "/dev/null", "/dev/zero", "/dev/urandom" };
	bool harmless;

	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		if (jail_device(always[i], &harmless, err) < 0)
			return -1;
	for (char **d = choice->devices; *d; d++)
		if (jail_device(*d, bound, err) < 0)
			return -1;
	return 0;
}

static int jail_tmpfs(const char *relative, struct error **err)
{
	if (jail_make_parents(relative) < 0 || (mkdir(relative, 01777) < 0 && errno != EEXIST) ||
	    mount("tmpfs", relative, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=64m,mode=1777") < 0)
		return error_set(err, errno, "cannot mount /%s", relative);
	return 0;
}

/* The directory of a file or of several with colons between, bound read-only. */
static int jail_bind_dirs_of(const char *list, uint64_t attributes, struct error **err)
{
	cleanup_free char *copy = strdup(list);
	char *save, *path;

	if (!copy)
		return error_set(err, ENOMEM, "cannot copy a path");
	for (path = strtok_r(copy, ":", &save); path; path = strtok_r(NULL, ":", &save)) {
		char *slash = strrchr(path, '/');

		if (!slash || slash == path)
			continue;
		*slash = 0;
		if (jail_bind(path, attributes, err) < 0)
			return -1;
	}
	return 0;
}

static int jail_fill_root(const struct gpu_jail *jail, const char *layer, const char *server,
			  bool *bound, struct error **err)
{
	const uint64_t read_only = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	for (size_t i = 0; i < sizeof(jail_binds) / sizeof(*jail_binds); i++)
		if (jail_bind(jail_binds[i], read_only, err) < 0)
			return -1;
	/* libdrm finds a device's bus and ids in sysfs. */
	if (jail_bind("/sys", read_only, err) < 0)
		return -1;
	if (jail_bind_dirs_of(jail->choice->icd, read_only, err) < 0 ||
	    jail_bind_dirs_of(server, read_only, err) < 0 || jail_tmpfs("tmp", err) < 0 ||
	    jail_tmpfs("dev/shm", err) < 0 || jail_bind(layer, read_only, err) < 0 ||
	    jail_devices(jail->choice, bound, err) < 0)
		return -1;
	/* A driver may do without /proc; some nested containers may not mount one. */
	if (mkdir("proc", 0555) < 0 ||
	    (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
	     errno != EPERM))
		return error_set(err, errno, "cannot mount /proc");
	return 0;
}

static int jail_root(const struct gpu_jail *jail, const char *layer, const char *server,
		     bool *bound, struct error **err)
{
	const char *top = "/proc"; /* covered in this mount namespace only, and needed no more */

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, errno, "cannot make mounts private");
	if (mount("krun-gpu", top, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m,mode=755") < 0 ||
	    chdir(top) < 0)
		return error_set(err, errno, "cannot mount a root");
	if (jail_fill_root(jail, layer, server, bound, err) < 0)
		return -1;
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, errno, "cannot change the root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC,
		  NULL) < 0)
		return error_set(err, errno, "cannot make the root read-only");
	return 0;
}

/* In a new user namespace: the caller's ids and no others. Before /proc is covered. */
static int jail_map_ids(uid_t uid, gid_t gid, struct error **err)
{
	const struct {
		const char *path;
		unsigned int id;
	} maps[] = { { "/proc/self/setgroups", 0 }, { "/proc/self/uid_map", uid },
		     { "/proc/self/gid_map", gid } };

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		cleanup_close int fd = open(maps[i].path, O_WRONLY | O_CLOEXEC);
		char text[64];
		int n = i ? snprintf(text, sizeof(text), "%u %u 1", maps[i].id, maps[i].id) :
			    snprintf(text, sizeof(text), "deny");

		if (fd < 0 || write(fd, text, (size_t)n) != n)
			return error_set(err, errno, "cannot write %s", maps[i].path);
	}
	return 0;
}

/* System calls that fail with EPERM in the render server, whatever its driver may want. */
static const struct {
	const char *syscall;
	const char *why;
} jail_denied[] = {
	{ "mount", "no new mounts" },
	{ "umount2", "nor fewer" },
	{ "pivot_root", "nor another root" },
	{ "chroot", "likewise" },
	{ "open_tree", "the newer mount calls" },
	{ "move_mount", "likewise" },
	{ "fsopen", "likewise" },
	{ "fsconfig", "likewise" },
	{ "fsmount", "likewise" },
	{ "fspick", "likewise" },
	{ "mount_setattr", "likewise" },
	{ "unshare", "a user namespace would bring capabilities back" },
	{ "setns", "likewise" },
	{ "ptrace", "no process looks into another" },
	{ "process_vm_readv", "likewise" },
	{ "process_vm_writev", "likewise" },
	{ "process_madvise", "likewise" },
	{ "pidfd_getfd", "likewise" },
	{ "bpf", "large attack surface" },
	{ "perf_event_open", "likewise" },
	{ "userfaultfd", "helps exploits to win races" },
	{ "io_uring_setup", "large attack surface, and goes round this filter" },
	{ "io_uring_enter", "likewise" },
	{ "io_uring_register", "likewise" },
	{ "add_key", "keyrings are not namespaced" },
	{ "request_key", "likewise" },
	{ "keyctl", "likewise" },
	{ "init_module", "kernel code" },
	{ "finit_module", "likewise" },
	{ "delete_module", "likewise" },
	{ "kexec_load", "likewise" },
	{ "kexec_file_load", "likewise" },
	{ "open_by_handle_at", "opens files by number" },
	{ "name_to_handle_at", "says the numbers" },
	{ "fanotify_init", "watches file systems" },
	{ "modify_ldt", "no driver needs segments" },
	{ "kcmp", "compares other processes' objects" },
	{ "quotactl", "administration" },
	{ "acct", "administration" },
	{ "swapon", "administration" },
	{ "swapoff", "administration" },
	{ "reboot", "administration" },
	{ "settimeofday", "administration" },
	{ "clock_settime", "administration" },
	{ "clock_adjtime", "administration" },
	{ "adjtimex", "administration" },
	{ "syslog", "the kernel's addresses" },
	{ "personality", "weakens address space layout" },
	{ "vhangup", "terminals" },
};

static int jail_filter_add(scmp_filter_ctx ctx)
{
	const uint64_t namespaces = JAIL_NAMESPACES | CLONE_NEWUSER | CLONE_NEWCGROUP;
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(jail_denied) / sizeof(*jail_denied); i++) {
		int nr = seccomp_syscall_resolve_name(jail_denied[i].syscall);

		if (nr >= 0)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
	}
	/* clone3's flags cannot be seen; C libraries go back to clone(). */
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	for (uint64_t bit = 1; !r && bit <= namespaces; bit <<= 1)
		if (namespaces & bit)
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					     SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	if (!r)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socketpair), 1,
				     SCMP_A0(SCMP_CMP_NE, AF_UNIX, 0));
	return r;
}

static int jail_filter(struct error **err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? jail_filter_add(ctx) : -ENOMEM;

	if (!r)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r ? error_set(err, -r, "cannot load the render server's seccomp filter") : 0;
}

/* Standard streams, SERVER_FD, REPORT_FD, WATCH_FD where there is one, and no other file. */
static int jail_files(const struct gpu_jail *jail, int *report, struct error **err)
{
	const struct rlimit files = { 65536, 65536 };
	const bool watched = jail->watch_fd >= 0;
	int null = open("/dev/null", O_RDWR);
	int server = fcntl(jail->server_fd, F_DUPFD, WATCH_FD + 1);
	int log = fcntl(jail->log_fd, F_DUPFD, WATCH_FD + 1);
	int pipe_end = fcntl(*report, F_DUPFD, WATCH_FD + 1);
	int watch = watched ? fcntl(jail->watch_fd, F_DUPFD, WATCH_FD + 1) : null;

	if (null < 0 || server < 0 || log < 0 || pipe_end < 0 || watch < 0 ||
	    dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0 || dup2(server, SERVER_FD) < 0 ||
	    dup3(pipe_end, REPORT_FD, O_CLOEXEC) < 0 || dup3(watch, WATCH_FD, O_CLOEXEC) < 0 ||
	    close_range(WATCH_FD + 1, UINT_MAX, 0) < 0)
		return error_set(err, errno, "cannot arrange the render server's files");
	*report = REPORT_FD;
	/* One file a blob. Where the hard limit is lower it stays as it is. */
	setrlimit(RLIMIT_NOFILE, &files);
	return 0;
}

/*
 * What the Vulkan layer counts in; inherited by the server and its contexts' processes. Twice as much
 * as the guest may map: what is too much for mapping is to be refused by the worker, which does an
 * application no harm, while Mesa asks for memory without waiting for an answer, so that it loses its
 * context when that is refused.
 */
static int jail_limit(const struct gpu_jail *jail, char *env, size_t size)
{
	int fd;

	*env = 0;
	if (!jail->memory)
		return 0;
	fd = memfd_create("krun-gpu-limit", MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(struct gpu_limit)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -1;
	snprintf(env, size, GPU_LIMIT_ENV "=%d:%llu", fd, (unsigned long long)jail->memory * 2);
	return 0;
}

static void jail_exec(const struct gpu_jail *jail, const char *layer, const char *server)
{
	char icd[2 * PATH_MAX + 32], layer_path[PATH_MAX + 32], fd[16], limit[64];
	char *argv[] = { "virgl_render_server", "--socket-fd", fd, NULL };
	char *envp[] = {
		icd,
		layer_path,
		"VK_INSTANCE_LAYERS=" LAYER_NAME,
		"VK_LOADER_LAYERS_DISABLE=~implicit~", /* overlays and device pickers of the host */
		"MESA_SHADER_CACHE_DISABLE=true",      /* there is nowhere to keep it */
		"HOME=/tmp",
		"PATH=/usr/bin",
		jail->memory ? limit : NULL,
		NULL,
	};

	if (jail_limit(jail, limit, sizeof(limit)) < 0)
		return;
	snprintf(fd, sizeof(fd), "%d", SERVER_FD);
	snprintf(icd, sizeof(icd), "VK_DRIVER_FILES=%s", jail->choice->icd);
	snprintf(layer_path, sizeof(layer_path), "VK_LAYER_PATH=%s", layer);
	execve(server, argv, envp);
}

static void jail_reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The server's parent from now on. It keeps nothing but the log and the way to the worker. */
static void __attribute__((noreturn)) jail_stay(const struct gpu_jail *jail, pid_t server)
{
	log_init("krun-gpu-jail", STDERR_FILENO, jail->log_format, LOG_LEVEL_WARNING);
	close(SERVER_FD);
	close(REPORT_FD);
	gpu_watch_run(server, jail->watch_fd < 0 ? -1 : WATCH_FD);
}

static int jail_enter(const struct gpu_jail *jail, const char *layer, const char *server,
		      uid_t jail_uid, uid_t uid, gid_t gid, int *report, struct error **err)
{
	bool bound = false;
	pid_t pid;

	umask(022);
	setsid();
	jail_reset_signals();
	if (uid && jail_map_ids(uid, gid, err) < 0)
		return -1;
	if (jail_root(jail, layer, server, &bound, err) < 0 || jail_files(jail, report, err) < 0)
		return -1;
	/* Not where the nodes' groups have to let us in. */
	if (!uid && !bound && sandbox_become_user(jail_uid, err) < 0)
		return -1;
	/* The server waits for a guest's commands in sleeps of 10 us and more; by default the kernel
	 * makes that 60 us and more. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	if (sandbox_no_new_privs(err) < 0 || sandbox_keep_caps(NULL, 0, err) < 0 ||
	    jail_filter(err) < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "cannot fork");
	if (pid)
		jail_stay(jail, pid);
	jail_exec(jail, layer, server);
	return error_set(err, errno, "cannot execute %s", server);
}

static void __attribute__((noreturn)) jail_child(const struct gpu_jail *jail, const char *layer,
						 const char *server, int sync, int report,
						 uid_t uid, gid_t gid)
{
	struct error *err = NULL;
	uid_t jail_uid = 0;

	/* The pid that the parent sees makes the user id. */
	if (read(sync, &jail_uid, sizeof(jail_uid)) != sizeof(jail_uid))
		_exit(127);
	jail_enter(jail, layer, server, jail_uid, uid, gid, &report, &err);
	(void)!write(report, error_msg(err), strlen(error_msg(err)));
	_exit(127);
}

/* The parent's part: let the child go on, and wait for its exec() or its error. */
static int jail_wait_exec(pid_t pid, int sync, int report, struct error **err)
{
	const uid_t jail_uid = SANDBOX_UID_BASE + (uid_t)pid;
	char message[512];
	ssize_t n;

	if (write(sync, &jail_uid, sizeof(jail_uid)) != sizeof(jail_uid))
		return error_set(err, errno, "cannot start the render server");
	do {
		n = read(report, message, sizeof(message) - 1);
	} while (n < 0 && errno == EINTR);
	if (!n)
		return 0;
	message[n > 0 ? n : 0] = 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return error_set(err, 0, "render server: %s", message);
}

int gpu_render_server_spawn(const struct gpu_jail *jail, pid_t *pid, struct error **err)
{
	const char *layer = jail->layer ? jail->layer : LIBEXECDIR "/vulkan-layer";
	const char *server = jail->server ? jail->server : gpu_render_server_path();
	struct clone_args args = { .flags = JAIL_NAMESPACES, .exit_signal = SIGCHLD };
	int sync[2], report[2];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (!server)
		return error_set(err, 0, "virgl_render_server is missing: install virglrenderer's "
					 "server (Debian package: virgl-server)");
	if (access(layer, R_OK | X_OK) < 0)
		return error_set(err, errno, "the Vulkan layer in %s is missing", layer);
	if (pipe2(sync, O_CLOEXEC) < 0)
		return error_set(err, errno, "cannot make a pipe");
	if (pipe2(report, O_CLOEXEC) < 0) {
		close(sync[0]);
		close(sync[1]);
		return error_set(err, errno, "cannot make a pipe");
	}
	if (uid)
		args.flags |= CLONE_NEWUSER;
	if (jail->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)jail->cgroup_fd;
	}
	*pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (*pid == 0)
		jail_child(jail, layer, server, sync[0], report[1], uid, gid);
	close(sync[0]);
	close(report[1]);
	if (*pid < 0)
		r = error_set(err, errno, "cannot make the render server's namespaces");
	else
		r = jail_wait_exec(*pid, sync[1], report[0], err);
	close(sync[1]);
	close(report[0]);
	return r;
}
