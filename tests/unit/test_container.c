/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's state machine between scripted peers: an agent, command lines, and a vsock
 * device that only notes what it is offered.
 */
#include "vmm/container.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/connect_proto.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "vmm/virtio/vsock.h"

#define MAX_OFFERS 300

/* The vsock device's place. A stream is closed when the test says so, or when it is finished. */
struct vsock {
	struct vsock_offer offers[MAX_OFFERS];
	bool used[MAX_OFFERS], finished[MAX_OFFERS];
	bool hold; /* finished streams still have bytes to deliver */
};

static struct vsock_offer *fake_find(const struct vsock *vs, uint32_t port, size_t *at)
{
	for (size_t i = 0; i < MAX_OFFERS; i++) {
		if (vs->used[i] && vs->offers[i].port == port) {
			*at = i;
			return (struct vsock_offer *)&vs->offers[i];
		}
	}
	return NULL;
}

int vsock_offer_port(struct vsock *vs, const struct vsock_offer *offer)
{
	size_t at = 0;

	if (fake_find(vs, offer->port, &at))
		return -EEXIST;
	while (vs->used[at])
		if (++at == MAX_OFFERS)
			return -ENOSPC;
	vs->offers[at] = *offer;
	vs->used[at] = true;
	vs->finished[at] = false;
	return 0;
}

void vsock_withdraw_port(struct vsock *vs, uint32_t port)
{
	size_t at;
	struct vsock_offer *o = fake_find(vs, port, &at);

	if (!o)
		return;
	if (o->read_fd >= 0)
		close(o->read_fd);
	if (o->write_fd >= 0 && o->write_fd != o->read_fd)
		close(o->write_fd);
	vs->used[at] = false;
}

static void fake_close(struct vsock *vs, uint32_t port)
{
	size_t at;
	struct vsock_offer *o = fake_find(vs, port, &at), copy;

	assert_non_null(o);
	copy = *o;
	vsock_withdraw_port(vs, port);
	if (copy.closed)
		copy.closed(copy.data, port);
}

void vsock_finish_port(struct vsock *vs, uint32_t port)
{
	size_t at;

	if (!fake_find(vs, port, &at))
		return;
	vs->finished[at] = true;
	if (!vs->hold)
		fake_close(vs, port);
}

bool vsock_port_idle(const struct vsock *vs, uint32_t port)
{
	size_t at;

	return !fake_find(vs, port, &at);
}

struct fixture {
	struct event_loop *loop;
	struct vsock vs;
	struct vmm_config cfg;
	struct container *c;
	int setup, agent, worker; /* our ends; the last is the worker's for sockets */
	struct sockaddr_un addr;
	socklen_t addr_len;
	bool ended, failed;
	int wait_status;
	char why[256];
	int paused;
	int stdio[3]; /* our ends of the container's streams */
};

static void host_ended(void *data, int wait_status)
{
	struct fixture *f = data;

	assert_false(f->ended || f->failed);
	f->ended = true;
	f->wait_status = wait_status;
}

static void host_failed(void *data, const char *why)
{
	struct fixture *f = data;

	assert_false(f->ended || f->failed);
	f->failed = true;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static int host_pause(void *data)
{
	((struct fixture *)data)->paused = 1;
	return 0;
}

static int host_resume(void *data)
{
	((struct fixture *)data)->paused = 0;
	return 0;
}

static struct fixture *fixture_new(int terminal)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct container_host host = { host_ended, host_failed, host_pause, host_resume, f };
	int fds[VMM_FD_COUNT], setup[2], pair[2];
	size_t at;

	signal(SIGPIPE, SIG_IGN);
	log_init("test", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	f->loop = fake_loop_create();
	f->cfg.guest = (char *)"the container";
	f->cfg.guest_len = 13;
	f->cfg.terminal = terminal >= 0;
	memset(fds, -1, sizeof(fds));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, setup), 0);
	f->setup = setup[0];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	f->worker = pair[0];
	fds[VMM_FD_CONNECT] = pair[1];
	fds[VMM_FD_CONTROL] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	f->addr.sun_family = AF_UNIX; /* autobind */
	assert_int_equal(bind(fds[VMM_FD_CONTROL], (void *)&f->addr, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fds[VMM_FD_CONTROL], 100), 0);
	f->addr_len = sizeof(f->addr);
	getsockname(fds[VMM_FD_CONTROL], (void *)&f->addr, &f->addr_len);
	for (int i = 0; i < 3; i++) {
		if (terminal >= 0) {
			fds[VMM_FD_STDIN] = terminal;
			f->stdio[i] = -1;
			continue;
		}
		assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		fds[VMM_FD_STDIN + i] = pair[i ? 1 : 0];
		f->stdio[i] = pair[i ? 0 : 1];
	}
	f->c = container_create(f->loop, &f->vs, &f->cfg, fds, setup[1], &host, NULL);
	assert_non_null(f->c);
	for (int i = VMM_FD_CONTROL; i <= VMM_FD_STDERR; i++)
		assert_int_equal(fds[i], -1);
	f->agent = dup(fake_find(&f->vs, AGENT_PORT_CONTROL, &at)->read_fd);
	fcntl(f->agent, F_SETFL, O_NONBLOCK);
	return f;
}

static int setup(void **state)
{
	*state = fixture_new(-1);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	container_free(f->c);
	for (size_t i = 0; i < MAX_OFFERS; i++)
		assert_false(f->vs.used[i]);
	event_loop_free(f->loop);
	close(f->setup);
	close(f->agent);
	close(f->worker);
	for (int i = 0; i < 3; i++)
		if (f->stdio[i] >= 0)
			close(f->stdio[i]);
	free(f);
	return 0;
}

static void agent_say(struct fixture *f, uint32_t type, const void *payload, size_t len)
{
	assert_int_equal(msg_send(f->agent, type, payload, len, NULL, 0), 0);
	fake_loop_run(f->loop);
}

static void agent_say_numbers(struct fixture *f, uint32_t type, uint32_t a, uint32_t b)
{
	const uint32_t n[2] = { htole32(a), htole32(b) };

	agent_say(f, type, n, sizeof(n));
}

static void agent_say_error(struct fixture *f, uint32_t id, uint32_t code, const char *text)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, code);
	wire_put_str(&w, text);
	agent_say(f, AGENT_ERROR, w.data, w.len);
	wire_writer_release(&w);
}

static void agent_hello(struct fixture *f)
{
	const uint32_t version = htole32(AGENT_PROTO_VERSION);

	agent_say(f, AGENT_HELLO, &version, sizeof(version));
}

/* The next message on a socket; type 0: end of file. */
static struct msg expect_msg(struct fixture *f, int sock, uint32_t type)
{
	struct msg msg = { 0 };
	int r;

	fake_loop_run(f->loop);
	r = msg_recv(sock, &msg);
	assert_int_equal(r, type ? 1 : 0);
	assert_int_equal(msg.type, type);
	return msg;
}

static void expect(struct fixture *f, int sock, uint32_t type)
{
	struct msg msg = expect_msg(f, sock, type);

	msg_release(&msg);
}

static void expect_error(struct fixture *f, int sock, uint32_t code, const char *text)
{
	struct msg msg = expect_msg(f, sock, VMM_ERROR);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);
	char *got;

	assert_int_equal(wire_get_u32(&r), code);
	got = wire_get_str(&r);
	assert_non_null(strstr(got, text));
	free(got);
	msg_release(&msg);
}

static int connect_control(struct fixture *f)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(sock, (void *)&f->addr, f->addr_len), 0);
	fake_loop_run(f->loop);
	return sock;
}

static void request(struct fixture *f, int sock, uint32_t type, const void *payload, size_t len)
{
	assert_int_equal(msg_send(sock, type, payload, len, NULL, 0), 0);
	fake_loop_run(f->loop);
}

static void expect_state(struct fixture *f, enum vmm_container_state state)
{
	int sock = connect_control(f);
	struct msg msg;

	request(f, sock, VMM_STATE, NULL, 0);
	msg = expect_msg(f, sock, VMM_STATE_IS);
	assert_int_equal(msg.len, 1);
	assert_int_equal(msg.payload[0], state);
	msg_release(&msg);
	close(sock);
}

static void make_created(struct fixture *f)
{
	struct msg msg;

	expect_state(f, VMM_BOOTING);
	agent_hello(f);
	msg = expect_msg(f, f->agent, AGENT_CONTAINER);
	assert_int_equal(msg.len, 13);
	assert_memory_equal(msg.payload, "the container", 13);
	msg_release(&msg);
	agent_say(f, AGENT_READY, NULL, 0);
	expect(f, f->setup, VMM_CREATED);
	expect(f, f->setup, 0);
	expect_state(f, VMM_STATE_CREATED);
}

static void make_running(struct fixture *f)
{
	int sock;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_START, NULL, 0);
	expect(f, f->agent, AGENT_START);
	agent_say_numbers(f, AGENT_STARTED, 0, 1);
	expect(f, sock, VMM_OK);
	close(sock);
	expect_state(f, VMM_STATE_RUNNING);
}

static void test_life(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	f->vs.hold = true;
	agent_say_numbers(f, AGENT_EXITED, 0, 3 << 8);
	expect_state(f, VMM_STATE_STOPPING);
	fake_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDIN));
	fake_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDERR));
	assert_false(f->ended);
	/* the agent may go before its last output is read */
	shutdown(f->agent, SHUT_RDWR);
	fake_loop_run(f->loop);
	fake_close(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_STDOUT));
	assert_true(f->ended);
	assert_int_equal(f->wait_status, 3 << 8);
	f->vs.hold = false;
}

static void test_killed_before_start(void **state)
{
	struct fixture *f = *state;
	const char kill[5] = { SIGKILL };
	int sock;
	struct msg msg;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_SIGNAL, kill, sizeof(kill));
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.len, 9);
	msg_release(&msg);
	/* the end itself answers */
	agent_say_numbers(f, AGENT_EXITED, 0, SIGKILL);
	expect(f, sock, VMM_OK);
	assert_true(f->ended);
	assert_int_equal(f->wait_status, SIGKILL);
	close(sock);
}

static void test_signal(void **state)
{
	struct fixture *f = *state;
	const char term[5] = { SIGTERM, 0, 0, 0, 1 }, wrong[5] = { 100 };
	int sock, other;
	struct msg msg;

	make_running(f);
	sock = connect_control(f);
	other = connect_control(f);
	request(f, sock, VMM_SIGNAL, wrong, sizeof(wrong));
	expect_error(f, sock, EINVAL, "signal");
	request(f, sock, VMM_SIGNAL, term, sizeof(term));
	request(f, other, VMM_SIGNAL, term, sizeof(term));
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_memory_equal(msg.payload, "\0\0\0\0\x0f\0\0\0\1", 9);
	msg_release(&msg);
	request(f, sock, VMM_STATE, NULL, 0); /* one at a time */
	expect_error(f, sock, EBUSY, "not answered");
	agent_say_numbers(f, AGENT_SIGNALED, 0, ESRCH);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0);
	expect_error(f, sock, ESRCH, "signal");
	expect(f, other, VMM_OK);
	/* one that leaves before the answer */
	request(f, sock, VMM_SIGNAL, term, sizeof(term));
	close(sock);
	fake_loop_run(f->loop);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0);
	agent_say_numbers(f, AGENT_SIGNALED, 0, 0); /* never sent */
	assert_true(f->failed);
	close(other);
}

static void agent_say_cgroup(struct fixture *f, const char *why, const struct agent_pair *files,
			     size_t count)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, *why ? EINVAL : 0);
	wire_put_str(&w, why);
	agent_pairs_encode(&w, files, count);
	agent_say(f, AGENT_CGROUP_IS, w.data, w.len);
}

static void test_cgroup(void **state)
{
	const struct agent_pair ask = { (char *)"pids.max", (char *)"" };
	const struct agent_pair answer = { (char *)"pids.max", (char *)"77\n" };
	cleanup_wire struct wire_writer w = { 0 };
	struct fixture *f = *state;
	struct msg msg;
	int sock, other;

	agent_pairs_encode(&w, &ask, 1);
	make_running(f);
	sock = connect_control(f);
	other = connect_control(f);
	request(f, sock, VMM_CGROUP, w.data, w.len);
	request(f, other, VMM_CGROUP, w.data, w.len); /* one question at a time */
	expect_error(f, other, EAGAIN, "cgroup");
	msg = expect_msg(f, f->agent, AGENT_CGROUP);
	assert_int_equal(msg.len, w.len);
	assert_memory_equal(msg.payload, w.data, w.len);
	msg_release(&msg);
	agent_say_cgroup(f, "", &answer, 1);
	msg = expect_msg(f, sock, VMM_CGROUP_IS);
	assert_non_null(memmem(msg.payload, msg.len, "77\n", 3));
	msg_release(&msg);
	/* one that leaves before the answer */
	request(f, sock, VMM_CGROUP, w.data, w.len);
	close(sock);
	fake_loop_run(f->loop);
	agent_say_cgroup(f, "write `x`", NULL, 0);
	assert_false(f->failed);
	agent_say_cgroup(f, "", &answer, 1); /* never asked */
	assert_true(f->failed);
	close(other);
}

static uint32_t expect_request(struct fixture *f, uint32_t number)
{
	struct connect_request r;

	assert_int_equal(recv(f->worker, &r, sizeof(r), MSG_DONTWAIT), sizeof(r));
	assert_int_equal(le32toh(r.socket), number);
	return le32toh(r.slot);
}

static void worker_say(struct fixture *f, uint32_t slot, uint32_t code, int fd)
{
	struct connect_answer a = { htole32(slot), htole32(code) };
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	assert_int_equal(sendmsg(f->worker, &mh, 0), sizeof(a));
	fake_loop_run(f->loop);
}

static void expect_connected(struct fixture *f, uint32_t connection, uint32_t code, uint32_t *port)
{
	struct msg msg = expect_msg(f, f->agent, AGENT_CONNECTED);
	struct wire_reader r = WIRE_READER(msg.payload, msg.len);

	assert_int_equal(wire_get_u32(&r), connection);
	assert_int_equal(wire_get_u32(&r), code);
	*port = wire_get_u32(&r);
	assert_true(wire_done(&r));
	msg_release(&msg);
}

static void test_sockets(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint32_t slot, port;

	make_running(f);
	agent_say_numbers(f, AGENT_CONNECT, 70, 2);
	slot = expect_request(f, 2);
	worker_say(f, slot, 0, null);
	expect_connected(f, 70, 0, &port);
	assert_int_equal(port, AGENT_PORT_SOCKET(slot));
	assert_false(vsock_port_idle(&f->vs, port));
	/* another takes another place; one that is refused leaves its own */
	agent_say_numbers(f, AGENT_CONNECT, 71, 0);
	assert_int_not_equal(expect_request(f, 0), slot);
	worker_say(f, slot + 1, ECONNREFUSED, -1);
	expect_connected(f, 71, ECONNREFUSED, &port);
	fake_close(&f->vs, AGENT_PORT_SOCKET(slot));
	for (uint32_t i = 0; i < AGENT_SOCKET_CONNS_MAX; i++) {
		agent_say_numbers(f, AGENT_CONNECT, i, 0);
		assert_int_equal(expect_request(f, 0), i);
	}
	agent_say_numbers(f, AGENT_CONNECT, 99, 0); /* no place is left */
	expect_connected(f, 99, EAGAIN, &port);
	assert_false(f->failed);
	close(null);
}

/* The worker is a process of its own: nothing it says may break this one. */
static void test_sockets_worker_violations(void **state)
{
	static const struct {
		uint32_t slot, code;
		bool fd;
	} table[] = {
		{ 1, 0, true }, { AGENT_SOCKET_CONNS_MAX, 0, true }, { UINT32_MAX, 0, true },
		{ 0, 0, false }, { 0, 5, true }, { 0, 5000, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fixture *f = fixture_new(-1);

		make_running(f);
		agent_say_numbers(f, AGENT_CONNECT, 1, 0);
		expect_request(f, 0);
		worker_say(f, table[i].slot, table[i].code, table[i].fd ? f->agent : -1);
		assert_true(f->failed);
		teardown((void **)&f);
	}
}

static void test_agent_error(void **state)
{
	struct fixture *f = *state;

	agent_hello(f);
	expect(f, f->agent, AGENT_CONTAINER);
	agent_say_error(f, 0, EACCES, "mount \x1b[31m/proc");
	expect_error(f, f->setup, EACCES, "/proc");
	expect(f, f->setup, 0);
	assert_true(f->failed);
	assert_false(f->ended);
}

static void test_exec_error_at_start(void **state)
{
	struct fixture *f = *state;
	int sock;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_START, NULL, 0);
	expect(f, f->agent, AGENT_START);
	agent_say_error(f, 0, ENOENT, "executable file `x` not found in $PATH");
	expect_error(f, sock, ENOENT, "not found");
	assert_true(f->ended);
	assert_int_equal(WEXITSTATUS(f->wait_status), 127);
	close(sock);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	int sock = connect_control(f);

	request(f, sock, VMM_PAUSE, NULL, 0);
	expect_error(f, sock, EINVAL, "pause");
	make_running(f);
	request(f, sock, VMM_PAUSE, NULL, 0);
	expect(f, sock, VMM_OK);
	assert_int_equal(f->paused, 1);
	request(f, sock, VMM_RESUME, NULL, 0);
	expect(f, sock, VMM_OK);
	assert_int_equal(f->paused, 0);
	close(sock);
}

static void send_exec(struct fixture *f, int sock, struct agent_process *p, int nfds)
{
	struct wire_writer w = { 0 };
	int fds[MSG_FDS_MAX];

	agent_process_encode(&w, p);
	for (int i = 0; i < nfds; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(msg_send(sock, VMM_EXEC, w.data, w.len, fds, (size_t)nfds), 0);
	for (int i = 0; i < nfds; i++)
		close(fds[i]);
	wire_writer_release(&w);
	fake_loop_run(f->loop);
}

static void test_exec(void **state)
{
	struct fixture *f = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p = { .args = args, .cwd = (char *)"/", .stdin_open = true };
	const uint32_t size[2] = { htole32(24), htole32(80) }, hup = htole32(SIGHUP);
	int sock = connect_control(f), term;
	struct wire_reader r;
	struct msg msg;

	send_exec(f, sock, &p, 3);
	expect_error(f, sock, EINVAL, "not running");
	make_running(f);
	send_exec(f, sock, &p, 2);
	expect_error(f, sock, EINVAL, "execute");
	request(f, sock, VMM_EXEC, "junk", 4);
	expect_error(f, sock, EINVAL, "malformed");

	/* ids count up: the refused one had one */
	send_exec(f, sock, &p, 3);
	msg = expect_msg(f, f->agent, AGENT_EXEC);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 2);
	msg_release(&msg);
	for (uint32_t n = 0; n < 3; n++)
		assert_false(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(2, n)));
	agent_say_numbers(f, AGENT_STARTED, 2, 17);
	msg = expect_msg(f, sock, VMM_STARTED);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), 17);
	msg_release(&msg);

	/* another, with a terminal */
	term = connect_control(f);
	p.terminal = true;
	send_exec(f, term, &p, 1);
	expect(f, f->agent, AGENT_EXEC);
	assert_false(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(3, AGENT_STREAM_TERMINAL)));
	agent_say_numbers(f, AGENT_STARTED, 3, 18);
	expect(f, term, VMM_STARTED);
	request(f, term, VMM_EXEC_RESIZE, size, sizeof(size));
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_memory_equal(msg.payload, "\3\0\0\0\x18\0\0\0\x50\0\0\0", 12);
	msg_release(&msg);
	request(f, term, VMM_EXEC_SIGNAL, &hup, sizeof(hup));
	expect(f, f->agent, AGENT_SIGNAL);
	agent_say_numbers(f, AGENT_SIGNALED, 3, 0);
	close(term); /* the process goes on */
	fake_loop_run(f->loop);

	f->vs.hold = true;
	agent_say_numbers(f, AGENT_EXITED, 2, 5 << 8);
	for (uint32_t n = 0; n < 3; n++) {
		assert_int_equal(recv(sock, &r, 1, MSG_PEEK), -1);
		fake_close(&f->vs, AGENT_PORT_STREAM(2, n));
	}
	f->vs.hold = false;
	msg = expect_msg(f, sock, VMM_EXITED);
	assert_memory_equal(msg.payload, "\0\5\0\0", 4);
	msg_release(&msg);
	agent_say_numbers(f, AGENT_EXITED, 3, 0);
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(3, AGENT_STREAM_TERMINAL)));
	assert_false(f->failed || f->ended);

	/* one that cannot be executed; the connection is free for the next */
	p.terminal = p.stdin_open = false;
	send_exec(f, sock, &p, 3);
	expect(f, f->agent, AGENT_EXEC);
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(4, AGENT_STREAM_STDIN)));
	agent_say_error(f, 4, EACCES, "permission denied");
	expect_error(f, sock, EACCES, "permission denied");
	assert_true(vsock_port_idle(&f->vs, AGENT_PORT_STREAM(4, AGENT_STREAM_STDOUT)));
	request(f, sock, VMM_STATE, NULL, 0);
	expect(f, sock, VMM_STATE_IS);
	close(sock);
}

static void test_too_many_execs(void **state)
{
	struct fixture *f = *state;
	char *args[] = { (char *)"true", NULL };
	struct agent_process p = { .args = args, .cwd = (char *)"/" };
	int socks[64];

	make_running(f);
	for (size_t i = 0; i < 62; i++) {
		socks[i] = connect_control(f);
		send_exec(f, socks[i], &p, 3);
		expect(f, f->agent, AGENT_EXEC);
	}
	/* gone command lines leave their processes: more than 64 come about this way */
	for (size_t i = 0; i < 62; i++)
		close(socks[i]);
	fake_loop_run(f->loop);
	fake_loop_run(f->loop);
	for (size_t i = 0; i < 3; i++) {
		socks[i] = connect_control(f);
		send_exec(f, socks[i], &p, 3);
	}
	expect_error(f, socks[2], EAGAIN, "another process");
	/* the machine's end is told to those who wait */
	container_machine_failed(f->c, "the guest broke");
	expect_error(f, socks[0], 0, "the guest broke");
	for (size_t i = 0; i < 3; i++)
		close(socks[i]);
}

static void test_setup_gone(void **state)
{
	struct fixture *f = *state;

	shutdown(f->setup, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_true(f->failed);
}

static void test_agent_gone(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	shutdown(f->agent, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_true(f->failed);
	assert_non_null(strstr(f->why, "agent"));
}

struct violation {
	uint32_t type;
	const char *payload;
	size_t len;
	bool running; /* else right at the start */
};

static void test_agent_violations(void **state)
{
	static const struct violation table[] = {
		{ AGENT_READY, "", 0, false }, /* before HELLO */
		{ AGENT_HELLO, "\2\0\0\0", 4, false },
		{ AGENT_HELLO, "\1\0\0\0\0", 5, false },
		{ AGENT_HELLO, "", 0, false },
		{ AGENT_CONTAINER, "", 0, false },
		{ 0, "", 0, false },
		{ AGENT_HELLO, "\1\0\0\0", 4, true },
		{ AGENT_READY, "", 0, true },
		{ AGENT_READY, "x", 1, true },
		{ 1000, "", 0, true },
		{ AGENT_START, "", 0, true },
		{ AGENT_STARTED, "\0\0\0\0\1\0\0\0", 8, true },
		{ AGENT_STARTED, "\7\0\0\0\1\0\0\0", 8, true },
		{ AGENT_STARTED, "\0\0\0", 3, true },
		{ AGENT_EXITED, "\7\0\0\0\0\0\0\0", 8, true },
		{ AGENT_EXITED, "\0\0\0\0", 4, true },
		{ AGENT_SIGNALED, "\0\0\0\0\0\0\0\0", 8, true },
		{ AGENT_SIGNALED, "\0\0\0\0\0\0\1\0", 8, true },
		{ AGENT_ERROR, "\0\0\0\0\0\0\0\0\xff\xff\xff\xff", 12, true },
		{ AGENT_ERROR, "\0\0\0\0\xff\xff\xff\xff\0\0\0\0", 12, true },
		{ AGENT_LOG, "\x09\0\0\0\1\0\0\0x", 9, true },
		{ AGENT_CGROUP_IS, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, true }, /* never asked */
		{ AGENT_CGROUP_IS, "\0\0\0\0\0\0\0\0\1\0\0\0", 12, true },
		{ AGENT_LOG, "\1\0\0\0\5\0\0\0x", 9, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct fixture *f = fixture_new(-1);

		if (table[i].running)
			make_running(f);
		log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
		agent_say(f, table[i].type, table[i].payload, table[i].len);
		if (!f->failed)
			print_error("violation %zu is not noticed\n", i);
		assert_true(f->failed);
		teardown((void **)&f);
	}
}

static void test_agent_oversize(void **state)
{
	struct fixture *f = *state;
	const uint32_t header[2] = { htole32(AGENT_LOG), htole32(1u << 20) };

	make_running(f);
	assert_int_equal(write(f->agent, header, sizeof(header)), sizeof(header));
	fake_loop_run(f->loop);
	assert_true(f->failed);
}

static void test_agent_odd_status(void **state)
{
	struct fixture *f = *state;

	make_running(f);
	agent_say_numbers(f, AGENT_EXITED, 0, 0xffff7f);
	assert_true(f->ended);
	assert_int_equal(f->wait_status, SIGKILL);
}

static void test_agent_log(void **state)
{
	struct fixture *f = *state;
	struct wire_writer w = { 0 };

	make_running(f);
	wire_put_u32(&w, LOG_LEVEL_DEBUG);
	wire_put_bytes(&w, "\0\x1b%s%n", 6);
	for (int i = 0; i < 100; i++)
		agent_say(f, AGENT_LOG, w.data, w.len);
	wire_writer_release(&w);
	assert_false(f->failed);
}

static void test_control_peers(void **state)
{
	struct fixture *f = *state;
	const uint32_t huge[2] = { htole32(VMM_STATE), htole32(0xffffffff) };
	int socks[70];

	make_running(f);
	socks[0] = connect_control(f);
	assert_int_equal(write(socks[0], huge, sizeof(huge)), sizeof(huge));
	expect(f, socks[0], 0);
	close(socks[0]);
	/* half a message, and silence */
	socks[0] = connect_control(f);
	assert_int_equal(write(socks[0], huge, 5), 5);
	expect_state(f, VMM_STATE_RUNNING);
	request(f, socks[0], 0, "", 0);
	close(socks[0]);
	fake_loop_run(f->loop);
	/* one that never reads is disconnected, sooner or later, and blocks nobody */
	socks[0] = connect_control(f);
	for (int i = 0; i < 20000; i++)
		if (msg_send(socks[0], 999, NULL, 0, NULL, 0) < 0)
			break;
		else if (i % 16 == 0)
			fake_loop_run(f->loop);
	expect_state(f, VMM_STATE_RUNNING);
	close(socks[0]);
	fake_loop_run(f->loop);
	for (size_t i = 0; i < 70; i++)
		socks[i] = connect_control(f);
	expect(f, socks[69], 0);
	for (size_t i = 0; i < 70; i++)
		close(socks[i]);
	fake_loop_run(f->loop);
	fake_loop_run(f->loop);
	fake_loop_run(f->loop);
	expect_state(f, VMM_STATE_RUNNING);
}

/* Signals and sessions belong to a whole process: in a child. */
static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void child_signals(void)
{
	struct fixture *f;
	struct msg msg;

	container_block_signals();
	f = fixture_new(-1);
	make_running(f);
	kill(getpid(), SIGUSR1);
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.payload[4], SIGUSR1);
	msg_release(&msg);
	kill(getpid(), SIGTERM);
	expect(f, f->agent, AGENT_SIGNAL);
	teardown((void **)&f);
	f = fixture_new(-1);
	kill(getpid(), SIGUSR1);
	fake_loop_run(f->loop);
	if (f->failed)
		_exit(1);
	kill(getpid(), SIGTERM);
	fake_loop_run(f->loop);
	if (!f->failed)
		_exit(2);
	teardown((void **)&f);
}

static void test_signals_of_others(void **state)
{
	(void)state;
	in_child(child_signals);
}

static void child_terminal(void)
{
	struct winsize size = { .ws_row = 30, .ws_col = 100 };
	int master, slave;
	struct fixture *f;
	struct msg msg;

	container_block_signals();
	if (openpty(&master, &slave, NULL, NULL, &size))
		_exit(1);
	f = fixture_new(slave);
	make_created(f);
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_memory_equal(msg.payload, "\0\0\0\0\x1e\0\0\0\x64\0\0\0", 12);
	msg_release(&msg);
	size.ws_row = 31;
	ioctl(master, TIOCSWINSZ, &size);
	msg = expect_msg(f, f->agent, AGENT_RESIZE);
	assert_int_equal(msg.payload[4], 31);
	msg_release(&msg);
	if (vsock_port_idle(&f->vs, AGENT_PORT_STREAM(0, AGENT_STREAM_TERMINAL)))
		_exit(3);
	/* the terminal goes away: as for any session leader */
	close(master);
	msg = expect_msg(f, f->agent, AGENT_SIGNAL);
	assert_int_equal(msg.payload[4], SIGHUP);
	msg_release(&msg);
	teardown((void **)&f);
}

static void test_terminal(void **state)
{
	(void)state;
	in_child(child_terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_life),
		T(test_killed_before_start),
		T(test_signal),
		T(test_agent_error),
		T(test_exec_error_at_start),
		T(test_pause),
		T(test_exec),
		T(test_too_many_execs),
		T(test_setup_gone),
		T(test_agent_gone),
		cmocka_unit_test(test_agent_violations),
		T(test_cgroup),
		T(test_sockets),
		cmocka_unit_test(test_sockets_worker_violations),
		T(test_agent_oversize),
		T(test_agent_odd_status),
		T(test_agent_log),
		T(test_control_peers),
		cmocka_unit_test(test_signals_of_others),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
