/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: booting, until the agent says READY; created, until it says STARTED;
 * running, until it says EXITED of the container's process; stopping, until that process's streams
 * have delivered what they hold. Then the machine is told how the process ended, and ends likewise.
 * Whatever makes this impossible ends in container_fail(). After either, `over` is set and nothing
 * more is begun.
 */
#include "vmm/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "vmm/container_priv.h"
#include "vmm/proc_view.h"

static void container_close_setup(struct container *c)
{
	if (c->setup < 0)
		return;
	event_loop_remove(c->loop, &c->setup_src);
	close(c->setup);
	c->setup = -1;
}

/* Tell everyone who waits for an answer. The set-up socket is empty: sending does not block. */
static void container_tell_failure(struct container *c, int code, const char *why)
{
	cleanup_wire struct wire_writer w = { 0 };

	c->over = true;
	wire_put_u32(&w, (uint32_t)code);
	wire_put_str(&w, why);
	if (c->setup >= 0 && !w.failed)
		c->creator_told = msg_send(c->setup, VMM_ERROR, w.data, w.len, NULL, 0) == 0;
	container_close_setup(c);
	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++)
		if (c->processes[i].conn)
			control_send_error(c->processes[i].conn, code, why);
	for (size_t i = 0; i < c->num_signals; i++)
		if (c->signals[i].conn)
			control_send_error(c->signals[i].conn, code, why);
	if (c->cgroup_conn)
		control_send_error(c->cgroup_conn, code, why);
}

int container_tell_agent(struct container *c, uint32_t type, const void *payload, size_t len)
{
	return agent_link_send(c->link, type, payload, len);
}

void container_machine_failed(struct container *c, const char *why)
{
	if (!c->over)
		container_tell_failure(c, 0, why);
}

void container_fail(struct container *c, int code, const char *why)
{
	if (c->over)
		return;
	container_tell_failure(c, code, why);
	c->host.failed(c->host.data, why);
}

void container_end(struct container *c, int wait_status)
{
	if (c->over)
		return;
	c->over = true;
	/* Whoever asked for this end has got it. */
	for (size_t i = 0; i < c->num_signals; i++)
		if (c->signals[i].conn)
			control_send_ok(c->signals[i].conn);
	c->host.ended(c->host.data, wait_status);
}

static void container_on_hello(void *data)
{
	struct container *c = data;
	int r = agent_link_send(c->link, AGENT_CONTAINER, c->cfg->guest, c->cfg->guest_len);

	if (r < 0)
		container_fail(c, -r, "cannot send the container to the guest agent");
}

static void container_on_ready(void *data)
{
	struct container *c = data;

	if (c->state != VMM_BOOTING) {
		container_fail(c, EPROTO, "the guest agent said READY twice");
		return;
	}
	c->state = VMM_STATE_CREATED;
	container_terminal_resize(c);
	if (c->setup < 0)
		return;
	msg_send(c->setup, VMM_CREATED, NULL, 0, NULL, 0);
	container_close_setup(c);
}

static void container_on_started(void *data, uint32_t id, uint32_t pid)
{
	struct container *c = data;
	struct container_process *p = container_process_find(c, id);
	cleanup_wire struct wire_writer w = { 0 };

	if (!p || p->started || p->exited || (id == 0 && (!c->start_sent || c->settling))) {
		container_fail(c, EPROTO, "the guest agent started a process that nobody asked for");
		return;
	}
	p->started = true;
	if (id == 0) {
		c->state = VMM_STATE_RUNNING;
		if (p->conn) {
			control_conn_set_user(p->conn, NULL);
			control_send_ok(p->conn);
			p->conn = NULL;
		}
		return;
	}
	wire_put_u32(&w, pid);
	if (p->conn && !w.failed)
		control_send(p->conn, VMM_STARTED, w.data, w.len);
}

/* The container's process is over, started or not. */
static void container_stop(struct container *c, int code, const char *why, int wait_status)
{
	struct container_process *p = &c->processes[0];

	if (p->conn) {
		control_conn_set_user(p->conn, NULL);
		control_send_error(p->conn, code, why);
		p->conn = NULL;
	}
	c->state = VMM_STATE_STOPPING;
	container_process_exit(p, wait_status);
}

static void container_on_exited(void *data, uint32_t id, int wait_status)
{
	struct container *c = data;
	struct container_process *p = container_process_find(c, id);

	if (!p || p->exited || c->state == VMM_BOOTING || (id != 0 && !p->started))
		container_fail(c, EPROTO, "the guest agent ended a process that there is not");
	else if (id == 0)
		container_stop(c, ESRCH, "the container has ended before it was started",
			       wait_status);
	else
		container_process_exit(p, wait_status);
}

static void container_on_error(void *data, uint32_t id, int code, const char *text)
{
	struct container *c = data;
	struct container_process *p = container_process_find(c, id);

	if (!p || p->started || p->exited) {
		log_guest_warning("guest agent: %s", text);
	} else if (id != 0) {
		if (p->conn)
			control_send_error(p->conn, code, text);
		container_process_drop(p);
	} else if (c->state == VMM_BOOTING) {
		container_fail(c, code, text);
	} else {
		/* It cannot be executed: as a shell has it, 127 not found, else 126. */
		container_stop(c, code, text, (code == ENOENT ? 127 : 126) << 8);
	}
}

static void container_on_signaled(void *data, uint32_t id, int code)
{
	container_signal_answered(data, id, code);
}

static void container_on_cgroup(void *data, const char *payload, size_t len)
{
	container_cgroup_answered(data, payload, len);
}

static void container_on_connect(void *data, uint32_t connection, uint32_t number)
{
	container_socket_connect(data, connection, number);
}

/* The container may live on: which of its processes it was is not known here. */
static void container_on_oom(void *data, uint32_t kills)
{
	struct container *c = data;

	log_guest_warning("the container's memory was too little: %u of its processes ended for it",
			  kills);
	if (c->oom_fd >= 0 && mkdirat(c->oom_fd, VMM_OOM_MARK, 0700) < 0 && errno != EEXIST)
		log_warning("cannot mark that memory was too little: %s", strerror(errno));
}

static void container_on_proc(void *data, uint32_t cookie, int code, const char *text, size_t len)
{
	struct container *c = data;

	if (c->proc)
		proc_view_answer(c->proc, cookie, code, text, len);
}

static int container_ask_proc(void *data, uint32_t cookie, uint32_t what, uint32_t pid)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct container *c = data;

	if (c->state == VMM_BOOTING || c->over)
		return -ENOENT;
	wire_put_u32(&w, cookie);
	wire_put_u32(&w, what);
	wire_put_u32(&w, pid);
	return w.failed ? -ENOMEM : agent_link_send(c->link, AGENT_PROC, w.data, w.len);
}

static void container_on_local_failed(void *data, uint32_t host_port)
{
	container_local_failed(data, host_port);
}

static void container_on_dns(void *data, uint32_t cookie, const char *question, size_t len)
{
	struct container *c = data;

	if (c->net.ask && !c->over)
		c->net.ask(c->net.data, cookie, question, len);
}

void container_set_net(struct container *c, const struct container_net *net)
{
	c->net = net ? *net : (struct container_net){ 0 };
	if (net)
		return;
	container_socket_dns_lost(c);
	container_net_settled(c, 0);
}

static void container_on_lost(void *data, const char *why)
{
	struct container *c = data;

	/* An agent that has said all may go while the streams are still being delivered. */
	if (!c->processes[0].exited)
		container_fail(c, 0, why);
}

static const struct agent_link_ops container_link_ops = {
	.hello = container_on_hello,
	.ready = container_on_ready,
	.started = container_on_started,
	.exited = container_on_exited,
	.error = container_on_error,
	.signaled = container_on_signaled,
	.cgroup = container_on_cgroup,
	.connect = container_on_connect,
	.local_failed = container_on_local_failed,
	.oom = container_on_oom,
	.proc = container_on_proc,
	.dns = container_on_dns,
	.lost = container_on_lost,
};

/* Nothing is said on the set-up socket after VMM_CONFIG: this is its end. */
static void container_on_setup(void *data, uint32_t events)
{
	(void)events;
	container_fail(data, ECANCELED, "the command that creates the container has ended");
}

static int container_open_streams(struct container *c, int fds[VMM_FD_COUNT], struct error **err)
{
	struct container_process *p = container_process_new(c);
	int r;

	if (c->cfg->terminal && container_terminal_open(c, fds[VMM_FD_STDIN], err) < 0)
		return -1;
	r = container_process_offer(p, c->cfg->terminal, &fds[VMM_FD_STDIN]);
	return r < 0 ? error_set(err, -r, "cannot use the standard streams") : 0;
}

static int container_open(struct container *c, int fds[VMM_FD_COUNT], struct error **err)
{
	int r;

	if (container_open_streams(c, fds, err) < 0)
		return -1;
	c->link = agent_link_create(c->loop, c->vs, &container_link_ops, c, err);
	if (!c->link)
		return -1;
	if (fds[VMM_FD_CONTROL] >= 0) {
		c->control = control_create(c->loop, steal_fd(&fds[VMM_FD_CONTROL]),
					    &container_control_ops, c, err);
		if (!c->control)
			return -1;
	}
	if (container_signal_open(c, err) < 0 ||
	    container_socket_open(c, steal_fd(&fds[VMM_FD_CONNECT]), err) < 0)
		return -1;
	if (fds[VMM_FD_PROC] >= 0) {
		c->proc = proc_view_create(c->loop, steal_fd(&fds[VMM_FD_PROC]), container_ask_proc, c,
					   err);
		if (!c->proc)
			return -1;
	}
	r = event_loop_add(c->loop, &c->setup_src, c->setup, EPOLLIN | EPOLLRDHUP,
			   container_on_setup, c);
	return r < 0 ? error_set(err, -r, "cannot watch the set-up socket") : 0;
}

struct container *container_create(struct event_loop *loop, struct vsock *vs,
				   const struct vmm_config *cfg, int fds[VMM_FD_COUNT], int setup,
				   const struct container_host *host, struct error **err)
{
	struct container *c = calloc(1, sizeof(*c));
	cleanup_error struct error *why = NULL;

	if (!c) {
		close(setup);
		error_set(err, ENOMEM, "container");
		return NULL;
	}
	c->loop = loop;
	c->vs = vs;
	c->cfg = cfg;
	c->host = *host;
	c->setup = setup;
	c->signal_fd = c->terminal = c->connect_fd = -1;
	container_local_init(c);
	c->oom_fd = steal_fd(&fds[VMM_FD_OOM]);
	if (container_open(c, fds, &why) == 0)
		return c;
	container_tell_failure(c, why->code, error_msg(why));
	container_free(c);
	error_move(err, &why);
	return NULL;
}

bool container_creator_told(const struct container *c)
{
	return c->creator_told;
}

void container_free(struct container *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++)
		if (c->processes[i].used)
			container_process_drop(&c->processes[i]);
	container_socket_close(c);
	container_local_close(c);
	proc_view_free(c->proc);
	agent_link_free(c->link);
	control_free(c->control);
	container_close_setup(c);
	event_loop_remove(c->loop, &c->signal_src);
	if (c->signal_fd >= 0)
		close(c->signal_fd);
	if (c->terminal >= 0)
		close(c->terminal);
	if (c->oom_fd >= 0)
		close(c->oom_fd);
	free(c);
}
