/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boots a machine without the command line: executes krun-gpu-vmm, sends it a configuration, and
 * reports what it answers and how it ends. For bring-up and for measuring the boot alone.
 *
 *	vmm_boot [options] VMM KERNEL AGENT
 *	  -m MIB	RAM (256)
 *	  -c N		vCPUs (1)
 *	  -a TEXT	appended to the kernel's command line
 *	  -f WORKER	file system worker, executed as WORKER --vhost-user-fd 3 --export EXPORT
 *	  -e EXPORT	directory that the worker exports: rootfs/ and mounts/ (needs -f)
 *	  -g MIB	size of the GPU window, without a GPU device: none
 *	  -d		debug log
 *
 * Runs /bin/true of the export when there is one. Exits as the machine did.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"

struct boot {
	const char *vmm, *kernel, *agent, *worker, *export;
	struct vmm_config cfg;
	int fds[VMM_FD_COUNT];
	struct timespec start;
};

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "vmm_boot: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void say(const struct boot *b, const char *what)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(stderr, "vmm_boot: %6ld ms: %s\n",
		(now.tv_sec - b->start.tv_sec) * 1000 +
		(now.tv_nsec - b->start.tv_nsec) / 1000000, what);
}

static int open_or_die(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

/* Execute a program with @fd as its fd 3. */
static pid_t spawn(int fd, char *const argv[])
{
	const pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		if (fd == 3 ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, 3) < 0)
			die("dup2");
		execv(argv[0], argv);
		die(argv[0]);
	}
	close(fd);
	return pid;
}

static int spawn_worker(const struct boot *b)
{
	char *const argv[] = { (char *)b->worker, "--vhost-user-fd", "3", "--export",
			       (char *)b->export, NULL };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		die("socketpair");
	spawn(sv[1], argv);
	return sv[0];
}

/* A listening socket in the abstract name space, bound to a name that the kernel chooses. */
static int control_socket(void)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
	    listen(fd, 8) < 0)
		die("control socket");
	return fd;
}

static void describe_container(struct vmm_config *cfg)
{
	char *args[] = { "/bin/true", NULL }, *env[] = { "PATH=/bin", NULL };
	const struct agent_container c = {
		.hostname = "vmm-boot",
		.process = { .args = args, .env = env, .cwd = "/" },
	};
	struct wire_writer w = { 0 };

	agent_container_encode(&w, &c);
	cfg->guest = w.data;
	cfg->guest_len = w.len;
}

static void open_fds(struct boot *b)
{
	int *fds = b->fds;

	memset(fds, -1, sizeof(b->fds));
	fds[VMM_FD_KVM] = open_or_die("/dev/kvm", O_RDWR);
	fds[VMM_FD_KERNEL] = open_or_die(b->kernel, O_RDONLY);
	fds[VMM_FD_AGENT] = open_or_die(b->agent, O_RDONLY);
	fds[VMM_FD_CONTROL] = control_socket();
	fds[VMM_FD_STDIN] = open_or_die("/dev/null", O_RDONLY);
	fds[VMM_FD_STDOUT] = dup(1);
	fds[VMM_FD_STDERR] = dup(2);
	fds[VMM_FD_CONSOLE] = dup(2);
	if (b->worker)
		fds[VMM_FD_FS] = spawn_worker(b);
}

static void send_config(struct boot *b, int sock)
{
	int list[VMM_FD_COUNT];
	struct wire_writer w = { 0 };
	size_t n = 0;

	for (unsigned int i = 0; i < VMM_FD_COUNT; i++) {
		if (b->fds[i] < 0)
			continue;
		b->cfg.fd_mask |= 1ull << i;
		list[n++] = b->fds[i];
	}
	vmm_config_encode(&w, &b->cfg);
	errno = -msg_send(sock, VMM_CONFIG, w.data, w.len, list, n);
	if (errno)
		die("cannot send the configuration");
	wire_writer_release(&w);
	for (size_t i = 0; i < n; i++)
		if (list[i] != b->fds[VMM_FD_CONTROL])
			close(list[i]);
}

static void start_container(const struct boot *b)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct msg msg = { 0 };

	if (getsockname(b->fds[VMM_FD_CONTROL], (struct sockaddr *)&addr, &len) < 0 ||
	    connect(fd, (const struct sockaddr *)&addr, len) < 0)
		die("control socket");
	if (msg_send(fd, VMM_START, NULL, 0, NULL, 0) || msg_recv(fd, &msg) != 1)
		die("start");
	say(b, msg.type == VMM_OK ? "started" : "start refused");
	msg_release(&msg);
	close(fd);
}

static void wait_created(const struct boot *b, int sock)
{
	struct msg msg = { 0 };
	struct wire_reader r;
	char *why;

	if (msg_recv(sock, &msg) != 1) {
		say(b, "the VMM ended without an answer");
		return;
	}
	r = WIRE_READER(msg.payload, msg.len);
	if (msg.type == VMM_CREATED) {
		say(b, "created");
		start_container(b);
	} else {
		wire_get_u32(&r);
		why = wire_get_str(&r);
		say(b, why ? why : "an answer that cannot be understood");
		free(why);
	}
	msg_release(&msg);
}

static void parse_options(struct boot *b, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "m:c:a:f:e:g:d")) != -1) {
		switch (opt) {
		case 'm':
			b->cfg.ram_bytes = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'c':
			b->cfg.vcpus = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'a':
			b->cfg.cmdline_extra = optarg;
			break;
		case 'f':
			b->worker = optarg;
			break;
		case 'e':
			b->export = optarg;
			break;
		case 'g':
			b->cfg.gpu_window = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'd':
			b->cfg.log_level = LOG_LEVEL_DEBUG;
			break;
		default:
			exit(125);
		}
	}
	if (argc - optind != 3 || !b->worker != !b->export) {
		fprintf(stderr, "vmm_boot: [options] VMM KERNEL AGENT\n");
		exit(125);
	}
	b->vmm = argv[optind];
	b->kernel = argv[optind + 1];
	b->agent = argv[optind + 2];
}

int main(int argc, char **argv)
{
	struct boot b = {
		.cfg = { .ram_bytes = 256ull << 20, .vcpus = 1, .cmdline_extra = "",
			 .log_level = LOG_LEVEL_WARNING },
	};
	char *vmm_argv[2] = { 0 };
	int sv[2], status;
	pid_t vmm;

	parse_options(&b, argc, argv);
	b.cfg.kernel_path = (char *)b.kernel;
	describe_container(&b.cfg);
	open_fds(&b);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		die("socketpair");
	clock_gettime(CLOCK_MONOTONIC, &b.start);
	vmm_argv[0] = (char *)b.vmm;
	vmm = spawn(sv[1], vmm_argv);
	send_config(&b, sv[0]);
	wait_created(&b, sv[0]);
	if (waitpid(vmm, &status, 0) < 0)
		die("waitpid");
	say(&b, WIFSIGNALED(status) ? "the VMM was killed" : "the VMM exited");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
