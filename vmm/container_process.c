/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of the container and their streams. A process is finished when the agent said EXITED
 * and every byte that came before that has been taken by the host's fds.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/wire.h"
#include "vmm/container_priv.h"

/* Stream numbers end here; each has a port. */
#define CONTAINER_STREAMS (AGENT_STREAM_TERMINAL + 1)
/* Ids whose ports are 32-bit numbers. */
#define CONTAINER_MAX_ID 0x3fff0000u

struct container_process *container_process_find(struct container *c, uint32_t id)
{
	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++)
		if (c->processes[i].used && c->processes[i].id == id)
			return &c->processes[i];
	return NULL;
}

struct container_process *container_process_new(struct container *c)
{
	if (c->next_id > CONTAINER_MAX_ID)
		return NULL;
	for (size_t i = 0; i < CONTAINER_MAX_PROCESSES; i++) {
		if (c->processes[i].used)
			continue;
		c->processes[i] = (struct container_process){ .c = c, .used = true,
							      .id = c->next_id++ };
		return &c->processes[i];
	}
	return NULL;
}

static void container_process_free(struct container_process *p)
{
	if (p->conn)
		control_conn_set_user(p->conn, NULL);
	*p = (struct container_process){ .c = p->c };
}

static void container_process_tell_exit(struct container_process *p)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, (uint32_t)p->wait_status);
	if (p->conn && !w.failed)
		control_send(p->conn, VMM_EXITED, w.data, w.len);
}

/* Is it finished? Then say so. */
static void container_process_check(struct container_process *p)
{
	struct container *c = p->c;

	if (!p->used || !p->exited)
		return;
	for (uint32_t n = 0; n < CONTAINER_STREAMS; n++)
		if (!vsock_port_idle(c->vs, AGENT_PORT_STREAM(p->id, n)))
			return;
	if (p->id == 0) {
		container_end(c, p->wait_status);
		return;
	}
	container_process_tell_exit(p);
	container_process_free(p);
}

static void container_stream_closed(void *data, uint32_t port)
{
	(void)port;
	container_process_check(data);
}

static int container_offer(struct container_process *p, uint32_t stream, int *read_fd, int *write_fd)
{
	const struct vsock_offer offer = {
		.port = AGENT_PORT_STREAM(p->id, stream),
		.read_fd = read_fd ? *read_fd : -1,
		.write_fd = write_fd ? *write_fd : -1,
		.closed = container_stream_closed,
		.data = p,
	};
	int r = vsock_offer_port(p->c->vs, &offer);

	if (r < 0)
		return r;
	if (read_fd)
		*read_fd = -1;
	if (write_fd)
		*write_fd = -1;
	return 0;
}

int container_process_offer(struct container_process *p, bool terminal, int fds[3])
{
	int r;

	if (terminal)
		return container_offer(p, AGENT_STREAM_TERMINAL, &fds[0], &fds[0]);
	r = fds[0] < 0 ? 0 : container_offer(p, AGENT_STREAM_STDIN, &fds[0], NULL);
	if (r == 0)
		r = container_offer(p, AGENT_STREAM_STDOUT, NULL, &fds[1]);
	if (r == 0)
		r = container_offer(p, AGENT_STREAM_STDERR, NULL, &fds[2]);
	return r;
}

/* What waitpid() can answer of a process that has ended; anything else is the agent's invention. */
static bool container_status_is_valid(int wait_status)
{
	if (WIFEXITED(wait_status))
		return !(wait_status & 0x7f);
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) <= SIGRTMAX;
}

void container_process_exit(struct container_process *p, int wait_status)
{
	if (p->exited)
		return;
	if (!container_status_is_valid(wait_status)) {
		log_guest_warning("the guest agent reports a process's end as 0x%x", wait_status);
		wait_status = SIGKILL;
	}
	p->exited = true;
	p->wait_status = wait_status;
	/* All its output came before EXITED; streams that it never opened will not be opened. */
	for (uint32_t n = 0; p->used && n < CONTAINER_STREAMS; n++)
		vsock_finish_port(p->c->vs, AGENT_PORT_STREAM(p->id, n));
	container_process_check(p);
}

void container_process_drop(struct container_process *p)
{
	for (uint32_t n = 0; n < CONTAINER_STREAMS; n++)
		vsock_withdraw_port(p->c->vs, AGENT_PORT_STREAM(p->id, n));
	container_process_free(p);
}
