/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: every connection has a parser for what has come so far and the fds that
 * came with it. Answers are small and sent at once; a peer whose socket is full has not read any
 * of its answers and is disconnected. A connection is freed only from the event loop's own
 * callbacks (never inside control_send()), so that a caller may go on using it until it returns.
 */
#include "vmm/control.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "vmm/event_loop.h"

/* Memory for a message is taken as its bytes come, not as its header promises. */
#define CONTROL_PIECE ((size_t)64 << 10)

struct control_conn {
	struct control *ctl;
	int sock; /* owned; -1: the place is free */
	struct event_source src;
	struct msg_buffer in;
	int fds[MSG_FDS_MAX]; /* owned: came with the message that is still incomplete */
	size_t nfds;
	bool broken; /* to be closed: shutdown() has woken the event loop */
	void *user;
};

struct control {
	struct event_loop *loop; /* borrowed */
	const struct control_ops *ops;
	void *data;
	int listen_fd; /* owned */
	uid_t uid;     /* whose requests are served, beside root's */
	struct event_source listen_src;
	struct control_conn conns[CONTROL_MAX_CONNS];
};

static void control_conn_close(struct control_conn *conn)
{
	struct control *ctl = conn->ctl;

	event_loop_remove(ctl->loop, &conn->src);
	for (size_t i = 0; i < conn->nfds; i++)
		close(conn->fds[i]);
	close(conn->sock);
	msg_buffer_release(&conn->in);
	*conn = (struct control_conn){ .ctl = ctl, .sock = -1 };
}

static void control_conn_drop(struct control_conn *conn)
{
	conn->ctl->ops->gone(conn->ctl->data, conn);
	control_conn_close(conn);
}

/* Take over the fds of a received message; false when they are too many. */
static bool control_take_fds(struct control_conn *conn, struct msghdr *mh)
{
	bool good = !(mh->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (conn->nfds < MSG_FDS_MAX) {
				conn->fds[conn->nfds++] = fd;
			} else {
				close(fd);
				good = false;
			}
		}
	}
	return good;
}

/* How much of the message being received is missing: header first, then the whole. */
static int control_missing(const struct control_conn *conn, size_t *missing)
{
	struct msg_header header = { 0 };

	if (conn->in.len < sizeof(header)) {
		*missing = sizeof(header) - conn->in.len;
		return 0;
	}
	memcpy(&header, conn->in.data, sizeof(header));
	if (le32toh(header.len) > MSG_PAYLOAD_MAX)
		return -EMSGSIZE;
	*missing = sizeof(header) + le32toh(header.len) - conn->in.len;
	return 0;
}

/*
 * Receive more of the present message and nothing of the next one, so that fds are never taken for
 * those of another. 1 when something came, 0 at the end, -errno.
 */
static int control_receive(struct control_conn *conn, size_t missing)
{
	char control[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n;

	if (conn->in.size - conn->in.len < missing) {
		char *grown = realloc(conn->in.data, conn->in.len + missing);

		if (!grown)
			return -ENOMEM;
		conn->in.data = grown;
		conn->in.size = conn->in.len + missing;
	}
	iov = (struct iovec){ conn->in.data + conn->in.len, missing };
	n = recvmsg(conn->sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (!control_take_fds(conn, &mh))
		return -EPROTO;
	conn->in.len += (size_t)n;
	return n ? 1 : 0;
}

/* A whole message has come. */
static int control_deliver(struct control_conn *conn)
{
	cleanup_msg struct msg msg = { 0 };
	int r = msg_buffer_next(&conn->in, &msg);

	if (r <= 0)
		return r;
	memcpy(msg.fds, conn->fds, sizeof(msg.fds));
	msg.nfds = conn->nfds;
	conn->nfds = 0;
	conn->ctl->ops->request(conn->ctl->data, conn, &msg);
	return 1;
}

/* One step: a piece of a message, or the whole that it completes. */
static int control_advance(struct control_conn *conn)
{
	size_t missing;
	int r = conn->broken ? -EPIPE : control_missing(conn, &missing);

	if (r == 0)
		r = control_receive(conn, missing < CONTROL_PIECE ? missing : CONTROL_PIECE);
	if (r <= 0)
		return r ? r : -EPIPE;
	r = control_missing(conn, &missing);
	if (r == 0 && !missing)
		r = control_deliver(conn);
	return r < 0 || !conn->broken ? r : -EPIPE;
}

static void control_conn_on_ready(void *data, uint32_t events)
{
	struct control_conn *conn = data;
	int r = control_advance(conn);

	(void)events;
	if (r < 0 && r != -EAGAIN)
		control_conn_drop(conn);
}

/* Requests come from the container's owner and from root only, whatever the socket's mode is. */
static bool control_peer_allowed(const struct control *ctl, int sock)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == 0 || cred.uid == ctl->uid;
}

static void control_on_listen(void *data, uint32_t events)
{
	struct control *ctl = data;
	cleanup_close int sock = accept4(ctl->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct control_conn *conn = NULL;

	(void)events;
	if (sock < 0)
		return;
	if (!control_peer_allowed(ctl, sock)) {
		log_warning("control socket: a connection of another user is refused");
		return;
	}
	for (size_t i = 0; i < CONTROL_MAX_CONNS && !conn; i++)
		if (ctl->conns[i].sock < 0)
			conn = &ctl->conns[i];
	if (!conn) {
		log_warning("control socket: more than %d connections: one is refused",
			    CONTROL_MAX_CONNS);
		return;
	}
	if (event_loop_add(ctl->loop, &conn->src, sock, EPOLLIN, control_conn_on_ready, conn) < 0)
		return;
	conn->sock = steal_fd(&sock);
}

void control_send(struct control_conn *conn, uint32_t type, const void *payload, size_t len)
{
	const struct msg_header header = { htole32(type), htole32((uint32_t)len) };
	struct iovec iov[2] = { { (void *)&header, sizeof(header) }, { (void *)payload, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n;

	if (conn->broken)
		return;
	do
		n = sendmsg(conn->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)(sizeof(header) + len))
		return;
	conn->broken = true;
	shutdown(conn->sock, SHUT_RDWR);
}

void control_send_ok(struct control_conn *conn)
{
	control_send(conn, VMM_OK, NULL, 0);
}

void control_send_error(struct control_conn *conn, int code, const char *text)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, (uint32_t)code);
	wire_put_str(&w, text);
	if (!w.failed)
		control_send(conn, VMM_ERROR, w.data, w.len);
}

void control_conn_set_user(struct control_conn *conn, void *user)
{
	conn->user = user;
}

void *control_conn_user(const struct control_conn *conn)
{
	return conn->user;
}

struct control *control_create(struct event_loop *loop, int listen_fd,
			       const struct control_ops *ops, void *data, struct error **err)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	int r;

	if (!ctl) {
		close(listen_fd);
		error_set(err, ENOMEM, "control socket");
		return NULL;
	}
	ctl->loop = loop;
	ctl->ops = ops;
	ctl->data = data;
	ctl->listen_fd = listen_fd;
	ctl->uid = geteuid();
	for (size_t i = 0; i < CONTROL_MAX_CONNS; i++)
		ctl->conns[i] = (struct control_conn){ .ctl = ctl, .sock = -1 };
	r = fd_set_nonblock(listen_fd, true);
	if (r == 0)
		r = event_loop_add(loop, &ctl->listen_src, listen_fd, EPOLLIN, control_on_listen,
				   ctl);
	if (r < 0) {
		error_set(err, -r, "control socket");
		control_free(ctl);
		return NULL;
	}
	return ctl;
}

void control_free(struct control *ctl)
{
	if (!ctl)
		return;
	for (size_t i = 0; i < CONTROL_MAX_CONNS; i++)
		if (ctl->conns[i].sock >= 0)
			control_conn_close(&ctl->conns[i]);
	event_loop_remove(ctl->loop, &ctl->listen_src);
	close(ctl->listen_fd);
	free(ctl);
}
