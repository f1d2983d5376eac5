/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_local.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_control.h"
#include "guest-agent/agent_duplex.h"
#include "guest-agent/agent_host.h"
#include "guest-agent/agent_loop.h"

/** struct local_conn - @source until it is connected, then a duplex */
struct local_conn {
	struct local *owner;
	uint32_t host_port;
	struct loop_source source; /* its fd is owned; -1 once the duplex has it */
	struct duplex duplex;
	struct local_conn *next;
};

static void conn_free(void *data)
{
	struct local_conn *conn = data;
	struct local_conn **at = &conn->owner->conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	duplex_end(&conn->duplex);
	if (conn->source.fd >= 0) {
		loop_watch(conn->owner->loop, &conn->source, 0);
		close(conn->source.fd);
	}
	free(conn);
}

static void conn_fail(struct local_conn *conn, int code)
{
	control_send_local_failed(conn->owner->control, conn->host_port, (uint32_t)code);
	conn_free(conn);
}

static void conn_connected(struct local_conn *conn)
{
	cleanup_error struct error *err = NULL;
	struct agent_loop *loop = conn->owner->loop;
	const int host = host_connect(conn->host_port, &err);

	loop_watch(loop, &conn->source, 0);
	if (host < 0 || duplex_begin(&conn->duplex, loop, steal_fd(&conn->source.fd), host,
				     conn_free, conn, &err) < 0)
		conn_fail(conn, err->code ? err->code : EIO);
}

static void conn_ready(void *data, uint32_t events)
{
	struct local_conn *conn = data;
	socklen_t len = sizeof(int);
	int code = 0;

	(void)events;
	if (getsockopt(conn->source.fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code)
		conn_fail(conn, code);
	else
		conn_connected(conn);
}

/* A socket that is connecting, or -errno. */
static int begin(uint32_t port, const void *address, size_t len)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	const struct sockaddr *addr = (const struct sockaddr *)&in6;
	socklen_t size = sizeof(in6);
	cleanup_close int fd = -1;

	if (len == sizeof(in.sin_addr)) {
		memcpy(&in.sin_addr, address, len);
		addr = (const struct sockaddr *)&in;
		size = sizeof(in);
	} else if (len == sizeof(in6.sin6_addr)) {
		memcpy(&in6.sin6_addr, address, len);
	} else {
		return -EPROTO;
	}
	fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (connect(fd, addr, size) < 0 && errno != EINPROGRESS))
		return -errno;
	return steal_fd(&fd);
}

void local_connect(struct local *l, uint32_t host_port, uint32_t port, const void *address,
		   size_t len)
{
	struct local_conn *conn = calloc(1, sizeof(*conn));
	const int fd = conn ? begin(port, address, len) : -ENOMEM;
	int r;

	if (fd < 0) {
		free(conn);
		control_send_local_failed(l->control, host_port, (uint32_t)-fd);
		return;
	}
	*conn = (struct local_conn){ .owner = l, .host_port = host_port, .next = l->conns,
				     .source = { .fd = fd, .ready = conn_ready, .data = conn } };
	l->conns = conn;
	r = loop_watch(l->loop, &conn->source, EPOLLOUT);
	if (r < 0)
		conn_fail(conn, -r);
}
