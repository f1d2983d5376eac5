/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions about names, as krun-gpu-net asks them in the container's network namespace. Each test has a
 * namespace of its own with a server, or none, at 127.0.0.11; without the rights for one they are skipped.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_dns.h"
#include "net_local.h"

#define SERVER 0x7f00000bu

struct fixture {
	struct net_dns dns;
	int vmm, ours; /* a socket pair: krun-gpu-net's end, the VMM's */
	int server;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*f = (struct fixture){ .vmm = pair[0], .ours = pair[1], .server = -1 };
	net_dns_open(&f->dns, SERVER);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	net_dns_close(&f->dns);
	close(f->vmm);
	close(f->ours);
	if (f->server >= 0)
		close(f->server);
	free(f);
	return 0;
}

static int serve(uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
					.sin_addr.s_addr = htonl(SERVER) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void begin(struct fixture *f)
{
	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0)
		skip();
	f->server = serve(53);
}

static void vmm_asks(struct fixture *f, uint32_t cookie, const void *question, size_t len)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, cookie);
	wire_put_bytes(&w, question, len);
	assert_int_equal(msg_send(f->ours, VMM_NET_DNS, w.data, w.len, NULL, 0), 0);
}

static void ask(struct fixture *f, uint32_t cookie, const char *question)
{
	vmm_asks(f, cookie, question, strlen(question));
	assert_int_equal(net_dns_receive(&f->dns, f->vmm), 0);
}

/* What krun-gpu-net's loop does when something has come, or nothing within @ms. */
static void turn(struct fixture *f, int ms)
{
	struct pollfd pfd[NET_DNS_MAX];

	net_dns_watch(&f->dns, pfd);
	assert_true(poll(pfd, NET_DNS_MAX, ms) >= 0);
	net_dns_answer(&f->dns, pfd, f->vmm);
}

static struct sockaddr_in expect_question(struct fixture *f, const char *question)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char buf[64] = "";

	assert_int_equal(recvfrom(f->server, buf, sizeof(buf) - 1, MSG_DONTWAIT,
				  (struct sockaddr *)&from, &size), strlen(question));
	assert_string_equal(buf, question);
	return from;
}

static void answer(int server, const struct sockaddr_in *to, const void *text, size_t len)
{
	assert_int_equal(sendto(server, text, len, 0, (const struct sockaddr *)to, sizeof(*to)), len);
}

static void expect_answer(struct fixture *f, uint32_t cookie, const char *text)
{
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r;
	const char *got;
	size_t len;

	assert_int_equal(msg_recv(f->ours, &msg), 1);
	assert_int_equal(msg.type, VMM_NET_DNS_IS);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), cookie);
	got = wire_get_bytes(&r, &len);
	assert_true(wire_done(&r));
	assert_int_equal(len, strlen(text));
	assert_memory_equal(got, text, len);
}

static void expect_silence(struct fixture *f)
{
	struct pollfd pfd = { f->ours, POLLIN, 0 };

	assert_int_equal(poll(&pfd, 1, 0), 0);
}

static size_t waiting(const struct fixture *f)
{
	size_t n = 0;

	for (size_t i = 0; i < NET_DNS_MAX; i++)
		n += f->dns.questions[i].fd >= 0;
	return n;
}

static void each_answer_goes_with_its_question(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in one, two;

	begin(f);
	assert_int_equal(net_dns_timeout(&f->dns), -1);
	ask(f, 7, "one");
	ask(f, UINT32_MAX, "two");
	assert_in_range(net_dns_timeout(&f->dns), NET_DNS_PATIENCE_MS - 5000, NET_DNS_PATIENCE_MS);
	one = expect_question(f, "one");
	two = expect_question(f, "two");
	answer(f->server, &two, "second", 6);
	turn(f, 5000);
	expect_answer(f, UINT32_MAX, "second");
	answer(f->server, &one, "first", 5);
	turn(f, 5000);
	expect_answer(f, 7, "first");
	assert_int_equal(waiting(f), 0);
}

static void only_the_server_answers(void **state)
{
	struct fixture *f = *state;
	cleanup_close int other = -1;
	struct sockaddr_in to;

	begin(f);
	other = serve(54);
	ask(f, 1, "who?");
	to = expect_question(f, "who?");
	sendto(other, "me", 2, 0, (const struct sockaddr *)&to, sizeof(to));
	turn(f, 50);
	expect_silence(f);
	assert_int_equal(waiting(f), 1);
}

static void an_answer_that_no_agent_takes_is_none(void **state)
{
	static char large[AGENT_DNS_MAX + 1];
	struct fixture *f = *state;
	struct sockaddr_in to;

	begin(f);
	ask(f, 1, "a");
	to = expect_question(f, "a");
	answer(f->server, &to, large, sizeof(large));
	turn(f, 5000);
	ask(f, 2, "b");
	to = expect_question(f, "b");
	answer(f->server, &to, "", 0);
	turn(f, 5000);
	expect_silence(f);
	assert_int_equal(waiting(f), 0);
	ask(f, 3, "c");
	to = expect_question(f, "c");
	answer(f->server, &to, large, AGENT_DNS_MAX);
	turn(f, 5000);
	assert_true(recv(f->ours, large, sizeof(large), MSG_DONTWAIT) > 0);
}

static void the_oldest_question_gives_way(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in first, second;

	begin(f);
	ask(f, 1, "first");
	ask(f, 2, "second");
	/* within one millisecond all are as old */
	f->dns.questions[0].deadline -= 2;
	f->dns.questions[1].deadline -= 1;
	first = expect_question(f, "first");
	second = expect_question(f, "second");
	for (uint32_t i = 2; i < NET_DNS_MAX + 1; i++)
		ask(f, i + 1, "more");
	assert_int_equal(waiting(f), NET_DNS_MAX);
	sendto(f->server, "late", 4, 0, (const struct sockaddr *)&first, sizeof(first));
	turn(f, 0);
	expect_silence(f);
	answer(f->server, &second, "there", 5);
	turn(f, 5000);
	expect_answer(f, 2, "there");
}

static void patience_ends(void **state)
{
	struct fixture *f = *state;

	begin(f);
	ask(f, 1, "one");
	ask(f, 2, "two");
	f->dns.questions[0].deadline -= NET_DNS_PATIENCE_MS;
	assert_int_equal(net_dns_timeout(&f->dns), 0);
	turn(f, 0);
	assert_int_equal(waiting(f), 1);
	assert_int_equal(f->dns.questions[1].cookie, 2);
	assert_true(net_dns_timeout(&f->dns) > 0);
}

static void a_server_that_is_gone_ends_the_question(void **state)
{
	struct fixture *f = *state;

	begin(f);
	close(steal_fd(&f->server));
	ask(f, 1, "anybody?");
	turn(f, 5000);
	expect_silence(f);
	assert_int_equal(waiting(f), 0);
}

static void what_the_vmm_may_not_say_ends_it(void **state)
{
	static const struct {
		uint32_t type;
		const char *payload;
		size_t len;
	} table[] = {
		{ VMM_NET_DNS, "", 0 },
		{ VMM_NET_DNS, "\1\0\0\0", 4 },
		{ VMM_NET_DNS, "\1\0\0\0\0\0\0\0", 8 },
		{ VMM_NET_DNS, "\1\0\0\0\2\0\0\0x", 9 },
		{ VMM_NET_DNS, "\1\0\0\0\1\0\0\0xy", 10 },
		{ VMM_NET_DNS_IS, "\1\0\0\0\1\0\0\0x", 9 },
		{ VMM_NET_DNS_CONNECT, "", 0 },
		{ VMM_NET_SETTLE, "", 0 },
		{ VMM_NET_SETTLE, "\0\0\0\0\0", 5 },
		{ VMM_NET_SETTLE, "\1\0\0\x0a", 4 }, /* 10.0.0.1 */
		{ VMM_NET_SETTLED, "\0\0\0\0", 4 },
		{ VMM_NET_DNS_CONNECT, "\1\0\0", 3 },
		{ VMM_NET_DNS_CONNECT, "\1\0\0\0\2", 5 },
		{ VMM_NET_DNS_CONNECTED, "\1\0\0\0", 4 },
		{ VMM_NET_PLUG, "\1\0\0\0\1\0\0\0x", 9 },
		{ 0, "\1\0\0\0\1\0\0\0x", 9 },
	};
	static const char large[AGENT_DNS_MAX + 1];

	for (size_t i = 0; i <= sizeof(table) / sizeof(*table); i++) {
		struct fixture *f;

		setup(state);
		f = *state;
		if (i < sizeof(table) / sizeof(*table))
			msg_send(f->ours, table[i].type, table[i].payload, table[i].len, NULL, 0);
		else
			vmm_asks(f, 1, large, sizeof(large));
		assert_int_equal(net_dns_receive(&f->dns, f->vmm), -EPROTO);
		assert_int_equal(waiting(f), 0);
		expect_silence(f);
		teardown(state);
	}
}

/* It says how long it will be, and is not waited for. */
static void nothing_is_kept_for_an_absurd_length(void **state)
{
	const struct msg_header header = { htole32(VMM_NET_DNS), htole32(1u << 20) };
	struct fixture *f = *state;

	assert_int_equal(write(f->ours, &header, sizeof(header)), sizeof(header));
	assert_int_equal(net_dns_receive(&f->dns, f->vmm), -EPROTO);
	close(f->ours);
	f->ours = -1;
	assert_int_equal(net_dns_receive(&f->dns, f->vmm), -EPIPE);
}

static void a_question_may_come_in_pieces(void **state)
{
	const char whole[] = "\x40\0\0\0\x0b\0\0\0\5\0\0\0\3\0\0\0abc";
	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		assert_int_equal(write(f->ours, whole + i, 1), 1);
		assert_int_equal(net_dns_receive(&f->dns, f->vmm), 0);
	}
	expect_question(f, "abc");
}

static void without_a_server_nothing_is_asked(void **state)
{
	struct fixture *f = *state;

	begin(f);
	net_dns_close(&f->dns);
	net_dns_open(&f->dns, 0);
	ask(f, 1, "question");
	assert_int_equal(waiting(f), 0);
	assert_int_equal(recv(f->server, &(char){ 0 }, 1, MSG_DONTWAIT), -1);
}

static void a_vmm_that_does_not_read_is_not_waited_for(void **state)
{
	static char text[AGENT_DNS_MAX];
	struct fixture *f = *state;

	begin(f);
	while (msg_send_now(f->vmm, 1, text, sizeof(text)) == 0)
		;
	for (uint32_t i = 0; i < 3; i++) {
		struct sockaddr_in to;

		ask(f, i, "question");
		to = expect_question(f, "question");
		answer(f->server, &to, text, sizeof(text));
		turn(f, 5000);
	}
	assert_int_equal(waiting(f), 0);
}

static int serve_tcp(void)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53),
					.sin_addr.s_addr = htonl(SERVER) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

/* What the VMM is given that wants a connection: it, or -1. */
static int connect_by_tcp(struct fixture *f, uint32_t slot, int code)
{
	const uint32_t wanted = htole32(slot);
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r;

	assert_int_equal(msg_send(f->ours, VMM_NET_DNS_CONNECT, &wanted, sizeof(wanted), NULL, 0), 0);
	assert_int_equal(net_dns_receive(&f->dns, f->vmm), 0);
	assert_int_equal(msg_recv(f->ours, &msg), 1);
	assert_int_equal(msg.type, VMM_NET_DNS_CONNECTED);
	r = WIRE_READER(msg.payload, msg.len);
	assert_int_equal(wire_get_u32(&r), slot);
	assert_int_equal(wire_get_u32(&r), code);
	assert_true(wire_done(&r));
	assert_int_equal(msg.nfds, code ? 0 : 1);
	return code ? -1 : steal_fd(&msg.fds[0]);
}

/* Whoever else listens there: connections in the namespace are redirected, but not this one. */
static void by_tcp_the_vmm_is_connected_to_the_server(void **state)
{
	cleanup_close int server = -1, fd = -1, got = -1;
	struct fixture *f = *state;
	struct net_local local;
	char text[8] = "";

	begin(f);
	net_local_open(&local);
	server = serve_tcp();
	fd = connect_by_tcp(f, UINT32_MAX, 0);
	got = accept(server, NULL, NULL);
	assert_true(got >= 0);
	assert_int_equal(write(fd, "question", 8), 8);
	assert_int_equal(recv(got, text, sizeof(text), MSG_WAITALL), 8);
	assert_memory_equal(text, "question", 8);
	close(steal_fd(&fd)); /* nobody here has it */
	assert_int_equal(recv(got, text, sizeof(text), 0), 0);
	assert_int_equal(waiting(f), 0);
	net_local_close(&local);
}

static void a_connection_that_is_refused_is_told(void **state)
{
	cleanup_close int server = -1;
	struct fixture *f = *state;

	begin(f);
	connect_by_tcp(f, 3, ECONNREFUSED);
	server = serve_tcp();
	net_dns_close(&f->dns);
	net_dns_open(&f->dns, 0); /* there is none to connect to */
	connect_by_tcp(f, 4, ECONNREFUSED);
	assert_int_equal(accept(server, NULL, NULL), -1);
}

static void whether_somebody_serves_is_seen(void **state)
{
	struct fixture *f = *state;

	begin(f);
	assert_true(net_dns_is_served(SERVER)); /* who does not answer, too */
	assert_false(net_dns_is_served(SERVER + 1));
	close(steal_fd(&f->server));
	assert_false(net_dns_is_served(SERVER));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_answer_goes_with_its_question),
		TEST(only_the_server_answers),
		TEST(an_answer_that_no_agent_takes_is_none),
		TEST(the_oldest_question_gives_way),
		TEST(patience_ends),
		TEST(a_server_that_is_gone_ends_the_question),
		cmocka_unit_test(what_the_vmm_may_not_say_ends_it),
		TEST(nothing_is_kept_for_an_absurd_length),
		TEST(a_question_may_come_in_pieces),
		TEST(without_a_server_nothing_is_asked),
		TEST(a_vmm_that_does_not_read_is_not_waited_for),
		TEST(by_tcp_the_vmm_is_connected_to_the_server),
		TEST(a_connection_that_is_refused_is_told),
		TEST(whether_somebody_serves_is_seen),
	};

	return cmocka_run_group_tests_name("questions about names", tests, NULL, NULL);
}
