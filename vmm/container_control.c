/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests of command lines (base/vmm_proto.h). A connection with a request under way has its
 * user pointer set: to the exec's process, or to the container for one that waits for the agent.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "vmm/container_priv.h"

int container_signal_send(struct container *c, uint32_t id, uint32_t signo, bool all,
			  struct control_conn *conn)
{
	cleanup_wire struct wire_writer w = { 0 };
	int r;

	if (c->num_signals == CONTAINER_MAX_SIGNALS)
		return -EAGAIN;
	wire_put_u32(&w, id);
	wire_put_u32(&w, signo);
	wire_put_u8(&w, all);
	r = w.failed ? -ENOMEM : agent_link_send(c->link, AGENT_SIGNAL, w.data, w.len);
	if (r == 0)
		c->signals[c->num_signals++] = (struct container_signal){ .conn = conn, .id = id };
	return r;
}

/* The peer of an exec has left. Where there is no room for its signal, the next answer makes some. */
static void container_kill_abandoned(struct container *c)
{
	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++) {
		struct container_process *p = &c->processes[i];
		int r;

		if (!p->used || !p->abandoned || p->exited)
			continue;
		r = container_signal_send(c, p->id, SIGKILL, false, NULL);
		if (r == 0)
			p->abandoned = false;
		else if (r != -EAGAIN)
			log_warning("a process whose exec has gone goes on: %s", strerror(-r));
	}
}

void container_signal_answered(struct container *c, uint32_t id, int code)
{
	struct container_signal sig = c->signals[0];

	if (!c->num_signals || sig.id != id) {
		container_fail(c, EPROTO, "the guest agent answered a signal that was not sent");
		return;
	}
	memmove(c->signals, c->signals + 1, --c->num_signals * sizeof(sig));
	container_kill_abandoned(c);
	if (!sig.conn)
		return;
	control_conn_set_user(sig.conn, NULL);
	if (code)
		control_send_error(sig.conn, code, "cannot send the signal");
	else
		control_send_ok(sig.conn);
}

void container_resize(struct container *c, uint32_t id, uint32_t rows, uint32_t columns)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, id);
	wire_put_u32(&w, rows);
	wire_put_u32(&w, columns);
	if (!w.failed)
		agent_link_send(c->link, AGENT_RESIZE, w.data, w.len);
}

void container_cgroup_answered(struct container *c, const char *payload, size_t len)
{
	struct control_conn *conn = c->cgroup_conn;

	if (!c->cgroup_asked) {
		container_fail(c, EPROTO, "the guest agent answered a question that was not asked");
		return;
	}
	c->cgroup_asked = false;
	c->cgroup_conn = NULL;
	if (!conn)
		return;
	control_conn_set_user(conn, NULL);
	control_send(conn, VMM_CGROUP_IS, payload, len);
}

/* One at a time: a command line that is told so tries again. */
static void request_cgroup(struct container *c, struct control_conn *conn, const struct msg *msg)
{
	int sent = 0;

	if (c->state == VMM_BOOTING || c->processes[0].exited)
		sent = -ESRCH;
	else if (c->cgroup_asked)
		sent = -EAGAIN;
	else
		sent = agent_link_send(c->link, AGENT_CGROUP, msg->payload, msg->len);
	if (sent < 0) {
		control_send_error(conn, -sent, "cannot reach the container's cgroup in the guest");
		return;
	}
	c->cgroup_asked = true;
	c->cgroup_conn = conn;
	control_conn_set_user(conn, c);
}

static void start_now(struct container *c, uint32_t name_server)
{
	struct container_process *p = &c->processes[0];
	cleanup_wire struct wire_writer w = { 0 };
	int sent;

	wire_put_u32(&w, name_server);
	sent = w.failed ? -ENOMEM : agent_link_send(c->link, AGENT_START, w.data, w.len);
	c->start_sent = sent == 0;
	if (sent == 0 || !p->conn)
		return;
	control_conn_set_user(p->conn, NULL);
	control_send_error(p->conn, -sent, "cannot reach the guest agent");
	p->conn = NULL;
}

int container_net_settled(struct container *c, uint32_t name_server)
{
	if (!c->settling)
		return -EPROTO;
	c->settling = false;
	if (!c->over && !c->processes[0].exited)
		start_now(c, name_server);
	return 0;
}

static void request_start(struct container *c, struct control_conn *conn, struct wire_reader *r)
{
	const uint32_t name_server = wire_get_u32(r);

	if (!wire_done(r) || c->state != VMM_STATE_CREATED || c->start_sent) {
		control_send_error(conn, EINVAL, "the container is not in the state created");
		return;
	}
	c->start_sent = true;
	c->processes[0].conn = conn;
	control_conn_set_user(conn, c);
	/* An engine may have connected networks since create. */
	c->settling = c->net.settle && c->net.settle(c->net.data, name_server) == 0;
	if (!c->settling)
		start_now(c, 0);
}

static void request_signal(struct container *c, struct control_conn *conn, struct wire_reader *r)
{
	uint32_t signo = wire_get_u32(r);
	bool all = wire_get_u8(r);
	int sent = 0;

	if (!wire_done(r) || signo == 0 || signo > (uint32_t)SIGRTMAX)
		sent = -EINVAL;
	else if (c->state == VMM_BOOTING || c->processes[0].exited)
		sent = -ESRCH;
	if (sent == 0)
		sent = container_signal_send(c, 0, signo, all, conn);
	if (sent < 0)
		control_send_error(conn, -sent, "cannot send the signal");
	else
		control_conn_set_user(conn, c);
}

static void request_state(struct container *c, struct control_conn *conn, struct wire_reader *r)
{
	const uint8_t state = (uint8_t)c->state;

	if (wire_done(r))
		control_send(conn, VMM_STATE_IS, &state, sizeof(state));
	else
		control_send_error(conn, EINVAL, "malformed request");
}

static void request_pause(struct container *c, struct control_conn *conn, struct wire_reader *r,
			  bool pause)
{
	int done = -EINVAL;

	if (wire_done(r) && (c->state == VMM_STATE_RUNNING || c->state == VMM_STATE_CREATED))
		done = pause ? c->host.pause(c->host.data) : c->host.resume(c->host.data);
	if (done < 0)
		control_send_error(conn, -done, pause ? "cannot pause" : "cannot resume");
	else
		control_send_ok(conn);
}

/* Take the streams out of the message: the terminal, or stdin, stdout and stderr. */
static int exec_take_fds(struct msg *msg, const struct agent_process *process, int fds[3])
{
	const size_t count = process->terminal ? 1 : 3;

	if (msg->nfds != count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		fds[i] = steal_fd(&msg->fds[i]);
	if (!process->terminal && !process->stdin_open) {
		close(fds[0]);
		fds[0] = -1;
	}
	return 0;
}

/* Offer the streams, then have the agent execute: it connects to them at once. */
static int exec_begin(struct container_process *p, struct msg *msg,
		      const struct agent_process *process)
{
	cleanup_wire struct wire_writer w = { 0 };
	int fds[3] = { -1, -1, -1 };
	int r = exec_take_fds(msg, process, fds);

	if (r == 0)
		r = container_process_offer(p, process->terminal, fds);
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r < 0)
		return r;
	wire_put_u32(&w, p->id);
	agent_process_encode(&w, process);
	return w.failed ? -ENOMEM : agent_link_send(p->c->link, AGENT_EXEC, w.data, w.len);
}

static void request_exec(struct container *c, struct control_conn *conn, struct msg *msg,
			 struct wire_reader *r)
{
	struct agent_process process = { 0 };
	struct container_process *p;
	int begun;

	if (c->state != VMM_STATE_RUNNING) {
		control_send_error(conn, EINVAL, "the container is not running");
		return;
	}
	if (agent_process_decode(r, &process) < 0 || !wire_done(r)) {
		agent_process_release(&process);
		control_send_error(conn, EINVAL, "malformed request");
		return;
	}
	p = container_process_new(c);
	begun = p ? exec_begin(p, msg, &process) : -EAGAIN;
	agent_process_release(&process);
	if (begun == 0) {
		p->conn = conn;
		control_conn_set_user(conn, p);
		return;
	}
	if (p)
		container_process_drop(p);
	control_send_error(conn, -begun, "cannot execute another process");
}

/* On the connection of an exec: not answered. */
static void request_of_exec(struct container_process *p, const struct msg *msg,
			    struct wire_reader *r)
{
	uint32_t a = wire_get_u32(r), b;

	if (msg->type == VMM_EXEC_SIGNAL && wire_done(r) && a && a <= (uint32_t)SIGRTMAX) {
		container_signal_send(p->c, p->id, a, false, NULL);
	} else if (msg->type == VMM_EXEC_RESIZE) {
		b = wire_get_u32(r);
		if (wire_done(r))
			container_resize(p->c, p->id, a, b);
	}
}

static void container_on_request(void *data, struct control_conn *conn, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	void *user = control_conn_user(conn);
	struct container *c = data;

	if (c->over) {
		control_send_error(conn, ESRCH, "the container is ending");
		return;
	}
	if (user && user != c) {
		request_of_exec(user, msg, &r);
		return;
	}
	if (user) {
		control_send_error(conn, EBUSY, "the request before this one is not answered yet");
		return;
	}
	switch (msg->type) {
	case VMM_START:
		request_start(c, conn, &r);
		break;
	case VMM_SIGNAL:
		request_signal(c, conn, &r);
		break;
	case VMM_STATE:
		request_state(c, conn, &r);
		break;
	case VMM_PAUSE:
	case VMM_RESUME:
		request_pause(c, conn, &r, msg->type == VMM_PAUSE);
		break;
	case VMM_CGROUP:
		request_cgroup(c, conn, msg);
		break;
	case VMM_EXEC:
		request_exec(c, conn, msg, &r);
		break;
	default:
		control_send_error(conn, EINVAL, "unknown request");
		break;
	}
}

/*
 * The peer left. What it asked for goes on without it, but for an exec: the peer's pid is the one that
 * the outside has for the process (exec --pid-file), and who kills that one means the process.
 */
static void container_on_gone(void *data, struct control_conn *conn)
{
	struct container *c = data;

	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++) {
		struct container_process *p = &c->processes[i];

		if (p->conn != conn)
			continue;
		p->conn = NULL;
		p->abandoned = p->id != 0;
	}
	for (size_t i = 0; i < c->num_signals; i++)
		if (c->signals[i].conn == conn)
			c->signals[i].conn = NULL;
	if (c->cgroup_conn == conn)
		c->cgroup_conn = NULL;
	if (!c->over)
		container_kill_abandoned(c);
}

const struct control_ops container_control_ops = {
	.request = container_on_request,
	.gone = container_on_gone,
};
