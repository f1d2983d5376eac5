/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: /init of a throw-away initramfs, made by contrib/guest-kernel/test. It asks
 * the running kernel for each thing that containers count on, by using it once, and prints TAP on
 * the console. The last line, "# boot", has the time-stamp counter as it was when /init began:
 * under QEMU's -icount shift=0 that is the number of instructions since reset.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

static unsigned int checks, failures;

static void report(bool ok, const char *kind, const char *name)
{
	checks++;
	if (!ok)
		failures++;
	printf("%sok %u - %s %s%s%s\n", ok ? "" : "not ", checks, kind, name,
	       ok ? "" : ": ", ok ? "" : strerror(errno));
}

/* Runs @fn in a child, so that what it does to its process stays there. */
static bool in_child(bool (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn() ? 0 : errno ? errno : EPROTO);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- File systems ------------------------------------------------------------------------ */

static void check_mount(const char *type, const char *target, const char *data)
{
	mkdir(target, 0755);
	report(mount(type, target, type, 0, data) == 0, "mount", type);
}

static void check_mounts(void)
{
	check_mount("proc", "/proc", NULL);
	check_mount("sysfs", "/sys", NULL);
	check_mount("devtmpfs", "/dev", NULL);
	check_mount("devpts", "/dev/pts", "newinstance,ptmxmode=0666");
	check_mount("mqueue", "/dev/mqueue", NULL);
	check_mount("hugetlbfs", "/dev/hugepages", NULL);
	check_mount("tmpfs", "/tmp", "mode=1777,inode64");
	check_mount("cgroup2", "/sys/fs/cgroup", NULL);
	check_mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", NULL);
	mkdir("/tmp/lower", 0755);
	mkdir("/tmp/upper", 0755);
	mkdir("/tmp/work", 0755);
	check_mount("overlay", "/tmp/merged",
		    "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work");
}

/* Is @word one of the words of the file at @path? */
static bool file_has_word(const char *path, const char *word)
{
	char buf[64];
	bool found = false;
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (!found && fscanf(f, "%63s", buf) == 1)
		found = !strcmp(buf, word);
	fclose(f);
	if (!found)
		errno = ENOENT;
	return found;
}

static void check_words(const char *path, const char *kind, const char *const *words)
{
	for (; *words; words++)
		report(file_has_word(path, *words), kind, *words);
}

static void check_lists(void)
{
	static const char *const filesystems[] = {
		"virtiofs", "fuse", "fuseblk", "ext4", "vfat", "squashfs", "autofs", NULL,
	};
	static const char *const controllers[] = {
		"cpuset", "cpu", "io", "memory", "hugetlb", "pids", NULL,
	};
	static const char *const matches[] = {
		"addrtype", "comment", "conntrack", "mark", "multiport", "owner", "set", "tcp",
		NULL,
	};
	static const char *const targets[] = {
		"MASQUERADE", "DNAT", "SNAT", "REDIRECT", "REJECT", "LOG", "TPROXY", NULL,
	};

	check_words("/proc/filesystems", "file system", filesystems);
	check_words("/sys/fs/cgroup/cgroup.controllers", "cgroup controller", controllers);
	check_words("/proc/net/ip_tables_matches", "xt match", matches);
	check_words("/proc/net/ip_tables_targets", "xt target", targets);
}

static void check_paths(void)
{
	static const char *const paths[] = {
		"/dev/null", "/dev/kmsg", "/dev/fuse", "/dev/cuse", "/dev/net/tun",
		"/dev/loop-control", "/dev/udmabuf", "/dev/hwrng", "/dev/hvc0",
		"/dev/dri/renderD128", "/proc/config.gz", "/proc/pressure/memory",
		"/proc/sys/user/max_user_namespaces", "/proc/sys/net/ipv6",
		"/proc/sys/net/netfilter/nf_conntrack_max",
		"/proc/sys/net/bridge/bridge-nf-call-iptables",
		"/sys/fs/cgroup/cgroup.pressure", "/sys/kernel/mm/transparent_hugepage/enabled",
		"/sys/class/net/eth0", "/sys/bus/virtio/drivers/virtio_balloon",
		"/sys/bus/virtio/drivers/virtiofs",
		"/sys/bus/virtio/drivers/vmw_vsock_virtio_transport", NULL,
	};

	for (const char *const *p = paths; *p; p++)
		report(access(*p, F_OK) == 0, "path", *p);
}

/* --- Sockets and links ------------------------------------------------------------------- */

static void check_sockets(void)
{
	static const struct {
		const char *name;
		int domain, type, protocol;
	} sockets[] = {
		{ "unix", AF_UNIX, SOCK_SEQPACKET, 0 },
		{ "inet tcp", AF_INET, SOCK_STREAM, 0 },
		{ "inet udp", AF_INET, SOCK_DGRAM, 0 },
		{ "inet6 tcp", AF_INET6, SOCK_STREAM, 0 },
		{ "packet", AF_PACKET, SOCK_RAW, 0 },
		{ "vsock", AF_VSOCK, SOCK_STREAM, 0 },
		{ "netlink route", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE },
		{ "netlink netfilter", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER },
		{ "netlink sock_diag", AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG },
		{ "netlink uevent", AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT },
	};

	for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
		int fd = socket(sockets[i].domain, sockets[i].type, sockets[i].protocol);

		report(fd >= 0, "socket", sockets[i].name);
		close(fd);
	}
}

/* RTM_NEWLINK of @kind with no attributes of its own; the kernel names it. */
static bool link_add(const char *kind)
{
	struct {
		struct nlmsghdr nh;
		struct ifinfomsg ifi;
		char attrs[64];
	} req = {
		.nh = { .nlmsg_type = RTM_NEWLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
	};
	struct {
		struct nlmsghdr nh;
		struct nlmsgerr err;
		char rest[256];
	} reply;
	struct rtattr *info = (struct rtattr *)req.attrs;
	struct rtattr *data = RTA_DATA(info);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ssize_t n;

	data->rta_type = IFLA_INFO_KIND;
	data->rta_len = RTA_LENGTH(strlen(kind));
	memcpy(RTA_DATA(data), kind, strlen(kind));
	info->rta_type = IFLA_LINKINFO;
	info->rta_len = RTA_LENGTH(RTA_ALIGN(data->rta_len));
	req.nh.nlmsg_len = NLMSG_LENGTH(sizeof(req.ifi)) + RTA_ALIGN(info->rta_len);
	n = send(fd, &req, req.nh.nlmsg_len, 0);
	if (n > 0)
		n = recv(fd, &reply, sizeof(reply), 0);
	close(fd);
	if (n <= 0)
		return false;
	errno = -reply.err.error;
	return reply.err.error == 0;
}

static void check_links(void)
{
	static const char *const kinds[] = { "bridge", "dummy", "veth", "wireguard", NULL };

	for (const char *const *k = kinds; *k; k++)
		report(link_add(*k), "link", *k);
}

/* --- Namespaces, seccomp, BPF ------------------------------------------------------------ */

static bool unshare_all(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID |
		       CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME) == 0;
}

static bool seccomp_refuses(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		return false;
	return syscall(SYS_getppid) < 0 && errno == EXDEV;
}

/* A device program that allows everything, attached to the root cgroup. */
static bool cgroup_device_bpf(void)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.insns = (uintptr_t)code,
		.insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};
	union bpf_attr attach = { .attach_type = BPF_CGROUP_DEVICE };
	int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	int group = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (prog < 0 || group < 0)
		return false;
	attach.target_fd = group;
	attach.attach_bpf_fd = prog;
	return syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) == 0;
}

/* --- System calls ------------------------------------------------------------------------ */

static bool int80_getpid(void)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return ret == getpid();
}

static bool sys_mq(void)
{
	return mq_open("/probe", O_CREAT | O_RDWR, 0600, NULL) != (mqd_t)-1;
}

static bool sys_shm(void)
{
	return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0;
}

static bool sys_io_uring(void)
{
	struct io_uring_params params = { 0 };

	return syscall(SYS_io_uring_setup, 4, &params) >= 0;
}

static bool sys_perf(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0;
}

static bool sys_random(void)
{
	char buf[16];

	return getrandom(buf, sizeof(buf), GRND_NONBLOCK) == sizeof(buf);
}

static bool sys_fanotify(void)
{
	return fanotify_init(FAN_CLASS_CONTENT, O_RDONLY) >= 0;
}

static bool sys_aio(void)
{
	unsigned long ctx = 0;

	return syscall(SYS_io_setup, 1, &ctx) == 0;
}

static bool sys_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return signalfd(-1, &set, SFD_CLOEXEC) >= 0;
}

static bool sys_events(void)
{
	return epoll_create1(0) >= 0 && eventfd(0, 0) >= 0 && inotify_init1(0) >= 0 &&
	       timerfd_create(CLOCK_MONOTONIC, 0) >= 0 && memfd_create("probe", 0) >= 0;
}

static bool sys_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) >= 0;
}

static bool sys_membarrier(void)
{
	return syscall(SYS_membarrier, 0 /* QUERY */, 0, 0) > 0;
}

static bool sys_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), 1 /* KCMP_VM */, 0, 0) == 0;
}

static bool sys_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* VERSION */) > 0;
}

static bool sys_add_key(void)
{
	return syscall(SYS_add_key, "user", "probe", "x", 1, -2 /* process keyring */) > 0;
}

static const struct {
	const char *name;
	bool (*fn)(void);
} calls[] = {
	{ "unshare of every namespace", unshare_all },
	{ "seccomp filter", seccomp_refuses },
	{ "bpf cgroup device program", cgroup_device_bpf },
	{ "32-bit system call", int80_getpid },
	{ "POSIX message queue", sys_mq },
	{ "System V shared memory", sys_shm },
	{ "io_uring", sys_io_uring },
	{ "aio", sys_aio },
	{ "perf_event_open", sys_perf },
	{ "getrandom without waiting", sys_random },
	{ "epoll, eventfd, inotify, timerfd, memfd", sys_events },
	{ "signalfd", sys_signalfd },
	{ "fanotify", sys_fanotify },
	{ "userfaultfd", sys_userfaultfd },
	{ "membarrier", sys_membarrier },
	{ "kcmp", sys_kcmp },
	{ "landlock", sys_landlock },
	{ "keyring", sys_add_key },
};

int main(void)
{
	unsigned long long tsc = __rdtsc();

	check_mounts();
	check_lists();
	check_paths();
	check_sockets();
	check_links();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		report(in_child(calls[i].fn), "call", calls[i].name);
	printf("1..%u\n# boot %llu\n# failed %u\n", checks, tsc, failures);
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
