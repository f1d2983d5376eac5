/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/msg.h"

static int sock[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock);
}

static int teardown(void **state)
{
	(void)state;
	close(sock[0]);
	close(sock[1]);
	return 0;
}

static void a_message_arrives_with_its_fds(void **state)
{
	cleanup_msg struct msg msg = { 0 };
	const int fds[2] = { 0, 1 };

	(void)state;
	assert_int_equal(msg_send(sock[0], 7, "hello", 5, fds, 2), 0);
	assert_int_equal(msg_recv(sock[1], &msg), 1);
	assert_int_equal(msg.type, 7);
	assert_int_equal(msg.len, 5);
	assert_string_equal(msg.payload, "hello");
	assert_int_equal(msg.nfds, 2);
	assert_int_equal(fcntl(msg.fds[1], F_GETFD), FD_CLOEXEC);
}

static void *send_large(void *data)
{
	static char large[3 << 20];

	(void)data;
	memset(large, 'x', sizeof(large));
	return (void *)(intptr_t)msg_send(sock[0], 1, large, sizeof(large), NULL, 0);
}

static void a_large_message_crosses_in_pieces(void **state)
{
	cleanup_msg struct msg msg = { 0 };
	pthread_t thread;
	void *r;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, send_large, NULL), 0);
	assert_int_equal(msg_recv(sock[1], &msg), 1);
	pthread_join(thread, &r);
	assert_null(r);
	assert_int_equal(msg.len, 3 << 20);
	assert_int_equal(msg.payload[msg.len - 1], 'x');
}

static void the_end_is_told_from_a_torn_message(void **state)
{
	cleanup_msg struct msg msg = { 0 };
	const struct msg_header hdr = { htole32(1), htole32(100) };

	(void)state;
	assert_int_equal(write(sock[0], &hdr, sizeof(hdr)), sizeof(hdr));
	assert_int_equal(write(sock[0], "abc", 3), 3);
	shutdown(sock[0], SHUT_WR);
	assert_int_equal(msg_recv(sock[1], &msg), -EPROTO);
	assert_int_equal(msg_recv(sock[1], &msg), 0);
}

static void an_absurd_length_is_refused(void **state)
{
	cleanup_msg struct msg msg = { 0 };
	const struct msg_header hdr = { htole32(1), htole32(0xffffffff) };

	(void)state;
	assert_int_equal(write(sock[0], &hdr, sizeof(hdr)), sizeof(hdr));
	assert_int_equal(msg_recv(sock[1], &msg), -EMSGSIZE);
	assert_int_equal(msg_send(sock[0], 1, NULL, MSG_PAYLOAD_MAX + 1u, NULL, 0), -EMSGSIZE);
	assert_int_equal(msg_send(sock[0], 1, NULL, 0, NULL, MSG_FDS_MAX + 1), -EMSGSIZE);
}

static void a_dead_peer_is_an_error_not_a_signal(void **state)
{
	(void)state;
	close(sock[1]);
	assert_int_equal(msg_send(sock[0], 1, "x", 1, NULL, 0), -EPIPE);
	sock[1] = dup(sock[0]);
}

static void the_buffer_cuts_a_stream_into_messages(void **state)
{
	struct msg_buffer mb = { 0 };
	struct msg msg;
	char stream[64];
	struct msg_header hdr = { htole32(3), htole32(4) };

	(void)state;
	memcpy(stream, &hdr, sizeof(hdr));
	memcpy(stream + 8, "abcd", 4);
	memcpy(stream + 12, stream, 12);
	fd_set_nonblock(sock[1], true);
	assert_int_equal(msg_buffer_fill(&mb, sock[1]), -EAGAIN);
	for (int i = 0; i < 24; i++) {
		assert_int_equal(write(sock[0], stream + i, 1), 1);
		assert_int_equal(msg_buffer_fill(&mb, sock[1]), 1);
		assert_int_equal(msg_buffer_next(&mb, &msg), i % 12 == 11);
		if (i % 12 == 11) {
			assert_int_equal(msg.type, 3);
			assert_string_equal(msg.payload, "abcd");
		}
		msg_release(&msg);
	}
	hdr.len = htole32(MSG_PAYLOAD_MAX + 1u);
	assert_int_equal(write(sock[0], &hdr, 8), 8);
	assert_int_equal(msg_buffer_fill(&mb, sock[1]), 1);
	assert_int_equal(msg_buffer_next(&mb, &msg), -EMSGSIZE);
	close(sock[0]);
	sock[0] = -1;
	assert_int_equal(msg_buffer_fill(&mb, sock[1]), 0);
	msg_buffer_release(&mb);
}

/* Whole or not at all, and never waiting. */
static void a_peer_that_does_not_read_is_told(void **state)
{
	static char large[MSG_NOW_MAX + 1];
	size_t sent = 0;
	int r;

	(void)state;
	assert_int_equal(msg_send_now(sock[0], 1, large, sizeof(large)), -EMSGSIZE);
	while ((r = msg_send_now(sock[0], 5, large, MSG_NOW_MAX)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_true(sent > 0);
	for (size_t i = 0; i < sent; i++) {
		cleanup_msg struct msg msg = { 0 };

		assert_int_equal(msg_recv(sock[1], &msg), 1);
		assert_int_equal(msg.type, 5);
		assert_int_equal(msg.len, MSG_NOW_MAX);
	}
	assert_int_equal(msg_send_now(sock[0], 6, NULL, 0), 0);
	close(sock[1]);
	sock[1] = -1;
	assert_int_equal(msg_send_now(sock[0], 6, NULL, 0), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_message_arrives_with_its_fds),
		TEST(a_large_message_crosses_in_pieces),
		TEST(the_end_is_told_from_a_torn_message),
		TEST(an_absurd_length_is_refused),
		TEST(a_dead_peer_is_an_error_not_a_signal),
		TEST(the_buffer_cuts_a_stream_into_messages),
		TEST(a_peer_that_does_not_read_is_told),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
