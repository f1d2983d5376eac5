/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/guest/agent_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/wire.h"
#include "tests/unit/unit.h"

#define TIMEOUT_MS 10000

static char *const shell_env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"TERM=xterm", NULL };

bool harness_available(void)
{
	return geteuid() == 0 && system("busybox true 2>/dev/null") == 0;
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
}

const char *harness_path(struct harness *h, const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s/%s", h->dir, path);
	return full;
}

/* Where cgroup v2 is mounted on the machine that runs the tests; "" when nowhere. */
static void find_cgroup2(char *path, size_t size)
{
	cleanup_fclose FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], dir[128], type[64];

	path[0] = 0;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %127s %63s", dir, type) == 2 && !strcmp(type, "cgroup2"))
			snprintf(path, size, "%s", dir);
}

int harness_group_setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));
	char cgroup2[128];

	*state = h;
	if (!h || !harness_available())
		return 0;
	/* Everything below happens in namespaces that end with the test program. */
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	snprintf(h->dir, sizeof(h->dir), "/tmp/krun-gpu-agent-XXXXXX");
	if (!mkdtemp(h->dir) || mount("tmpfs", h->dir, "tmpfs", 0, NULL) < 0)
		return -1;
	run("cd %s && mkdir -p rootfs/bin rootfs/etc rootfs/home/user rootfs/tmp mounts root && "
	    "chmod 755 . rootfs && chmod 1777 rootfs/tmp && chown 1000:1000 rootfs/home/user && "
	    "cp \"$(command -v busybox)\" rootfs/bin/busybox && "
	    "chroot rootfs /bin/busybox --install -s /bin && echo root:x:0:0::/: > rootfs/etc/passwd",
	    h->dir);
	find_cgroup2(cgroup2, sizeof(cgroup2));
	if (cgroup2[0])
		snprintf(h->cgroup, sizeof(h->cgroup), "%s/krun-gpu-test-%d", cgroup2, (int)getpid());
	return 0;
}

int harness_group_teardown(void **state)
{
	struct harness *h = *state;

	if (h->dir[0]) {
		umount2(h->dir, MNT_DETACH);
		rmdir(h->dir);
	}
	free(h);
	return 0;
}

static int listen_on(struct harness *h, uint32_t port)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), n;

	n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s/%u", h->name, port);
	if (fd < 0 ||
	    bind(fd, (struct sockaddr *)&addr,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0 ||
	    listen(fd, 1) < 0)
		fail_msg("listen on %s/%u: %s", h->name, port, strerror(errno));
	return fd;
}

static int accept_on(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	if (poll(&p, 1, TIMEOUT_MS) != 1)
		fail_msg("the agent did not connect");
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* In the agent's process: the machine, with an empty root as an initramfs would be. */
static void become_agent(struct harness *h, int agent, int export)
{
	char root[80], fd[16];

	snprintf(root, sizeof(root), "%s/root", h->dir);
	snprintf(fd, sizeof(fd), "%d", export);
	fd_set_cloexec(export, false);
	setenv("KRUN_GPU_TEST_HOST", h->name, 1);
	setenv("KRUN_GPU_TEST_EXPORT", fd, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) < 0 ||
	    mount("tmpfs", root, "tmpfs", 0, NULL) < 0)
		_exit(101);
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		_exit(102);
	execveat(agent, "", (char *[]){ (char *)"krun-gpu-agent", NULL }, environ, AT_EMPTY_PATH);
	_exit(103);
}

static void enter_cgroup(const struct harness *h)
{
	char path[300];
	int fd;

	if (!h->cgroup[0])
		return;
	mkdir(h->cgroup, 0755);
	snprintf(path, sizeof(path), "%s/cgroup.procs", h->cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(104);
	close(fd);
}

int harness_setup(void **state)
{
	const char *path = getenv("KRUN_GPU_TEST_AGENT");
	struct harness *h = *state;
	int listener, export, agent;
	static int serial;
	uint32_t version;

	if (!h->dir[0])
		return 0;
	if (!path)
		path = "krun-gpu-agent-test";
	agent = open(path, O_PATH | O_CLOEXEC);
	if (agent < 0)
		fail_msg("%s: %s", path, strerror(errno));
	snprintf(h->name, sizeof(h->name), "krun-gpu-test/%d/%d", (int)getpid(), serial++);
	listener = listen_on(h, AGENT_PORT_CONTROL);
	for (uint32_t id = 0; id < HARNESS_IDS; id++)
		for (int n = 0; n < 4; n++)
			h->listener[id][n] = listen_on(h, AGENT_PORT_STREAM(id, n));
	export = open_tree(AT_FDCWD, h->dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (export < 0)
		return -1;
	h->agent = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWPID, NULL, NULL, NULL, 0);
	if (h->agent == 0) {
		enter_cgroup(h);
		become_agent(h, agent, export);
	}
	close(agent);
	close(export);
	h->control = accept_on(listener);
	close(listener);
	harness_expect_u32s(h, AGENT_HELLO, &version, 1);
	assert_int_equal(version, AGENT_PROTO_VERSION);
	return 0;
}

/* A cgroup is busy for a moment after its last process is reaped. */
static void remove_cgroup(const struct harness *h)
{
	for (int i = 0; i < 100 && h->cgroup[0] && access(h->cgroup, F_OK) == 0; i++) {
		run("find %s -depth -type d -exec rmdir {} \\; 2>/dev/null || :", h->cgroup);
		usleep(i ? 10000 : 0);
	}
}

int harness_teardown(void **state)
{
	struct harness *h = *state;
	int status = 0;

	if (!h->agent)
		return 0;
	close(h->control);
	for (int i = 0; i < 200 && waitpid(h->agent, &status, WNOHANG) == 0; i++)
		usleep(10000);
	if (kill(h->agent, SIGKILL) == 0)
		waitpid(h->agent, &status, 0);
	h->agent = 0;
	for (uint32_t id = 0; id < HARNESS_IDS; id++)
		for (int n = 0; n < 4; n++)
			close(h->listener[id][n]);
	remove_cgroup(h);
	/* The agent ends by itself when the host is gone. */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

void harness_send_container(struct harness *h, const struct agent_container *c)
{
	struct wire_writer w = { 0 };

	agent_container_encode(&w, c);
	assert_int_equal(msg_send(h->control, AGENT_CONTAINER, w.data, w.len, NULL, 0), 0);
	wire_writer_release(&w);
}

void harness_send_exec(struct harness *h, uint32_t id, const struct agent_process *p)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	agent_process_encode(&w, p);
	assert_int_equal(msg_send(h->control, AGENT_EXEC, w.data, w.len, NULL, 0), 0);
	wire_writer_release(&w);
}

void harness_send_u32s(struct harness *h, uint32_t type, const uint32_t *v, size_t count)
{
	struct wire_writer w = { 0 };

	for (size_t i = 0; i < count; i++)
		wire_put_u32(&w, v[i]);
	assert_int_equal(msg_send(h->control, type, w.data, w.len, NULL, 0), 0);
	wire_writer_release(&w);
}

void harness_signal(struct harness *h, uint32_t id, uint32_t signo, bool all)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, signo);
	wire_put_u8(&w, all);
	assert_int_equal(msg_send(h->control, AGENT_SIGNAL, w.data, w.len, NULL, 0), 0);
	wire_writer_release(&w);
}

void harness_send_cgroup(struct harness *h, const struct agent_pair *files, size_t count)
{
	struct wire_writer w = { 0 };

	agent_pairs_encode(&w, files, count);
	assert_int_equal(msg_send(h->control, AGENT_CGROUP, w.data, w.len, NULL, 0), 0);
	wire_writer_release(&w);
}

static struct msg receive(struct harness *h)
{
	struct pollfd p = { .fd = h->control, .events = POLLIN };
	struct msg msg;

	for (;;) {
		if (poll(&p, 1, TIMEOUT_MS) != 1)
			fail_msg("the agent says nothing");
		if (msg_recv(h->control, &msg) != 1)
			fail_msg("the agent has ended");
		if (msg.type != AGENT_LOG)
			return msg;
		print_message("agent: %s\n", msg.payload + 8);
		msg_release(&msg);
	}
}

struct msg harness_expect(struct harness *h, uint32_t type)
{
	struct msg msg = receive(h);

	if (msg.type != type)
		fail_msg("message %u in place of %u: %s", msg.type, type,
			 msg.type == AGENT_ERROR && msg.len > 12 ? msg.payload + 12 : "");
	return msg;
}

void harness_expect_u32s(struct harness *h, uint32_t type, uint32_t *v, size_t count)
{
	cleanup_msg struct msg msg = harness_expect(h, type);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);

	for (size_t i = 0; i < count; i++)
		v[i] = wire_get_u32(&r);
	assert_true(wire_done(&r));
}

int harness_accept(struct harness *h, uint32_t id, int n)
{
	int fd = accept_on(h->listener[id][n]);

	assert_true(fd >= 0);
	return fd;
}

void harness_create(struct harness *h, const struct agent_container *c)
{
	struct msg msg;

	harness_send_container(h, c);
	msg = harness_expect(h, AGENT_READY);
	msg_release(&msg);
}

void harness_start(struct harness *h)
{
	uint32_t v[2];

	harness_send_u32s(h, AGENT_START, (uint32_t[]){ 0 }, 1);
	harness_expect_u32s(h, AGENT_STARTED, v, 2);
	assert_int_equal(v[0], 0);
}

/* Reads two streams to their ends while writing a third. */
static void pump(int in, const char *text, int out, int err, struct harness_result *res)
{
	FILE *files[2] = { open_memstream(&res->out, &res->out_len), NULL };
	size_t err_len = 0, left = text ? strlen(text) : 0;
	struct pollfd p[3] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN },
			       { .fd = in, .events = POLLOUT } };

	files[1] = open_memstream(&res->err, &err_len);
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		char buf[65536];
		ssize_t n;

		if (poll(p, 3, TIMEOUT_MS) <= 0)
			fail_msg("the container's streams stand still");
		for (int i = 0; i < 2; i++) {
			if (!p[i].revents)
				continue;
			n = read(p[i].fd, buf, sizeof(buf));
			if (n > 0)
				fwrite(buf, 1, (size_t)n, files[i]);
			else
				p[i].fd = -1;
		}
		if (p[2].fd >= 0 && p[2].revents) {
			n = left ? send(p[2].fd, text, left, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
			text += n > 0 ? n : 0;
			left -= n > 0 ? (size_t)n : 0;
			if (!left || (n < 0 && errno != EAGAIN)) {
				shutdown(p[2].fd, SHUT_WR);
				p[2].fd = -1;
			}
		}
	}
	fclose(files[0]);
	fclose(files[1]);
}

static bool result_error(struct harness_result *res, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);

	if (msg->type != AGENT_ERROR)
		return false;
	assert_int_equal(wire_get_u32(&r), 0);
	res->code = wire_get_u32(&r);
	res->err = wire_get_str(&r);
	res->out = strdup("");
	res->status = -1;
	return true;
}

struct harness_result harness_run(struct harness *h, const struct agent_container *c,
				  const char *in)
{
	cleanup_close int in_fd = -1, out_fd = -1, err_fd = -1;
	struct harness_result res = { 0 };
	struct msg msg;
	uint32_t v[2];

	harness_send_container(h, c);
	msg = receive(h);
	if (!result_error(&res, &msg)) {
		assert_int_equal(msg.type, AGENT_READY);
		harness_send_u32s(h, AGENT_START, (uint32_t[]){ 0 }, 1);
		msg_release(&msg);
		msg = receive(h);
		if (!result_error(&res, &msg))
			assert_int_equal(msg.type, AGENT_STARTED);
	}
	msg_release(&msg);
	if (res.status < 0)
		return res;
	if (c->process.stdin_open)
		in_fd = harness_accept(h, 0, AGENT_STREAM_STDIN);
	out_fd = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	err_fd = harness_accept(h, 0, AGENT_STREAM_STDERR);
	pump(in_fd, in, out_fd, err_fd, &res);
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	assert_int_equal(v[0], 0);
	res.status = (int)v[1];
	return res;
}

void harness_result_free(struct harness_result *r)
{
	free(r->out);
	free(r->err);
}

struct agent_container *harness_sh_spec(const char *script)
{
	static char *args[] = { (char *)"sh", (char *)"-c", NULL, NULL };

	args[2] = (char *)script;
	return harness_spec(args);
}

void harness_expect_output(struct harness *h, const struct agent_container *c, const char *out)
{
	cleanup_result struct harness_result r = harness_run(h, c, NULL);

	assert_string_equal(r.err, "");
	assert_string_equal(r.out, out);
	assert_int_equal(r.status, 0);
}

void harness_expect_refused(struct harness *h, const struct agent_container *c, const char *text)
{
	cleanup_result struct harness_result r = harness_run(h, c, NULL);

	assert_int_equal(r.status, -1);
	assert_string_equal(r.err, text);
}

char *harness_sh(struct harness *h, const char *script)
{
	struct harness_result res = harness_run(h, harness_sh_spec(script), NULL);

	if (res.status != 0)
		fail_msg("status 0x%x of `%s`: %s%s", (unsigned int)res.status, script, res.out,
			 res.err);
	free(res.err);
	return res.out;
}

#define FS(t, dest, fl, opts)                                                                    \
	{ .kind = AGENT_MOUNT_FS, .type = (char *)t, .source = (char *)t, .destination = (char *)dest, \
	  .flags = fl, .data = (char *)opts }
#define NODE(p, ma, mi)                                                                      \
	{ .kind = AGENT_DEVICE_NODE, .mode = S_IFCHR | 0666, .major = ma, .minor = mi, .path = (char *)p }

struct agent_container *harness_spec(char **args)
{
	static struct agent_mount mounts[16];
	static struct agent_device devices[16];
	static struct agent_container c;
	static char *masked[] = { (char *)"/proc/version", (char *)"/sys/firmware",
				  (char *)"/not/there", NULL };
	static char *readonly[] = { (char *)"/proc/sys", (char *)"/not/there", NULL };
	const uint64_t nosuid = MS_NOSUID | MS_NOEXEC | MS_NODEV;
	const struct agent_mount default_mounts[] = {
		FS("proc", "/proc", nosuid, ""),
		FS("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
		FS("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620,gid=5"),
		FS("sysfs", "/sys", nosuid | MS_RDONLY, ""),
		FS("mqueue", "/dev/mqueue", nosuid, ""),
		FS("tmpfs", "/dev/shm", nosuid, "mode=1777,size=65536k"),
		FS("cgroup", "/sys/fs/cgroup", nosuid | MS_RELATIME | MS_RDONLY, ""),
	};
	const struct agent_device default_devices[] = {
		NODE("/dev/null", 1, 3),    NODE("/dev/zero", 1, 5), NODE("/dev/full", 1, 7),
		NODE("/dev/random", 1, 8), NODE("/dev/urandom", 1, 9), NODE("/dev/tty", 5, 0),
	};

	memcpy(mounts, default_mounts, sizeof(default_mounts));
	memcpy(devices, default_devices, sizeof(default_devices));
	c = (struct agent_container){
		.hostname = (char *)"box",
		.namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
			      CLONE_NEWCGROUP,
		.mounts = mounts,
		.num_mounts = sizeof(default_mounts) / sizeof(*default_mounts),
		.devices = devices,
		.num_devices = sizeof(default_devices) / sizeof(*default_devices),
		.masked_paths = masked,
		.readonly_paths = readonly,
		.process = {
			.args = args,
			.env = (char **)shell_env,
			.cwd = (char *)"/",
			.has_capabilities = true,
		},
	};
	for (int i = 0; i < AGENT_CAP_AMBIENT; i++)
		if (i != AGENT_CAP_INHERITABLE)
			c.process.capabilities[i] = 0x800405fb; /* podman's default set */
	return &c;
}
