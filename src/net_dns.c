/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Part of krun-gpu-net.
 *
 * Theory of operation: datagrams are passed on as they are, in both directions, and nobody here looks
 * into them. A connected socket takes answers from its server alone; that each question has its own
 * keeps apart what belongs to which. Nothing here waits: who asked asks again. A connection by TCP is made
 * here, and the VMM's when it is made: bytes do not pass this process, and it keeps none.
 */
#include "net_dns.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_local.h"

#define PROBE_MS 50
/* Of a DNS message without a question. */
#define HEADER_LEN 12
/* The longest message of the VMM's: a cookie, a length, a question. */
#define MESSAGE_MAX (8u + AGENT_DNS_MAX)

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static struct sockaddr_in server_at(uint32_t address)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(AGENT_DNS_PORT),
				     .sin_addr.s_addr = htonl(address) };
}

/* A socket by which @data was sent; -1: it was not. */
static int send_to(const struct sockaddr_in *server, const void *data, size_t len)
{
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)server, sizeof(*server)) < 0 ||
	    send(fd, data, len, MSG_NOSIGNAL) < 0)
		return -1;
	return steal_fd(&fd);
}

bool net_dns_is_served(uint32_t address)
{
	static const char empty[HEADER_LEN];
	const struct sockaddr_in server = server_at(address);
	cleanup_close int fd = send_to(&server, empty, sizeof(empty));
	struct pollfd pfd = { fd, POLLIN, 0 };

	return fd >= 0 && (poll(&pfd, 1, PROBE_MS) <= 0 || !(pfd.revents & POLLERR));
}

void net_dns_open(struct net_dns *d, uint32_t address)
{
	*d = (struct net_dns){ 0 };
	if (address)
		d->server = server_at(address);
	for (size_t i = 0; i < NET_DNS_MAX; i++)
		d->questions[i].fd = -1;
}

void net_dns_serve(struct net_dns *d, uint32_t address)
{
	d->server = server_at(address);
}

bool net_dns_asks(const struct net_dns *d)
{
	return d->server.sin_family;
}

static void question_end(struct net_dns_question *q)
{
	if (q->fd >= 0)
		close(steal_fd(&q->fd));
}

void net_dns_close(struct net_dns *d)
{
	for (size_t i = 0; i < NET_DNS_MAX; i++)
		question_end(&d->questions[i]);
	msg_buffer_release(&d->in);
}

/* A place that is free, or else that of the oldest question. */
static struct net_dns_question *find_place(struct net_dns *d)
{
	struct net_dns_question *oldest = &d->questions[0];

	for (size_t i = 0; i < NET_DNS_MAX; i++) {
		struct net_dns_question *q = &d->questions[i];

		if (q->fd < 0)
			return q;
		if (q->deadline < oldest->deadline)
			oldest = q;
	}
	return oldest;
}

static int tell_connected(int vmm, uint32_t slot, int code, int fd)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, slot);
	wire_put_u32(&w, (uint32_t)code);
	return w.failed ? -ENOMEM :
	       msg_send(vmm, VMM_NET_DNS_CONNECTED, w.data, w.len, &fd, code ? 0 : 1);
}

/* The VMM always reads. One that takes no connection, for those it has not read are too many, is told. */
static int connect_by_tcp(struct net_dns *d, const struct msg *msg, int vmm)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t slot = wire_get_u32(&r);
	cleanup_close int fd = -ECONNREFUSED;
	int e;

	if (!wire_done(&r))
		return -EPROTO;
	if (net_dns_asks(d))
		fd = net_local_connect((const struct sockaddr *)&d->server, 0);
	e = fd < 0 ? fd : tell_connected(vmm, slot, 0, fd);
	return e < 0 ? tell_connected(vmm, slot, -e, -1) : 0;
}

static int ask(struct net_dns *d, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t cookie = wire_get_u32(&r);
	struct net_dns_question *q;
	size_t len;
	const char *question = wire_get_bytes(&r, &len);

	if (!question || !wire_done(&r) || !len || len > AGENT_DNS_MAX)
		return -EPROTO;
	if (!net_dns_asks(d))
		return 0;
	q = find_place(d);
	question_end(q);
	*q = (struct net_dns_question){ .fd = send_to(&d->server, question, len), .cookie = cookie,
					.deadline = now_ms() + NET_DNS_PATIENCE_MS };
	return 0;
}

/* The guest may speak for the VMM: nothing but the loopback interface's own addresses is looked at. */
static int note_settle(struct net_dns *d, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t address = wire_get_u32(&r);

	if (!wire_done(&r) || d->settled || (address && address >> 24 != IN_LOOPBACKNET))
		return -EPROTO;
	d->settle = d->settled = true;
	d->settle_address = address;
	return 0;
}

static int obey(struct net_dns *d, const struct msg *msg, int vmm)
{
	switch (msg->type) {
	case VMM_NET_DNS:
		return ask(d, msg);
	case VMM_NET_DNS_CONNECT:
		return connect_by_tcp(d, msg, vmm);
	case VMM_NET_SETTLE:
		return note_settle(d, msg);
	default:
		return -EPROTO;
	}
}

/* Nothing is kept for a message that is too long. */
static int next_message(struct msg_buffer *in, struct msg *msg)
{
	struct msg_header header = { 0 };

	if (in->len >= sizeof(header))
		memcpy(&header, in->data, sizeof(header));
	return le32toh(header.len) > MESSAGE_MAX ? -EPROTO : msg_buffer_next(in, msg);
}

int net_dns_receive(struct net_dns *d, int vmm)
{
	int r = msg_buffer_fill(&d->in, vmm);

	if (r == -EAGAIN)
		return 0;
	if (r <= 0)
		return r ? r : -EPIPE;
	for (;;) {
		cleanup_msg struct msg msg = { 0 };

		r = next_message(&d->in, &msg);
		if (r <= 0)
			return r;
		r = obey(d, &msg, vmm);
		if (r < 0)
			return r;
	}
}

void net_dns_watch(const struct net_dns *d, struct pollfd *pfds)
{
	for (size_t i = 0; i < NET_DNS_MAX; i++)
		pfds[i] = (struct pollfd){ d->questions[i].fd, POLLIN, 0 };
}

int net_dns_timeout(const struct net_dns *d)
{
	int64_t first = INT64_MAX, left;

	for (size_t i = 0; i < NET_DNS_MAX; i++)
		if (d->questions[i].fd >= 0 && d->questions[i].deadline < first)
			first = d->questions[i].deadline;
	if (first == INT64_MAX)
		return -1;
	left = first - now_ms();
	return left < 0 ? 0 : (int)left;
}

/* One that is too long for the agent is as good as none. */
static void pass_on(const struct net_dns_question *q, int vmm)
{
	cleanup_wire struct wire_writer w = { 0 };
	char answer[AGENT_DNS_MAX];
	const ssize_t len = recv(q->fd, answer, sizeof(answer), MSG_TRUNC);

	if (len <= 0 || len > AGENT_DNS_MAX)
		return;
	wire_put_u32(&w, q->cookie);
	wire_put_bytes(&w, answer, (size_t)len);
	if (!w.failed)
		msg_send_now(vmm, VMM_NET_DNS_IS, w.data, w.len);
}

void net_dns_answer(struct net_dns *d, const struct pollfd *pfds, int vmm)
{
	const int64_t now = now_ms();

	for (size_t i = 0; i < NET_DNS_MAX; i++) {
		struct net_dns_question *q = &d->questions[i];

		if (q->fd < 0)
			continue;
		if (pfds[i].revents)
			pass_on(q, vmm);
		if (pfds[i].revents || q->deadline <= now)
			question_end(q);
	}
}
