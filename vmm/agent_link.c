/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a socketpair, whose one end the vsock device relays to the agent and whose
 * other end is read and written here. vsock bounds what the guest can push into it, the limits
 * below bound what is kept of it. Nothing the agent says is executed or trusted: numbers go to the
 * container as numbers, texts as texts of a known length.
 */
#include "vmm/agent_link.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "vmm/event_loop.h"
#include "vmm/virtio/vsock.h"

/* No message of the agent's is longer: a text and a few numbers. */
#define AGENT_MESSAGE_MAX (16u << 10)
/* What may wait for an agent that does not read: one AGENT_CONTAINER and some more. */
#define AGENT_OUT_MAX (2 * (size_t)MSG_PAYLOAD_MAX)

struct agent_link {
	struct event_loop *loop; /* borrowed */
	struct vsock *vs;	 /* borrowed */
	const struct agent_link_ops *ops; /* borrowed */
	void *data;
	int sock; /* owned */
	struct event_source src;
	struct msg_buffer in;
	char *out; /* owned: out_len bytes from out_pos on are still to be written */
	size_t out_pos, out_len, out_size;
	bool hello; /* the agent has introduced itself */
	bool lost;
	struct log_ratelimit log_limit;
};

static void agent_link_lose(struct agent_link *link, const char *why)
{
	if (link->lost)
		return;
	link->lost = true;
	event_loop_remove(link->loop, &link->src);
	link->ops->lost(link->data, why);
}

static int agent_link_watch(struct agent_link *link)
{
	return event_loop_set(link->loop, &link->src, EPOLLIN | (link->out_len ? EPOLLOUT : 0));
}

static int agent_link_flush(struct agent_link *link)
{
	while (link->out_len) {
		ssize_t n = send(link->sock, link->out + link->out_pos, link->out_len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		link->out_pos += (size_t)n;
		link->out_len -= (size_t)n;
	}
	/* Nothing waits: give back what a large message took. */
	free(link->out);
	link->out = NULL;
	link->out_pos = link->out_size = 0;
	return 0;
}

/* Make room for @len more bytes behind what waits. */
static int agent_link_reserve(struct agent_link *link, size_t len)
{
	char *grown;

	if (link->out_len + len > AGENT_OUT_MAX)
		return -ENOBUFS;
	if (link->out_pos + link->out_len + len <= link->out_size)
		return 0;
	if (link->out_len)
		memmove(link->out, link->out + link->out_pos, link->out_len);
	link->out_pos = 0;
	if (link->out_len + len <= link->out_size)
		return 0;
	grown = realloc(link->out, link->out_len + len);
	if (!grown)
		return -ENOMEM;
	link->out = grown;
	link->out_size = link->out_len + len;
	return 0;
}

static void agent_link_append(struct agent_link *link, const void *data, size_t len)
{
	if (len)
		memcpy(link->out + link->out_pos + link->out_len, data, len);
	link->out_len += len;
}

int agent_link_send(struct agent_link *link, uint32_t type, const void *payload, size_t len)
{
	const struct msg_header header = { htole32(type), htole32((uint32_t)len) };
	int r;

	if (link->lost)
		return -EPIPE;
	if (len > MSG_PAYLOAD_MAX)
		return -EMSGSIZE;
	r = agent_link_reserve(link, sizeof(header) + len);
	if (r < 0)
		return r;
	agent_link_append(link, &header, sizeof(header));
	agent_link_append(link, payload, len);
	r = agent_link_flush(link);
	return r < 0 ? r : agent_link_watch(link);
}

/* A text of the agent's: NUL-terminated, cut to what is passed on. */
static bool agent_get_text(struct wire_reader *r, char text[AGENT_LINK_TEXT_MAX + 1])
{
	size_t len;
	const char *at = wire_get_bytes(r, &len);

	if (len > AGENT_LINK_TEXT_MAX)
		len = AGENT_LINK_TEXT_MAX;
	if (at)
		memcpy(text, at, len);
	text[len] = 0;
	return at;
}

static bool agent_on_log(struct agent_link *link, struct wire_reader *r)
{
	char text[AGENT_LINK_TEXT_MAX + 1];
	uint32_t level = wire_get_u32(r);

	if (!agent_get_text(r, text) || !wire_done(r) || level > LOG_LEVEL_DEBUG)
		return false;
	if (log_ratelimit_ok(&link->log_limit))
		log_write((enum log_level)level, "guest agent: %s", text);
	return true;
}

static bool agent_on_error(struct agent_link *link, struct wire_reader *r)
{
	char text[AGENT_LINK_TEXT_MAX + 1];
	uint32_t id = wire_get_u32(r), code = wire_get_u32(r);

	/* errno values end at 4095 */
	if (!agent_get_text(r, text) || !wire_done(r) || code > 4095)
		return false;
	link->ops->error(link->data, id, (int)code, text);
	return true;
}

static bool agent_on_hello(struct agent_link *link, struct wire_reader *r)
{
	uint32_t version = wire_get_u32(r);

	if (!wire_done(r) || link->hello)
		return false;
	if (version != AGENT_PROTO_VERSION) {
		log_error("the guest agent speaks version %u of the protocol, not %u", version,
			  AGENT_PROTO_VERSION);
		return false;
	}
	link->hello = true;
	link->ops->hello(link->data);
	return true;
}

/* Two numbers: STARTED, EXITED, SIGNALED, CONNECT, LOCAL_FAILED. */
static bool agent_on_numbers(struct agent_link *link, uint32_t type, struct wire_reader *r)
{
	uint32_t id = wire_get_u32(r), value = wire_get_u32(r);

	if (!wire_done(r))
		return false;
	if (type == AGENT_STARTED)
		link->ops->started(link->data, id, value);
	else if (type == AGENT_CONNECT)
		link->ops->connect(link->data, id, value);
	else if (type == AGENT_LOCAL_FAILED)
		link->ops->local_failed(link->data, id);
	else if (type == AGENT_EXITED)
		/* as waitpid() has it: 16 bits */
		link->ops->exited(link->data, id, (int)(value & 0xffff));
	else if (value <= 4095)
		link->ops->signaled(link->data, id, (int)value);
	else
		return false;
	return true;
}

static bool agent_on_oom(struct agent_link *link, struct wire_reader *r)
{
	uint32_t kills = wire_get_u32(r);

	if (wire_done(r))
		link->ops->oom(link->data, kills);
	return wire_done(r);
}

static bool agent_on_proc(struct agent_link *link, struct wire_reader *r)
{
	uint32_t cookie = wire_get_u32(r), code = wire_get_u32(r);
	size_t len;
	const char *text = wire_get_bytes(r, &len);

	if (!text || !wire_done(r) || code > 4095)
		return false;
	link->ops->proc(link->data, cookie, (int)code, text, len);
	return true;
}

static bool agent_on_dns(struct agent_link *link, struct wire_reader *r)
{
	const uint32_t cookie = wire_get_u32(r);
	size_t len;
	const char *question = wire_get_bytes(r, &len);

	if (!question || !wire_done(r) || !len || len > AGENT_DNS_MAX)
		return false;
	link->ops->dns(link->data, cookie, question, len);
	return true;
}

/* Who asked reads it; here it has to be what it says it is. */
static bool agent_on_cgroup(struct agent_link *link, const struct msg *msg, struct wire_reader *r)
{
	char text[AGENT_LINK_TEXT_MAX + 1];
	uint32_t code = wire_get_u32(r);
	struct agent_pair *files = NULL;
	size_t count = 0;
	bool good;

	if (!agent_get_text(r, text) || code > 4095)
		return false;
	files = agent_pairs_decode(r, &count);
	good = wire_done(r);
	agent_pairs_release(files, count);
	if (good)
		link->ops->cgroup(link->data, msg->payload, msg->len);
	return good;
}

/* False: the agent broke the protocol. */
static bool agent_on_message(struct agent_link *link, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);

	if (!link->hello && msg->type != AGENT_HELLO && msg->type != AGENT_LOG)
		return false;
	switch (msg->type) {
	case AGENT_HELLO:
		return agent_on_hello(link, &r);
	case AGENT_READY:
		if (!wire_done(&r))
			return false;
		link->ops->ready(link->data);
		return true;
	case AGENT_STARTED:
	case AGENT_EXITED:
	case AGENT_SIGNALED:
	case AGENT_CONNECT:
	case AGENT_LOCAL_FAILED:
		return agent_on_numbers(link, msg->type, &r);
	case AGENT_ERROR:
		return agent_on_error(link, &r);
	case AGENT_CGROUP_IS:
		return agent_on_cgroup(link, msg, &r);
	case AGENT_OOM:
		return agent_on_oom(link, &r);
	case AGENT_PROC_IS:
		return agent_on_proc(link, &r);
	case AGENT_DNS:
		return agent_on_dns(link, &r);
	case AGENT_LOG:
		return agent_on_log(link, &r);
	default:
		return false;
	}
}

/* Handle what has come in whole. */
static void agent_link_parse(struct agent_link *link)
{
	while (!link->lost) {
		struct msg_header header = { 0 };
		cleanup_msg struct msg msg = { 0 };
		int r;

		if (link->in.len >= sizeof(header))
			memcpy(&header, link->in.data, sizeof(header));
		if (le32toh(header.len) > AGENT_MESSAGE_MAX) {
			agent_link_lose(link, "the guest agent sent a message that is too long");
			return;
		}
		r = msg_buffer_next(&link->in, &msg);
		if (r == 0)
			return;
		if (r < 0)
			agent_link_lose(link, strerror(-r));
		else if (!agent_on_message(link, &msg))
			agent_link_lose(link, "the guest agent broke the protocol");
	}
}

static void agent_link_on_ready(void *data, uint32_t events)
{
	struct agent_link *link = data;
	int r = 0;

	if (events & EPOLLOUT) {
		r = agent_link_flush(link);
		if (r == 0)
			r = agent_link_watch(link);
	}
	if (r == 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		r = msg_buffer_fill(&link->in, link->sock);
		if (r == 0)
			r = -EPIPE;
	}
	agent_link_parse(link);
	if (r < 0 && r != -EAGAIN)
		agent_link_lose(link, r == -EPIPE || r == -ECONNRESET ?
					      "the guest agent has gone" : strerror(-r));
}

struct agent_link *agent_link_create(struct event_loop *loop, struct vsock *vs,
				     const struct agent_link_ops *ops, void *data,
				     struct error **err)
{
	struct agent_link *link = calloc(1, sizeof(*link));
	struct vsock_offer offer = { .port = AGENT_PORT_CONTROL };
	int pair[2], r;

	if (!link || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		error_set(err, errno, "cannot make a connection for the guest agent");
		free(link);
		return NULL;
	}
	link->loop = loop;
	link->vs = vs;
	link->ops = ops;
	link->data = data;
	link->sock = pair[0];
	offer.read_fd = offer.write_fd = pair[1];
	r = fd_set_nonblock(link->sock, true);
	if (r == 0)
		r = event_loop_add(loop, &link->src, link->sock, EPOLLIN, agent_link_on_ready, link);
	if (r == 0)
		r = vsock_offer_port(vs, &offer);
	if (r < 0) {
		error_set(err, -r, "cannot make a connection for the guest agent");
		event_loop_remove(loop, &link->src);
		close(pair[0]);
		close(pair[1]);
		free(link);
		return NULL;
	}
	return link;
}

void agent_link_free(struct agent_link *link)
{
	if (!link)
		return;
	event_loop_remove(link->loop, &link->src);
	vsock_withdraw_port(link->vs, AGENT_PORT_CONTROL);
	close(link->sock);
	msg_buffer_release(&link->in);
	free(link->out);
	free(link);
}
