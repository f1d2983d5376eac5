/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix sockets of the host's in the container. The agent asks for a connection; the worker
 * (krun-gpu-connect) makes it; a port of its own carries it, until both directions have ended. The
 * guest can ask as often as it likes: there is a fixed number of places, and a request is two numbers.
 * Connections to the engine's name server, which krun-gpu-net makes, are carried in the same way.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/connect_proto.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/wire.h"
#include "vmm/container_priv.h"

static void socket_tell(struct container *c, uint32_t connection, int code, uint32_t port)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, connection);
	wire_put_u32(&w, (uint32_t)code);
	wire_put_u32(&w, port);
	if (!w.failed)
		agent_link_send(c->link, AGENT_CONNECTED, w.data, w.len);
}

static void socket_closed(void *data, uint32_t port)
{
	struct container *c = data;

	c->sockets[port - AGENT_PORT_SOCKET(0)] = (struct container_socket){ 0 };
}

static int socket_ask(struct container *c, uint32_t slot, uint32_t number)
{
	const struct connect_request r = { .slot = htole32(slot), .socket = htole32(number) };

	if (number == AGENT_SOCKET_NAMES)
		return c->net.connect ? c->net.connect(c->net.data, slot) : -ECONNREFUSED;
	if (c->connect_fd < 0)
		return -EINVAL;
	if (send(c->connect_fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(r))
		return -errno;
	return 0;
}

void container_socket_connect(struct container *c, uint32_t connection, uint32_t number)
{
	uint32_t slot = 0;
	int r = -EAGAIN;

	while (slot < AGENT_SOCKET_CONNS_MAX && c->sockets[slot].used)
		slot++;
	if (slot < AGENT_SOCKET_CONNS_MAX)
		r = socket_ask(c, slot, number);
	if (r < 0)
		socket_tell(c, connection, -r, 0);
	else
		c->sockets[slot] = (struct container_socket){
			.used = true, .waiting = true, .dns = number == AGENT_SOCKET_NAMES,
			.connection = connection,
		};
}

/* An answer, which takes *fd. It is another process's: what that says is checked; -EPROTO. */
static int socket_answered(struct container *c, bool dns, uint32_t slot, uint32_t code, int *fd)
{
	struct container_socket *s = slot < AGENT_SOCKET_CONNS_MAX ? &c->sockets[slot] : NULL;
	struct vsock_offer offer = { .port = AGENT_PORT_SOCKET(slot), .read_fd = *fd,
				     .write_fd = *fd, .closed = socket_closed, .data = c };
	const uint32_t connection = s ? s->connection : 0;
	int r;

	if (!s || !s->waiting || s->dns != dns || code > 4095 || (code == 0) != (*fd >= 0))
		return -EPROTO;
	s->waiting = false;
	r = code ? -(int)code : vsock_offer_port(c->vs, &offer);
	if (r == 0)
		steal_fd(fd);
	else
		*s = (struct container_socket){ 0 };
	socket_tell(c, connection, -r, offer.port);
	return 0;
}

int container_dns_connected(struct container *c, uint32_t slot, uint32_t code, int fd)
{
	cleanup_close int own = fd;

	return socket_answered(c, true, slot, code, &own);
}

void container_socket_dns_lost(struct container *c)
{
	for (uint32_t slot = 0; slot < AGENT_SOCKET_CONNS_MAX; slot++) {
		const struct container_socket s = c->sockets[slot];

		if (!s.waiting || !s.dns)
			continue;
		c->sockets[slot] = (struct container_socket){ 0 };
		socket_tell(c, s.connection, EPIPE, 0);
	}
}

static void socket_on_answer(void *data, uint32_t events)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct container *c = data;
	struct connect_answer a;
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->connect_fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *m;
	cleanup_close int fd = -1;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	m = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;
	if (m && m->cmsg_level == SOL_SOCKET && m->cmsg_type == SCM_RIGHTS &&
	    m->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(m), sizeof(fd));
	if (n != sizeof(a) || (mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		container_fail(c, 0, "the worker for sockets has ended");
	else if (socket_answered(c, false, le32toh(a.slot), le32toh(a.code), &fd) < 0)
		container_fail(c, EPROTO, "the worker for sockets broke the protocol");
}

int container_socket_open(struct container *c, int fd, struct error **err)
{
	int r;

	c->connect_fd = fd;
	if (fd < 0)
		return 0;
	r = event_loop_add(c->loop, &c->connect_src, fd, EPOLLIN, socket_on_answer, c);
	return r < 0 ? error_set(err, -r, "cannot watch the worker for sockets") : 0;
}

void container_socket_close(struct container *c)
{
	for (uint32_t slot = 0; slot < AGENT_SOCKET_CONNS_MAX; slot++)
		if (c->sockets[slot].used)
			vsock_withdraw_port(c->vs, AGENT_PORT_SOCKET(slot));
	if (c->connect_fd < 0)
		return;
	event_loop_remove(c->loop, &c->connect_src);
	close(steal_fd(&c->connect_fd));
}
