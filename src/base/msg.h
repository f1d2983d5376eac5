/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Framed messages over a stream socket: a header of two little-endian 32-bit words (type, length)
 * and a payload. File descriptors travel as SCM_RIGHTS with the header's first byte. The same
 * framing, without fds, is spoken over vsock. A peer may be hostile: lengths and fd counts are
 * bounded, and unexpected fds are closed.
 */

#define MSG_PAYLOAD_MAX (8u << 20)
#define MSG_FDS_MAX 64

struct msg_header {
	uint32_t type;
	uint32_t len;
};

/**
 * struct msg - one received message
 * @payload: malloc'ed, owned; a NUL stands behind its last byte
 * @fds:     owned; close-on-exec. steal_fd() the ones that are kept.
 */
struct msg {
	uint32_t type;
	uint32_t len;
	char *payload;
	int fds[MSG_FDS_MAX];
	size_t nfds;
};

/** msg_send() - send a whole message on a blocking socket; 0 or -errno (never SIGPIPE) */
int msg_send(int sock, uint32_t type, const void *payload, size_t len, const int *fds, size_t nfds);

/* What one buffer of a unix stream socket's holds, whose bytes are sent together or not at all. */
#define MSG_NOW_MAX 8192

/**
 * msg_send_now() - send a whole message if that does not wait, blocking socket or not
 * @len: at most MSG_NOW_MAX
 *
 * Return: 0; -EAGAIN when the peer does not read, and nothing was sent; another -errno.
 */
int msg_send_now(int sock, uint32_t type, const void *payload, size_t len);

/**
 * msg_recv() - receive a whole message on a blocking socket
 *
 * Return: 1 with @msg filled, 0 when the peer closed before a message began, -errno otherwise:
 * -EMSGSIZE for a longer payload than MSG_PAYLOAD_MAX, -EPROTO for a torn one or too many fds.
 */
int msg_recv(int sock, struct msg *msg);

/** msg_release() - free the payload and close the fds that were not stolen */
void msg_release(struct msg *msg);

/** struct msg_buffer - incremental parser for a non-blocking stream without fds; zero to begin */
struct msg_buffer {
	char *data; /* owned */
	size_t len;
	size_t size;
};

/**
 * msg_buffer_fill() - read what a non-blocking fd has
 *
 * Return: 1 when something was read, 0 at end of file, -EAGAIN, or another -errno.
 */
int msg_buffer_fill(struct msg_buffer *mb, int fd);

/**
 * msg_buffer_next() - take the next whole message out of the buffer
 *
 * Return: 1 with @msg filled (release it), 0 when none is complete, -EMSGSIZE or -ENOMEM.
 */
int msg_buffer_next(struct msg_buffer *mb, struct msg *msg);

void msg_buffer_release(struct msg_buffer *mb);

#define cleanup_msg __attribute__((cleanup(msg_release)))

#endif
