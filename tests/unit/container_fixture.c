/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container_fixture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/log.h"
#include "base/wire.h"
#include "tests/unit/fake_driver.h"

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

void fake_vsock_close(struct vsock *vs, uint32_t port)
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
		fake_vsock_close(vs, port);
}

bool vsock_port_idle(const struct vsock *vs, uint32_t port)
{
	size_t at;

	return !fake_find(vs, port, &at);
}

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

struct fixture *fixture_new(int terminal)
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
	strcpy(f->oom_dir, "/tmp/krun-gpu-oom-XXXXXX");
	assert_non_null(mkdtemp(f->oom_dir));
	fds[VMM_FD_OOM] = open(f->oom_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
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

int fixture_setup(void **state)
{
	*state = fixture_new(-1);
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	container_free(f->c);
	for (size_t i = 0; i < MAX_OFFERS; i++)
		assert_false(f->vs.used[i]);
	event_loop_free(f->loop);
	assert_int_equal(rmdir(f->oom_dir), 0);
	close(f->setup);
	close(f->agent);
	close(f->worker);
	for (int i = 0; i < 3; i++)
		if (f->stdio[i] >= 0)
			close(f->stdio[i]);
	free(f);
	return 0;
}

void agent_say(struct fixture *f, uint32_t type, const void *payload, size_t len)
{
	assert_int_equal(msg_send(f->agent, type, payload, len, NULL, 0), 0);
	fake_loop_run(f->loop);
}

void agent_say_numbers(struct fixture *f, uint32_t type, uint32_t a, uint32_t b)
{
	const uint32_t n[2] = { htole32(a), htole32(b) };

	agent_say(f, type, n, sizeof(n));
}

void agent_say_error(struct fixture *f, uint32_t id, uint32_t code, const char *text)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, code);
	wire_put_str(&w, text);
	agent_say(f, AGENT_ERROR, w.data, w.len);
	wire_writer_release(&w);
}

void agent_hello(struct fixture *f)
{
	const uint32_t version = htole32(AGENT_PROTO_VERSION);

	agent_say(f, AGENT_HELLO, &version, sizeof(version));
}

/* The next message on a socket; type 0: end of file. */
struct msg expect_msg(struct fixture *f, int sock, uint32_t type)
{
	struct msg msg = { 0 };
	int r;

	fake_loop_run(f->loop);
	r = msg_recv(sock, &msg);
	assert_int_equal(r, type ? 1 : 0);
	assert_int_equal(msg.type, type);
	return msg;
}

void expect(struct fixture *f, int sock, uint32_t type)
{
	struct msg msg = expect_msg(f, sock, type);

	msg_release(&msg);
}

void expect_error(struct fixture *f, int sock, uint32_t code, const char *text)
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

int connect_control(struct fixture *f)
{
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(sock, (void *)&f->addr, f->addr_len), 0);
	fake_loop_run(f->loop);
	return sock;
}

void request(struct fixture *f, int sock, uint32_t type, const void *payload, size_t len)
{
	assert_int_equal(msg_send(sock, type, payload, len, NULL, 0), 0);
	fake_loop_run(f->loop);
}

void expect_state(struct fixture *f, enum vmm_container_state state)
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

void make_created(struct fixture *f)
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

void make_running(struct fixture *f)
{
	int sock;

	make_created(f);
	sock = connect_control(f);
	request(f, sock, VMM_START, "\0\0\0", 4);
	expect(f, f->agent, AGENT_START);
	agent_say_numbers(f, AGENT_STARTED, 0, 1);
	expect(f, sock, VMM_OK);
	close(sock);
	expect_state(f, VMM_STATE_RUNNING);
}
