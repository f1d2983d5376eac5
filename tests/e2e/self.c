/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * self - prints everything that a process can see of itself and of the machine around it, one "key:
 * value" a line, with nothing in it that differs from one run to the next (addresses, inode numbers,
 * times). Two runtimes that are given the same configuration are compared by it. Static: it runs in
 * containers of any image.
 *
 * What is opened to be looked at is closed again before the next is, so that fds are those that the
 * process was given.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

/* A file's content, as far as it goes; "" with errno set when it cannot be read. */
static char *slurp(const char *path)
{
	static char buf[1 << 18];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = 0;

	buf[0] = 0;
	if (fd < 0)
		return buf;
	while (len < sizeof(buf) - 1 && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	n = n < 0 ? errno : 0;
	close(fd);
	errno = (int)n;
	return buf;
}

/* Runs of white space become one space, ends are cut. */
static char *squeeze(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++) {
		if (!isspace((unsigned char)*from))
			*to++ = *from;
		else if (to > text && to[-1] != ' ')
			*to++ = ' ';
	}
	if (to > text && to[-1] == ' ')
		to--;
	*to = 0;
	return text;
}

static void show_file(const char *key, const char *path)
{
	char *text;

	errno = 0;
	text = slurp(path);
	if (errno)
		printf("%s: %s\n", key, strerrorname_np(errno));
	else
		printf("%s: %s\n", key, squeeze(text));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted; NULL-terminated, to be left to the end of the process. */
static char **names_of(const char *path)
{
	char **names = calloc(4096, sizeof(*names));
	DIR *dir = opendir(path);
	struct dirent *e;
	size_t n = 0;

	while (dir && n < 4095 && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	if (dir)
		closedir(dir);
	qsort(names, n, sizeof(*names), by_text);
	return names;
}

static void show_ids(void)
{
	gid_t groups[64];
	uid_t r, e, s;
	int n;

	getresuid(&r, &e, &s);
	printf("uid: %u %u %u\n", r, e, s);
	getresgid(&r, &e, &s);
	printf("gid: %u %u %u\n", r, e, s);
	n = getgroups(64, groups);
	printf("groups:");
	for (int i = 0; i < n; i++)
		printf(" %u", groups[i]);
	putchar('\n');
	printf("pid is 1: %d; leads its session: %d, its group: %d; parent is 0: %d\n", getpid() == 1,
	       getsid(0) == getpid(), getpgrp() == getpid(), getppid() == 0);
	show_file("map.uid", "/proc/self/uid_map");
	show_file("map.gid", "/proc/self/gid_map");
	show_file("map.setgroups", "/proc/self/setgroups");
	show_file("loginuid", "/proc/self/loginuid");
	show_file("sessionid", "/proc/self/sessionid");
}

static void show_environment(int argc, char **argv)
{
	size_t n = 0;
	char cwd[4096];

	for (int i = 0; i < argc; i++)
		printf("argv[%d]: %s\n", i, argv[i]);
	while (environ[n])
		n++;
	qsort(environ, n, sizeof(*environ), by_text);
	for (size_t i = 0; i < n; i++)
		printf("env: %s\n", environ[i]);
	printf("cwd: %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : strerrorname_np(errno));
}

/* Lines that a kernel of another version or size has otherwise are not about the process. */
static void show_status(void)
{
	static const char *const keys[] = {
		"Name:", "Umask:", "TracerPid:", "Uid:", "Gid:", "Groups:", "Threads:", "SigPnd:",
		"ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapInh:", "CapPrm:", "CapEff:",
		"CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "NSpid:",
		"NSpgid:", "NSsid:", "Cpus_allowed_list:", "Mems_allowed_list:", "CoreDumping:",
		"THP_enabled:", "Kthread:",
	};
	char *save = NULL, *text = slurp("/proc/self/status");

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				printf("status.%s\n", squeeze(line));
}

static void show_limits(void)
{
	char *save = NULL, *text = slurp("/proc/self/limits");

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "Limit ", 6))
			printf("limit.%s\n", squeeze(line));
}

/* An octal escape of the kernel's stays; numbers that are given out at run time go. */
static void show_mount(char *line)
{
	char root[1024], point[1024], options[256], type[64], source[512], super[4096];
	char *tail = strstr(line, " - "), *fields;

	if (!tail || sscanf(line, "%*d %*d %*s %1023s %1023s %255s", root, point, options) != 3 ||
	    sscanf(tail, " - %63s %511s %4095s", type, source, super) != 3) {
		printf("mount: not understood: %s\n", line);
		return;
	}
	*tail = 0;
	fields = strstr(line, options) + strlen(options);
	printf("mount.%s.type: %s\n", point, type);
	printf("mount.%s.options: %s\n", point, options);
	printf("mount.%s.source: %s %s\n", point, source, root);
	printf("mount.%s.super: %s\n", point, super);
	printf("mount.%s.propagation:%s%s%s\n", point, strstr(fields, "shared:") ? " shared" : "",
	       strstr(fields, "master:") ? " slave" : "",
	       strstr(fields, "unbindable") ? " unbindable" : "");
}

static void show_mounts(void)
{
	char *save = NULL, *text = strdup(slurp("/proc/self/mountinfo"));

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		show_mount(line);
}

static char type_letter(mode_t mode)
{
	return S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' :
	       S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
}

/* One entry of the file system: kind, mode, owner, device number or link's target. */
static void show_entry(const char *path)
{
	char target[1024] = "";
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0) {
		printf("file.%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	printf("file.%s: %c%04o %u:%u", path, type_letter(st.st_mode), st.st_mode & 07777, st.st_uid,
	       st.st_gid);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		printf(" %u,%u", major(st.st_rdev), minor(st.st_rdev));
	n = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target) - 1) : 0;
	if (n > 0)
		printf(" -> %.*s", (int)n, target);
	putchar('\n');
}

static void show_tree(const char *path, int depth)
{
	struct stat st;
	char child[1024];

	show_entry(path);
	if (!depth || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	for (char **name = names_of(path); *name; name++) {
		snprintf(child, sizeof(child), "%s/%s", strcmp(path, "/") ? path : "", *name);
		show_tree(child, depth - 1);
	}
}

/* Without the numbers of pipes, sockets and terminals. */
static void show_fds(void)
{
	char path[64], target[1024];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		target[strcspn(target, "[")] = 0;
		if (!strncmp(target, "/dev/pts/", 9))
			strcpy(target, "/dev/pts/N");
		printf("fd.%d: %s mode %d%s%s%s\n", fd, target, flags & O_ACCMODE,
		       flags & O_NONBLOCK ? " nonblocking" : "", flags & O_APPEND ? " append" : "",
		       fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "");
	}
}

static void show_terminal(void)
{
	struct winsize size = { 0 };
	struct termios mode;

	printf("terminal: %d %d %d\n", isatty(0), isatty(1), isatty(2));
	if (!isatty(0))
		return;
	ioctl(0, TIOCGWINSZ, &size);
	tcgetattr(0, &mode);
	printf("terminal.size: %ux%u\n", size.ws_row, size.ws_col);
	printf("terminal.mode: %x %x %x %x\n", mode.c_iflag, mode.c_oflag, mode.c_cflag, mode.c_lflag);
	printf("terminal.controls: %d\n", tcgetpgrp(0) == getpgrp());
}

static void show_scheduling(void)
{
	struct sched_param param = { 0 };
	cpu_set_t set;
	long io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);

	sched_getparam(0, &param);
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	errno = 0;
	printf("sched: policy %d priority %d nice %d\n", sched_getscheduler(0), param.sched_priority,
	       getpriority(PRIO_PROCESS, 0));
	printf("cpus: %d allowed, %ld online\n", CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_ONLN));
	printf("ioprio: class %ld level %ld\n", IOPRIO_PRIO_CLASS(io), IOPRIO_PRIO_DATA(io));
	show_file("oom_score_adj", "/proc/self/oom_score_adj");
	show_file("timerslack", "/proc/self/timerslack_ns");
	show_file("coredump_filter", "/proc/self/coredump_filter");
	printf("personality: %x\n", (unsigned int)personality(0xffffffff));
}

static void show_process_flags(void)
{
	int v = 0;

	printf("securebits: %x\n", (unsigned int)prctl(PR_GET_SECUREBITS));
	printf("dumpable: %d\n", prctl(PR_GET_DUMPABLE));
	printf("keepcaps: %d\n", prctl(PR_GET_KEEPCAPS));
	prctl(PR_GET_CHILD_SUBREAPER, &v);
	printf("subreaper: %d\n", v);
	prctl(PR_GET_PDEATHSIG, &v);
	printf("pdeathsig: %d\n", v);
	printf("thp_disable: %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	printf("secure execution: %lu\n", getauxval(AT_SECURE));
	show_file("security label", "/proc/self/attr/current");
}

static void show_names(void)
{
	struct utsname u;

	uname(&u);
	printf("uname.sysname: %s\nuname.nodename: %s\nuname.machine: %s\n", u.sysname, u.nodename,
	       u.machine);
	printf("uname.domainname: %s\nuname.release: %s\n", u.domainname, u.release);
	show_file("cgroup", "/proc/self/cgroup");
	printf("namespaces:");
	for (char **name = names_of("/proc/self/ns"); *name; name++)
		printf(" %s", *name);
	putchar('\n');
	printf("processes:");
	for (char **name = names_of("/proc"); *name; name++)
		if (isdigit((unsigned char)**name) && atoi(*name) != getpid())
			printf(" %s", *name);
	putchar('\n');
	printf("interfaces:");
	for (char **name = names_of("/sys/class/net"); *name; name++)
		printf(" %s", *name);
	putchar('\n');
}

static void show_sysctls(void)
{
	static const char *const names[] = {
		"kernel/hostname", "kernel/domainname", "kernel/msgmax", "kernel/msgmnb",
		"kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax", "kernel/shmmni",
		"kernel/shm_rmid_forced", "kernel/pid_max", "kernel/cap_last_cap",
		"kernel/core_pattern", "kernel/dmesg_restrict", "kernel/kptr_restrict",
		"kernel/perf_event_paranoid", "kernel/randomize_va_space", "kernel/sysrq",
		"kernel/unprivileged_bpf_disabled", "kernel/ngroups_max", "kernel/overflowuid",
		"kernel/panic", "fs/mqueue/msg_max", "fs/mqueue/msgsize_max",
		"fs/mqueue/queues_max", "fs/nr_open", "fs/protected_hardlinks",
		"fs/protected_symlinks", "fs/protected_fifos", "fs/protected_regular",
		"fs/suid_dumpable", "fs/pipe-max-size", "fs/inotify/max_user_instances",
		"fs/lease-break-time", "net/core/somaxconn", "net/ipv4/ip_forward",
		"net/ipv4/ip_local_port_range", "net/ipv4/ip_unprivileged_port_start",
		"net/ipv4/ping_group_range", "net/ipv4/tcp_congestion_control",
		"net/ipv4/tcp_keepalive_time", "net/ipv4/tcp_syncookies",
		"net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter",
		"net/ipv4/conf/lo/disable_policy", "net/ipv6/conf/all/disable_ipv6",
		"net/ipv6/conf/lo/disable_ipv6", "net/unix/max_dgram_qlen",
		"user/max_user_namespaces", "vm/max_map_count", "vm/mmap_min_addr",
		"vm/overcommit_memory", "vm/swappiness",
	};
	char key[128], path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/%s", names[i]);
		snprintf(key, sizeof(key), "sysctl.%s", names[i]);
		show_file(key, path);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		printf("%s.write: %s\n", key, fd < 0 ? strerrorname_np(errno) : "possible");
		if (fd >= 0)
			close(fd);
	}
}

/* Paths that engines mask, or make read-only: what opening one for either comes to. */
static void show_guarded(void)
{
	static const char *const paths[] = {
		"/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq",
		"/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/kmsg", "/proc/latency_stats",
		"/proc/sched_debug", "/proc/scsi", "/proc/sys", "/proc/sysrq-trigger",
		"/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap",
		"/sys/firmware", "/sys/fs/selinux", "/sys/fs/cgroup", "/sys/kernel", "/sys/kernel/debug",
		"/sys/kernel/security", "/proc/1/environ", "/proc/1/mem",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct stat st;
		bool there = stat(paths[i], &st) == 0;
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK), w;
		char byte;

		printf("guarded.%s:", paths[i]);
		if (!there) {
			printf(" %s\n", strerrorname_np(errno));
			if (fd >= 0)
				close(fd);
			continue;
		}
		if (fd < 0)
			printf(" open %s", strerrorname_np(errno));
		else if (S_ISDIR(st.st_mode))
			printf(" %s", *names_of(paths[i]) ? "directory" : "empty directory");
		else
			printf(" %s", strcmp(paths[i], "/proc/kmsg") && read(fd, &byte, 1) > 0 ?
				      "content" : "nothing");
		if (fd >= 0)
			close(fd);
		w = S_ISDIR(st.st_mode) ? faccessat(AT_FDCWD, paths[i], W_OK, AT_EACCESS) :
					  open(paths[i], O_WRONLY | O_CLOEXEC);
		printf(", write %s\n", w < 0 ? strerrorname_np(errno) : "possible");
		if (w > 0)
			close(w);
	}
}

static void show_resources(void)
{
	static const char *const cgroup[] = {
		"cgroup.controllers", "cgroup.max.depth", "cgroup.type", "cgroup.subtree_control",
		"memory.max", "memory.high", "memory.low", "memory.swap.max", "memory.oom.group",
		"pids.max", "pids.current", "cpu.max", "cpu.weight", "cpuset.cpus.effective",
		"io.weight",
	};
	char *line = strstr(slurp("/proc/meminfo"), "MemTotal:"), path[128], key[128];
	const char *const sizes[] = { "/dev/shm", "/dev", "/run", "/tmp", "/scratch" };
	struct statfs fs;

	printf("memory: %lu MiB\n", line ? strtoul(line + 9, NULL, 10) >> 10 : 0);
	line = strstr(slurp("/proc/meminfo"), "SwapTotal:");
	printf("swap: %lu MiB\n", line ? strtoul(line + 10, NULL, 10) >> 10 : 0);
	for (size_t i = 0; i < sizeof(cgroup) / sizeof(*cgroup); i++) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", cgroup[i]);
		snprintf(key, sizeof(key), "cgroup.%s", cgroup[i]);
		show_file(key, path);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (!statfs(sizes[i], &fs))
			printf("size.%s: %llu KiB of %lx\n", sizes[i],
			       (unsigned long long)fs.f_blocks * (unsigned long long)fs.f_bsize >> 10,
			       (unsigned long)fs.f_type);
}

/* In a child, as some of these succeed. */
static void show_call(const char *what, long number, long a, long b, long c, long d)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		long r = syscall(number, a, b, c, d, 0, 0);

		_exit(r < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("call.%s: signal %d\n", what, WTERMSIG(status));
	else
		printf("call.%s: %s\n", what, WEXITSTATUS(status) ?
		       strerrorname_np(WEXITSTATUS(status)) : "done");
}

static void show_calls(void)
{
	const long bad = 1; /* no address */

	show_call("mount", SYS_mount, (long)"none", (long)"/proc", (long)"tmpfs", 0);
	show_call("umount", SYS_umount2, (long)"/dev/shm", 0, 0, 0);
	show_call("remount /proc/sys", SYS_mount, (long)"none", (long)"/proc/sys", 0,
		  MS_REMOUNT | MS_BIND);
	show_call("pivot_root", SYS_pivot_root, (long)".", (long)".", 0, 0);
	show_call("chroot", SYS_chroot, (long)"/", 0, 0, 0);
	show_call("unshare user", SYS_unshare, CLONE_NEWUSER, 0, 0, 0);
	show_call("unshare mount", SYS_unshare, CLONE_NEWNS, 0, 0, 0);
	show_call("setns", SYS_setns, -1, 0, 0, 0);
	show_call("sethostname", SYS_sethostname, (long)"other", 5, 0, 0);
	show_call("reboot", SYS_reboot, 0, 0, 0, 0);
	show_call("swapon", SYS_swapon, (long)"/dev/null", 0, 0, 0);
	show_call("kexec_load", SYS_kexec_load, 0, 0, 0, 0);
	show_call("init_module", SYS_init_module, bad, 0, bad, 0);
	show_call("bpf", SYS_bpf, 0, bad, 0, 0);
	show_call("perf_event_open", SYS_perf_event_open, bad, 0, 0, 0);
	show_call("ptrace", SYS_ptrace, 16, 0x7fffffff, 0, 0);
	show_call("process_vm_readv", SYS_process_vm_readv, 0x7fffffff, 0, 0, 0);
	show_call("add_key", SYS_add_key, bad, bad, 0, 0);
	show_call("keyctl", SYS_keyctl, 0, -3, 0, 0);
	show_call("request_key", SYS_request_key, bad, bad, 0, 0);
	show_call("clock_settime", SYS_clock_settime, 0, bad, 0, 0);
	show_call("settimeofday", SYS_settimeofday, bad, 0, 0, 0);
	show_call("userfaultfd", SYS_userfaultfd, -1, 0, 0, 0);
	show_call("io_uring_setup", SYS_io_uring_setup, 0, bad, 0, 0);
	show_call("open_by_handle_at", SYS_open_by_handle_at, -1, bad, 0, 0);
	show_call("quotactl", SYS_quotactl, 0, 0, 0, 0);
	show_call("acct", SYS_acct, bad, 0, 0, 0);
	show_call("syslog", SYS_syslog, 10, 0, 0, 0);
	show_call("iopl", SYS_iopl, 3, 0, 0, 0);
	show_call("mknod null", SYS_mknod, (long)"/dev/shm/null", S_IFCHR | 0600, makedev(1, 3), 0);
	show_call("mknod disk", SYS_mknod, (long)"/dev/shm/disk", S_IFBLK | 0600, makedev(8, 0), 0);
	show_call("chown", SYS_chown, (long)"/dev/shm", 5, 5, 0);
	show_call("nice -5", SYS_setpriority, PRIO_PROCESS, 0, -5, 0);
	show_call("kill group", SYS_kill, 0x7fffffff, 0, 0, 0);
	show_call("memfd_secret", SYS_memfd_secret, -1, 0, 0, 0);
	show_call("landlock_create_ruleset", SYS_landlock_create_ruleset, 0, 0, 1, 0);
	show_call("socket inet", SYS_socket, AF_INET, SOCK_STREAM, 0, 0);
	show_call("socket inet6", SYS_socket, AF_INET6, SOCK_STREAM, 0, 0);
	show_call("socket raw", SYS_socket, AF_INET, SOCK_RAW, 1, 0);
	show_call("socket ping", SYS_socket, AF_INET, SOCK_DGRAM, 1, 0);
	show_call("socket packet", SYS_socket, AF_PACKET, SOCK_RAW, 0, 0);
	show_call("socket netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0);
	show_call("socket vsock", SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0);
	show_call("socket alg", SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0);
	show_call("socket audit", SYS_socket, AF_NETLINK, SOCK_RAW, 9, 0);
	show_call("no such call", 9999, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 65536);
	show_fds();
	show_terminal();
	show_ids();
	show_environment(argc, argv);
	show_status();
	show_limits();
	show_scheduling();
	show_process_flags();
	show_names();
	show_mounts();
	show_tree("/dev", 3);
	show_tree("/", 1);
	show_tree("/run", 2);
	show_file("file /etc/hosts", "/etc/hosts");
	show_file("file /etc/hostname", "/etc/hostname");
	show_file("file /etc/resolv.conf", "/etc/resolv.conf");
	show_sysctls();
	show_guarded();
	show_resources();
	show_calls();
	return 0;
}
