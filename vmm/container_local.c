/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that begin in the container's network namespace on the host and are meant for the guest
 * (krun-gpu-net accepts them). A port of its own carries each, until both directions have ended; there
 * is a fixed number of places. The guest can refuse one that it was offered, and nothing else.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/wire.h"
#include "vmm/container_priv.h"

static void local_closed(void *data, uint32_t port)
{
	struct container *c = data;

	c->locals[port - AGENT_PORT_LOCAL(0)] = -1;
}

static int local_tell(struct container *c, uint32_t host_port, uint32_t port, const void *address,
		      size_t len)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, host_port);
	wire_put_u32(&w, port);
	wire_put_bytes(&w, address, len);
	return w.failed ? -ENOMEM : agent_link_send(c->link, AGENT_LOCAL, w.data, w.len);
}

/* Who connected sees a reset: its own kernel would have said that it was refused. */
static void local_reset(int fd)
{
	const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int container_local_connect(struct container *c, int fd, uint32_t port, const void *address,
			    size_t len)
{
	struct vsock_offer offer = { .read_fd = fd, .write_fd = fd, .closed = local_closed,
				     .data = c };
	uint32_t slot = 0;
	int r = -EAGAIN;

	while (slot < AGENT_LOCAL_CONNS_MAX && c->locals[slot] >= 0)
		slot++;
	offer.port = AGENT_PORT_LOCAL(slot);
	if (c->state == VMM_BOOTING || c->over)
		r = -ECONNREFUSED;
	else if (slot < AGENT_LOCAL_CONNS_MAX)
		r = vsock_offer_port(c->vs, &offer);
	if (r < 0) {
		local_reset(fd);
		close(fd);
		return r;
	}
	c->locals[slot] = fd;
	r = local_tell(c, offer.port, port, address, len);
	if (r < 0)
		container_local_failed(c, offer.port);
	return r;
}

void container_local_failed(struct container *c, uint32_t host_port)
{
	const uint32_t slot = host_port - AGENT_PORT_LOCAL(0);

	if (slot >= AGENT_LOCAL_CONNS_MAX || c->locals[slot] < 0)
		return; /* the guest's own affair */
	local_reset(c->locals[slot]);
	vsock_withdraw_port(c->vs, host_port);
	c->locals[slot] = -1;
}

void container_local_init(struct container *c)
{
	for (uint32_t slot = 0; slot < AGENT_LOCAL_CONNS_MAX; slot++)
		c->locals[slot] = -1;
}

void container_local_close(struct container *c)
{
	for (uint32_t slot = 0; slot < AGENT_LOCAL_CONNS_MAX; slot++)
		if (c->locals[slot] >= 0)
			container_local_failed(c, AGENT_PORT_LOCAL(slot));
}
