/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-ins for unix sockets of the host's: who connects to one in the container reaches the host. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/msg.h"
#include "base/wire.h"
#include "tests/guest/agent_harness.h"
#include "tests/unit/unit.h"

#define TALK "echo question | /bin/unix_talk /run/service.sock"

/* Brings tests/guest/unix_talk into the container's root. */
static void bring_program(struct harness *h)
{
	char command[256];

	snprintf(command, sizeof(command), "cp tests/guest/unix_talk '%s'",
		 harness_path(h, "rootfs/bin/unix_talk"));
	assert_int_equal(system(command), 0);
}

static struct agent_container *socket_spec(const char *script)
{
	struct agent_container *c = harness_sh_spec(script);

	c->mounts[c->num_mounts++] = (struct agent_mount){
		.kind = AGENT_MOUNT_SOCKET, .source = (char *)"0", .type = (char *)"socket",
		.data = (char *)"mode=640,uid=3,gid=4", .destination = (char *)"/run/service.sock",
	};
	return c;
}

static void read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
}

/* The agent asks for a connection: its number. */
static uint32_t expect_connect(struct harness *h)
{
	uint32_t v[2];

	harness_expect_u32s(h, AGENT_CONNECT, v, 2);
	assert_int_equal(v[1], 0);
	return v[0];
}

static void the_node_is_there(void **state)
{
	struct harness *h = *state;
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	r = harness_run(h, socket_spec("test -S /run/service.sock && "
				       "stat -c %a:%u:%g /run/service.sock"), NULL);
	assert_string_equal(r.err, "");
	assert_string_equal(r.out, "640:3:4\n");
}

static void bytes_go_both_ways_each_to_its_end(void **state)
{
	const uint32_t port = AGENT_PORT_STREAM(3, 0); /* one that the harness listens on */
	struct harness *h = *state;
	char text[100];
	uint32_t v[3];
	int out, err, peer;

	NEED(h);
	bring_program(h);
	harness_create(h, socket_spec(TALK));
	harness_start(h);
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	err = harness_accept(h, 0, AGENT_STREAM_STDERR);
	v[0] = expect_connect(h);
	v[1] = 0;
	v[2] = port;
	harness_send_u32s(h, AGENT_CONNECTED, v, 3);
	peer = harness_accept(h, 3, 0);
	read_all(peer, text, strlen("question\n") + 1);
	assert_string_equal(text, "question\n");
	assert_int_equal(write(peer, "answer\n", 7), 7);
	shutdown(peer, SHUT_WR);
	read_all(out, text, sizeof(text));
	assert_string_equal(text, "answer\n");
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	close(peer);
	close(out);
	close(err);
}

static void a_refused_connection_ends(void **state)
{
	struct harness *h = *state;
	uint32_t v[3];
	char text[100];
	int out, err;

	NEED(h);
	bring_program(h);
	harness_create(h, socket_spec(TALK "; echo over"));
	harness_start(h);
	out = harness_accept(h, 0, AGENT_STREAM_STDOUT);
	err = harness_accept(h, 0, AGENT_STREAM_STDERR);
	v[0] = expect_connect(h) + 7; /* of none that there is: void */
	v[1] = 0;
	v[2] = 1;
	harness_send_u32s(h, AGENT_CONNECTED, v, 3);
	v[0] -= 7;
	v[1] = ECONNREFUSED;
	harness_send_u32s(h, AGENT_CONNECTED, v, 3);
	read_all(out, text, sizeof(text));
	assert_string_equal(text, "over\n");
	harness_expect_u32s(h, AGENT_EXITED, v, 2);
	close(out);
	close(err);
}

static void a_malformed_mount_is_refused(void **state)
{
	struct harness *h = *state;
	struct agent_container *c;
	cleanup_result struct harness_result r = { 0 };

	NEED(h);
	c = socket_spec("true");
	c->mounts[c->num_mounts - 1].source = (char *)"../x";
	r = harness_run(h, c, NULL);
	assert_int_equal(r.status, -1);
	assert_string_equal(r.err, "socket `../x` with `mode=640,uid=3,gid=4`: Invalid argument");
}

/* The host asks the agent for a connection to 127.0.0.1 or, of 16 bytes, ::1. */
static void ask_local(struct harness *h, uint32_t host_port, uint32_t port, size_t len)
{
	static const unsigned char v4[] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, host_port);
	wire_put_u32(&w, port);
	wire_put_bytes(&w, len == 4 ? v4 : v6, len);
	assert_int_equal(msg_send(h->control, AGENT_LOCAL, w.data, w.len, NULL, 0), 0);
}

/* A listener on a port of the kernel's choosing. */
static int listen_local(int family, uint16_t *port)
{
	struct sockaddr_in6 a = { .sin6_family = (sa_family_t)family };
	socklen_t len = sizeof(a);
	int fd = socket(family, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, family == AF_INET ?
			      sizeof(struct sockaddr_in) : sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin6_port); /* where IPv4 has it, too */
	return fd;
}

static void an_address_of_the_containers_is_connected_to(void **state)
{
	const int families[] = { AF_INET, AF_INET6 };
	struct harness *h = *state;
	char text[32];
	uint32_t v[2];
	uint16_t port;

	NEED(h);
	for (unsigned int i = 0; i < 2; i++) {
		int listener = listen_local(families[i], &port), peer, got;

		ask_local(h, AGENT_PORT_STREAM(3, i), port, i ? 16 : 4);
		peer = harness_accept(h, 3, (int)i);
		got = accept(listener, NULL, NULL);
		assert_true(got >= 0);
		assert_int_equal(write(peer, "in", 2), 2);
		shutdown(peer, SHUT_WR);
		read_all(got, text, sizeof(text));
		assert_string_equal(text, "in");
		assert_int_equal(write(got, "and out", 7), 7);
		close(got);
		read_all(peer, text, sizeof(text));
		assert_string_equal(text, "and out");
		close(peer);
		close(listener);
	}
	/* nobody listens any more */
	ask_local(h, 12345, port, 16);
	harness_expect_u32s(h, AGENT_LOCAL_FAILED, v, 2);
	assert_int_equal(v[0], 12345);
	assert_int_equal(v[1], ECONNREFUSED);
	ask_local(h, 12346, port, 5);
	harness_expect_u32s(h, AGENT_LOCAL_FAILED, v, 2);
	assert_int_equal(v[1], EPROTO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_node_is_there),
		TEST(bytes_go_both_ways_each_to_its_end),
		TEST(a_refused_connection_ends),
		TEST(a_malformed_mount_is_refused),
		TEST(an_address_of_the_containers_is_connected_to),
	};

	return cmocka_run_group_tests(tests, harness_group_setup, harness_group_teardown);
}
