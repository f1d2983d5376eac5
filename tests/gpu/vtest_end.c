/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program whose Vulkan goes through the real GPU worker, the jailed render server and the
 * Vulkan layer, with no virtual machine: Mesa's Venus driver speaks the vtest protocol instead of
 * to a guest's kernel.
 *
 * Usage: vtest_end [OPTION]... [--] COMMAND [ARGUMENT]...
 *   --node PATH       a device node of the GPU's, as a container would be given it; may be repeated
 *   --software        lavapipe (also when no node is given)
 *   --worker PROGRAM  krun-gpu-gpu; the installed one when not said
 *   --layer DIR       where the Vulkan layer and its manifest are; likewise
 *   --server PROGRAM  virgl_render_server; likewise
 *   --venus MANIFEST  of the Venus driver; likewise
 *   --window MIB      of host-visible memory that may be mapped at a time; 65536 when not said
 *   --memory MIB      that the guest may make with the GPU, as krun-gpu.memory_mib; no limit when not said
 *   --direct          no layer: what the driver exports itself
 *   --record FILE     write the stream of commands there, for tests/unit/test_gpu_replay
 *   --verbose         log everything; at the end say how many commands there were of each kind
 *
 * COMMAND finds the pids in KRUN_GPU_WORKER_PID and KRUN_GPU_RENDER_SERVER_PID. Exits as it did, or
 * with 125 when something of ours failed, the worker's and the server's end included.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpu_jail.h"
#include "gpu_select.h"
#include "tests/gpu/jail_child.h"
#include "vtest_client.h"
#include "vtest_front.h"

#define MAX_NODES 16
#define END_SECONDS 10

struct options {
	struct gpu_node nodes[MAX_NODES];
	size_t num_nodes;
	bool software, verbose;
	const char *worker, *layer, *server, *venus, *record;
	uint64_t window, memory;
	char **command;
};

static struct end {
	struct vtest_front fe;
	pid_t worker, jail, command;
	int listener;
	char dir[32], path[64];
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned int clients; /* being served */
} end = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static int add_node(struct options *o, const char *path, struct error **err)
{
	struct stat st;

	if (o->num_nodes == MAX_NODES)
		return error_set(err, 0, "more than %d nodes", MAX_NODES);
	if (stat(path, &st) < 0)
		return error_set(err, errno, "--node: cannot look at %s", path);
	o->nodes[o->num_nodes++] = (struct gpu_node){ path, st.st_rdev };
	return 0;
}

static int parse(struct options *o, int argc, char **argv, struct error **err)
{
	static const struct option longs[] = {
		{ "node", required_argument, NULL, 'n' },   { "software", no_argument, NULL, 's' },
		{ "worker", required_argument, NULL, 'w' }, { "layer", required_argument, NULL, 'l' },
		{ "server", required_argument, NULL, 'r' }, { "venus", required_argument, NULL, 'e' },
		{ "window", required_argument, NULL, 'm' }, { "direct", no_argument, NULL, 'd' },
		{ "record", required_argument, NULL, 'R' }, { "memory", required_argument, NULL, 'M' },
		{ "verbose", no_argument, NULL, 'v' },	    { 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (add_node(o, optarg, err) < 0)
				return -1;
			break;
		case 's': o->software = true; break;
		case 'w': o->worker = optarg; break;
		case 'l': o->layer = optarg; break;
		case 'r': o->server = optarg; break;
		case 'e': o->venus = optarg; break;
		case 'm': o->window = strtoull(optarg, NULL, 0) << 20; break;
		case 'M': o->memory = strtoull(optarg, NULL, 0) << 20; break;
		case 'd': o->layer = "/usr/share"; break; /* where there is no layer */
		case 'R': o->record = optarg; break;
		case 'v': o->verbose = true; break;
		default: return error_set(err, 0, "see the head of tests/gpu/vtest_end.c");
		}
	}
	if (optind == argc)
		return error_set(err, 0, "no command given");
	o->command = argv + optind;
	return 0;
}

static int start_server(const struct options *o, int sock, int watch, struct error **err)
{
	static const struct gpu_node any = { "/dev/dri/renderD128", 0 };
	const bool software = o->software || !o->num_nodes;
	const struct gpu_request req = { .nodes = o->num_nodes ? o->nodes : &any,
					 .count = o->num_nodes ? o->num_nodes : 1,
					 .annotation = software ? "software" : NULL };
	struct gpu_choice choice;
	const struct gpu_jail jail = { .choice = &choice, .server_fd = sock, .watch_fd = watch,
				       .log_fd = STDERR_FILENO, .cgroup_fd = -1,
				       .memory = o->memory,
				       .server = o->server, .layer = o->layer };
	int r;

	if (gpu_select(&req, "", &choice, err) < 0)
		return -1;
	r = gpu_render_server_spawn(&jail, &end.jail, err);
	gpu_choice_release(&choice);
	return r;
}

static int start_worker(const struct options *o, int sock, int server, int watch,
			struct error **err)
{
	const char *program = o->worker ? o->worker : LIBEXECDIR "/krun-gpu-gpu";
	const uint64_t memory = o->memory ? o->memory : UINT64_MAX >> 1;
	char window[48], bytes[48];

	snprintf(bytes, sizeof(bytes), "--max-bytes=%llu", (unsigned long long)memory);
	snprintf(window, sizeof(window), "--window=%llu", (unsigned long long)o->window);
	end.worker = fork();
	if (end.worker < 0)
		return error_set(err, errno, "cannot fork");
	if (end.worker)
		return 0;
	/* 3 to 5 may be any of the three now. */
	sock = fcntl(sock, F_DUPFD, 6);
	server = fcntl(server, F_DUPFD, 6);
	watch = fcntl(watch, F_DUPFD, 6);
	if (dup2(sock, 3) == 3 && dup2(server, 4) == 4 && dup2(watch, 5) == 5)
		execl(program, program, "--vhost-user-fd=3", "--render-server-fd=4",
		      "--watch-fd=5", window, bytes,
		      o->verbose ? "--log-level=debug" : "--log-level=warning",
		      (char *)NULL);
	perror(program);
	_exit(127);
}

static int start_device(const struct options *o, struct error **err)
{
	int server[2], sock[2], watch[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, server) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, watch) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	if (start_server(o, server[1], watch[1], err) < 0 ||
	    start_worker(o, sock[1], server[0], watch[0], err) < 0)
		return -1;
	close(server[0]);
	close(server[1]);
	close(watch[0]);
	close(watch[1]);
	close(sock[1]);
	if (vtest_front_start(&end.fe, sock[0], o->window, err) < 0)
		return -1;
	if (o->record)
		end.fe.record = fopen(o->record, "we");
	return o->record && !end.fe.record ? error_set(err, errno, "cannot write %s", o->record) : 0;
}

static int start_listening(struct error **err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(end.dir, "/tmp/vtest-XXXXXX");
	if (!mkdtemp(end.dir))
		return error_set(err, errno, "cannot make a directory in /tmp");
	snprintf(end.path, sizeof(end.path), "%s/socket", end.dir);
	strcpy(addr.sun_path, end.path);
	end.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (end.listener < 0 || bind(end.listener, (void *)&addr, sizeof(addr)) < 0 ||
	    listen(end.listener, 64) < 0)
		return error_set(err, errno, "cannot listen on %s", end.path);
	return 0;
}

static void *client_main(void *data)
{
	vtest_client_serve(&end.fe, (int)(intptr_t)data);
	pthread_mutex_lock(&end.lock);
	end.clients--;
	pthread_cond_signal(&end.ended);
	pthread_mutex_unlock(&end.lock);
	return NULL;
}

static void *accept_main(void *data)
{
	pthread_t thread;
	int sock;

	(void)data;
	while ((sock = accept4(end.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		pthread_mutex_lock(&end.lock);
		end.clients++;
		pthread_mutex_unlock(&end.lock);
		if (pthread_create(&thread, NULL, client_main, (void *)(intptr_t)sock))
			abort();
		pthread_detach(thread);
	}
	return NULL;
}

static void set_pid(const char *name, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv(name, text, 1);
}

static int run_command(const struct options *o, struct error **err)
{
	glob_t found = { 0 };

	if (o->venus)
		setenv("VK_DRIVER_FILES", o->venus, 1);
	else if (!glob("/usr/share/vulkan/icd.d/virtio_icd*.json", 0, NULL, &found))
		setenv("VK_DRIVER_FILES", found.gl_pathv[0], 1);
	globfree(&found);
	setenv("VN_DEBUG", "vtest", 1);
	setenv("VTEST_SOCKET_NAME", end.path, 1);
	set_pid("KRUN_GPU_WORKER_PID", end.worker);
	set_pid("KRUN_GPU_RENDER_SERVER_PID", jail_child(end.jail));
	end.command = fork();
	if (end.command < 0)
		return error_set(err, errno, "cannot fork");
	if (end.command)
		return 0;
	execvp(o->command[0], o->command);
	perror(o->command[0]);
	_exit(127);
}

static int wait_command(void)
{
	int status;

	while (waitpid(end.command, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Within END_SECONDS and by itself; else it is killed and -1. */
static int wait_end(const char *what, pid_t pid, int expected)
{
	int status;

	for (int i = 0; i < END_SECONDS * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status) && (expected < 0 || WEXITSTATUS(status) == expected))
				return 0;
			log_error("%s ended with status %#x", what, status);
			return -1;
		}
		usleep(10000);
	}
	log_error("%s does not end", what);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void print_counts(void)
{
	fprintf(stderr, "vtest_end: %llu commands, %llu interrupts; messages:",
		(unsigned long long)end.fe.commands, (unsigned long long)end.fe.interrupts);
	for (unsigned int i = 0; i < VTEST_MESSAGES; i++)
		if (end.fe.messages[i])
			fprintf(stderr, " %u: %llu", i, (unsigned long long)end.fe.messages[i]);
	fputc('\n', stderr);
}

static int finish(const struct options *o, int code)
{
	int r;

	shutdown(end.listener, SHUT_RDWR);
	unlink(end.path);
	rmdir(end.dir);
	pthread_mutex_lock(&end.lock);
	while (end.clients)
		pthread_cond_wait(&end.ended, &end.lock);
	pthread_mutex_unlock(&end.lock);
	if (o->verbose)
		print_counts();
	vtest_front_stop(&end.fe);
	if (end.fe.record && fclose(end.fe.record)) {
		log_error("cannot write %s", o->record);
		code = 125;
	}
	r = wait_end("the worker", end.worker, 0);
	/* When its socket is closed it ends with whatever its version thinks right. */
	if (wait_end("the render server", end.jail, -1) < 0)
		r = -1;
	return code || r == 0 ? code : 125;
}

int main(int argc, char **argv)
{
	struct options o = { .window = 64ull << 30 };
	cleanup_error struct error *err = NULL;
	pthread_t thread;
	int r;

	r = parse(&o, argc, argv, &err);
	log_init("vtest_end", STDERR_FILENO, LOG_FORMAT_TEXT,
		 o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING);
	signal(SIGPIPE, SIG_IGN);
	if (r < 0 || start_listening(&err) < 0 || start_device(&o, &err) < 0 ||
	    pthread_create(&thread, NULL, accept_main, NULL) || run_command(&o, &err) < 0) {
		log_error("%s", error_msg(err));
		return 125;
	}
	return finish(&o, wait_command());
}
