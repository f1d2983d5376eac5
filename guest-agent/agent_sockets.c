/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "guest-agent/agent_control.h"
#include "guest-agent/agent_duplex.h"
#include "guest-agent/agent_host.h"
#include "guest-agent/agent_userns.h"

/* Fewer than the host has places for, so that it never has to refuse one. */
#define CONNS_MAX (AGENT_SOCKET_CONNS_MAX - 4)

struct socket_listener {
	struct sockets *owner;
	uint32_t number; /* the host's, as AGENT_CONNECT has it */
	struct loop_source source;
};

/** struct socket_conn - @fd until the host has answered, then a duplex */
struct socket_conn {
	struct sockets *owner;
	uint32_t number;
	int fd; /* owned; -1 once the duplex has it */
	struct duplex duplex;
	struct socket_conn *next;
};

/* At the limit nobody is let in: who connects waits in the listener's queue. */
static void sockets_watch(struct sockets *s)
{
	for (size_t i = 0; i < s->num_listeners; i++)
		loop_watch(s->loop, &s->listeners[i].source,
			   s->num_conns < CONNS_MAX ? EPOLLIN : 0);
}

static void conn_free(void *data)
{
	struct socket_conn *conn = data;
	struct sockets *s = conn->owner;
	struct socket_conn **at = &s->conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	s->num_conns--;
	duplex_end(&conn->duplex);
	if (conn->fd >= 0)
		close(conn->fd);
	free(conn);
	sockets_watch(s);
}

static void listener_ready(void *data, uint32_t events)
{
	struct socket_listener *l = data;
	struct sockets *s = l->owner;
	cleanup_close int fd = accept4(l->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct socket_conn *conn = fd < 0 ? NULL : calloc(1, sizeof(*conn));

	(void)events;
	if (!conn)
		return;
	*conn = (struct socket_conn){ .owner = s, .number = s->next++, .fd = steal_fd(&fd),
				      .next = s->conns };
	s->conns = conn;
	s->num_conns++;
	sockets_watch(s);
	control_send_connect(s->control, conn->number, l->number);
}

static int conn_begin(struct socket_conn *conn, uint32_t port, struct error **err)
{
	const int host = host_connect(port, err);

	if (host < 0)
		return -1;
	return duplex_begin(&conn->duplex, conn->owner->loop, steal_fd(&conn->fd), host, conn_free,
			    conn, err);
}

void sockets_connected(struct sockets *s, uint32_t connection, uint32_t code, uint32_t port)
{
	cleanup_error struct error *err = NULL;
	struct socket_conn *conn = s->conns;

	while (conn && conn->number != connection)
		conn = conn->next;
	if (!conn || conn->fd < 0)
		return;
	if (code)
		error_set(&err, (int)code, "connect to a socket of the host's");
	else
		conn_begin(conn, port, &err);
	if (!err)
		return;
	/* Who connected sees its connection end. */
	log_warning("%s", error_msg(err));
	conn_free(conn);
}

static int listener_open(const struct agent_container *c, const struct agent_mount *m,
			 struct error **err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unsigned int mode, uid, gid;

	if (sscanf(m->data, "mode=%o,uid=%u,gid=%u", &mode, &uid, &gid) != 3 ||
	    m->source[strspn(m->source, "0123456789")] || strlen(m->source) > 3)
		return error_set(err, EINVAL, "socket `%s` with `%s`", m->source, m->data);
	snprintf(addr.sun_path, sizeof(addr.sun_path), SOCKETS_DIR "/%s", m->source);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 128) < 0)
		return error_set(err, errno, "listen on %s in the guest", addr.sun_path);
	if (c->namespaces & CLONE_NEWUSER) {
		uid = userns_outside(&c->uids, uid);
		gid = userns_outside(&c->gids, gid);
	}
	if (chown(addr.sun_path, uid, gid) < 0 || chmod(addr.sun_path, mode & 0777) < 0)
		return error_set(err, errno, "set the owner and mode of %s", addr.sun_path);
	return steal_fd(&fd);
}

void sockets_add(struct sockets *s, int fd, uint32_t number)
{
	struct socket_listener *l = &s->listeners[s->num_listeners++];

	*l = (struct socket_listener){ .owner = s, .number = number,
				       .source = { .fd = fd, .ready = listener_ready, .data = l } };
	sockets_watch(s);
}

int sockets_listen(struct sockets *s, const struct agent_container *c, struct error **err)
{
	/* One more for who adds another. */
	s->listeners = calloc(c->num_mounts + 1, sizeof(*s->listeners));
	if (!s->listeners)
		return error_set(err, ENOMEM, "sockets");
	for (size_t i = 0; i < c->num_mounts; i++) {
		int fd;

		if (c->mounts[i].kind != AGENT_MOUNT_SOCKET)
			continue;
		if (!s->num_listeners && mkdir(SOCKETS_DIR, 0755) < 0)
			return error_set(err, errno, "make " SOCKETS_DIR " in the guest");
		fd = listener_open(c, &c->mounts[i], err);
		if (fd < 0)
			return -1;
		sockets_add(s, fd, (uint32_t)atoi(c->mounts[i].source));
	}
	return 0;
}
