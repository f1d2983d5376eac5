/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/wire.h"
#include "guest-agent/agent_host.h"

/* The socket blocks: one read for one event never waits, and the host always takes messages in. */
static void control_ready(void *data, uint32_t events)
{
	struct control *c = data;
	struct msg msg;
	int r = msg_buffer_fill(&c->buffer, c->source.fd);

	(void)events;
	while (r == 1) {
		r = msg_buffer_next(&c->buffer, &msg);
		if (r == 0)
			return;
		if (r == 1)
			c->message(c->data, &msg);
		msg_release(&msg);
	}
	log_info("the host has closed the control connection");
	loop_watch(c->loop, &c->source, 0);
	c->lost(c->data);
}

static void control_send(struct control *c, enum agent_msg type, struct wire_writer *w)
{
	int r = w->failed ? -ENOMEM : msg_send(c->source.fd, type, w->data, w->len, NULL, 0);

	if (r < 0)
		log_warning("message %d to the host: %s", type, strerror(-r));
	wire_writer_release(w);
}

int control_connect(struct control *c, struct agent_loop *loop, struct error **err)
{
	struct wire_writer w = { 0 };
	int r;

	c->loop = loop;
	c->source = (struct loop_source){ .fd = -1, .ready = control_ready, .data = c };
	c->source.fd = host_connect(AGENT_PORT_CONTROL, err);
	if (c->source.fd < 0)
		return -1;
	wire_put_u32(&w, AGENT_PROTO_VERSION);
	control_send(c, AGENT_HELLO, &w);
	r = loop_watch(loop, &c->source, EPOLLIN);
	return r < 0 ? error_set(err, -r, "watch the control connection") : 0;
}

void control_release(struct control *c)
{
	if (c->source.fd >= 0) {
		loop_watch(c->loop, &c->source, 0);
		close(steal_fd(&c->source.fd));
	}
	msg_buffer_release(&c->buffer);
}

void control_send_ready(struct control *c)
{
	struct wire_writer w = { 0 };

	control_send(c, AGENT_READY, &w);
}

void control_send_started(struct control *c, uint32_t id, uint32_t pid)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, pid);
	control_send(c, AGENT_STARTED, &w);
}

void control_send_exited(struct control *c, uint32_t id, int status)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, (uint32_t)status);
	control_send(c, AGENT_EXITED, &w);
}

void control_send_error(struct control *c, uint32_t id, uint32_t code, const char *why)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, code);
	wire_put_str(&w, why);
	control_send(c, AGENT_ERROR, &w);
}

void control_send_signaled(struct control *c, uint32_t id, uint32_t code)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, code);
	control_send(c, AGENT_SIGNALED, &w);
}

void control_send_cgroup(struct control *c, const struct error *e, const struct agent_pair *files,
			 size_t count)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, e ? (uint32_t)e->code : 0);
	wire_put_str(&w, e ? error_msg(e) : "");
	agent_pairs_encode(&w, files, e ? 0 : count);
	control_send(c, AGENT_CGROUP_IS, &w);
}

void control_send_oom(struct control *c, uint32_t kills)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, kills);
	control_send(c, AGENT_OOM, &w);
}

void control_send_proc(struct control *c, uint32_t cookie, int code, const void *text, size_t len)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, cookie);
	wire_put_u32(&w, (uint32_t)code);
	wire_put_bytes(&w, text, len);
	control_send(c, AGENT_PROC_IS, &w);
}

void control_send_connect(struct control *c, uint32_t connection, uint32_t socket)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, connection);
	wire_put_u32(&w, socket);
	control_send(c, AGENT_CONNECT, &w);
}

void control_send_local_failed(struct control *c, uint32_t port, uint32_t code)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, port);
	wire_put_u32(&w, code);
	control_send(c, AGENT_LOCAL_FAILED, &w);
}

void control_send_dns(struct control *c, uint32_t cookie, const void *question, size_t len)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, cookie);
	wire_put_bytes(&w, question, len);
	control_send(c, AGENT_DNS, &w);
}

void control_send_log(struct control *c, uint32_t level, const char *text)
{
	struct wire_writer w = { 0 };

	wire_put_u32(&w, level);
	wire_put_str(&w, text);
	control_send(c, AGENT_LOG, &w);
}
