/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

/*
 * The container's control socket (base/vmm_proto.h): accepts later command lines, parses their
 * requests, and carries the answers. No peer can block the event loop: one that does not read its
 * answers is disconnected.
 */

#include <stddef.h>
#include <stdint.h>

struct control;
struct control_conn;
struct error;
struct event_loop;
struct msg;

#define CONTROL_MAX_CONNS 64

struct control_ops {
	/*
	 * A whole message came. Steal the fds that are kept; the rest is closed afterwards. The
	 * connection may be closed from here.
	 */
	void (*request)(void *data, struct control_conn *conn, struct msg *msg);
	/* The peer has gone or was disconnected: @conn is invalid after this call. */
	void (*gone)(void *data, struct control_conn *conn);
};

/** control_create() - @listen_fd: listening stream socket, owned from now on; @ops borrowed */
struct control *control_create(struct event_loop *loop, int listen_fd,
			       const struct control_ops *ops, void *data, struct error **err);
void control_free(struct control *ctl);

/** control_send() - answer; a peer that cannot take it now is disconnected after this callback */
void control_send(struct control_conn *conn, uint32_t type, const void *payload, size_t len);
void control_send_ok(struct control_conn *conn);
/** control_send_error() - VMM_ERROR with @code (errno or 0) and @text */
void control_send_error(struct control_conn *conn, int code, const char *text);

/** control_conn_set_user() - a pointer of the caller's, NULL at first */
void control_conn_set_user(struct control_conn *conn, void *user);
void *control_conn_user(const struct control_conn *conn);

#endif
