/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/msg.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static int msg_send_rest(int sock, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = send(sock, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

int msg_send(int sock, uint32_t type, const void *payload, size_t len, const int *fds, size_t nfds)
{
	struct msg_header hdr = { htole32(type), htole32((uint32_t)len) };
	char control[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)] = { 0 };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { (void *)payload, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	size_t sent;
	ssize_t n;
	int r;

	if (len > MSG_PAYLOAD_MAX || nfds > MSG_FDS_MAX)
		return -EMSGSIZE;
	if (nfds) {
		struct cmsghdr *c;

		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	sent = (size_t)n;
	if (sent < sizeof(hdr)) {
		r = msg_send_rest(sock, (char *)&hdr + sent, sizeof(hdr) - sent);
		if (r < 0)
			return r;
		sent = sizeof(hdr);
	}
	sent -= sizeof(hdr);
	return sent == len ? 0 : msg_send_rest(sock, (const char *)payload + sent, len - sent);
}

int msg_send_now(int sock, uint32_t type, const void *payload, size_t len)
{
	struct msg_header hdr = { htole32(type), htole32((uint32_t)len) };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { (void *)payload, len } };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };
	ssize_t n;

	if (len > MSG_NOW_MAX)
		return -EMSGSIZE;
	do {
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* A torn message would make nonsense of all that follow. */
	return (size_t)n == sizeof(hdr) + len ? 0 : -EIO;
}

/* Takes over every fd that came along, also the ones that are too many: those are closed. */
static int msg_collect_fds(struct msghdr *mh, struct msg *msg)
{
	int r = mh->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (msg->nfds < MSG_FDS_MAX) {
				msg->fds[msg->nfds++] = fd;
			} else {
				close(fd);
				r = -EPROTO;
			}
		}
	}
	return r;
}

static int msg_recv_header(int sock, struct msg_header *hdr, struct msg *msg)
{
	char control[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	struct iovec iov = { hdr, sizeof(*hdr) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n;
	int r;

	do {
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = msg_collect_fds(&mh, msg);
	if (r < 0)
		return r;
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(*hdr)) {
		r = fd_read_full(sock, (char *)hdr + n, sizeof(*hdr) - (size_t)n);
		if (r <= 0)
			return r ? r : -EPROTO;
	}
	return 1;
}

int msg_recv(int sock, struct msg *msg)
{
	struct msg_header hdr;
	int r;

	memset(msg, 0, sizeof(*msg));
	r = msg_recv_header(sock, &hdr, msg);
	if (r <= 0)
		goto fail;
	msg->type = le32toh(hdr.type);
	msg->len = le32toh(hdr.len);
	r = -EMSGSIZE;
	if (msg->len > MSG_PAYLOAD_MAX)
		goto fail;
	r = -ENOMEM;
	msg->payload = malloc((size_t)msg->len + 1);
	if (!msg->payload)
		goto fail;
	msg->payload[msg->len] = 0;
	r = msg->len ? fd_read_full(sock, msg->payload, msg->len) : 1;
	if (r == 1)
		return 1;
	r = r ? r : -EPROTO;
fail:
	msg_release(msg);
	return r;
}

void msg_release(struct msg *msg)
{
	for (size_t i = 0; i < msg->nfds; i++)
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
	free(msg->payload);
	memset(msg, 0, sizeof(*msg));
}

int msg_buffer_fill(struct msg_buffer *mb, int fd)
{
	ssize_t n;

	if (mb->size - mb->len < 4096) {
		size_t size = mb->size ? mb->size * 2 : 8192;
		char *grown;

		/* One message and one read may wait here; a peer cannot make it longer. */
		if (size > 4 * (size_t)MSG_PAYLOAD_MAX)
			return -EMSGSIZE;
		grown = realloc(mb->data, size);
		if (!grown)
			return -ENOMEM;
		mb->data = grown;
		mb->size = size;
	}
	do {
		n = read(fd, mb->data + mb->len, mb->size - mb->len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	mb->len += (size_t)n;
	return n ? 1 : 0;
}

int msg_buffer_next(struct msg_buffer *mb, struct msg *msg)
{
	struct msg_header hdr;
	size_t whole;

	memset(msg, 0, sizeof(*msg));
	if (mb->len < sizeof(hdr))
		return 0;
	memcpy(&hdr, mb->data, sizeof(hdr));
	msg->type = le32toh(hdr.type);
	msg->len = le32toh(hdr.len);
	if (msg->len > MSG_PAYLOAD_MAX)
		return -EMSGSIZE;
	whole = sizeof(hdr) + msg->len;
	if (mb->len < whole)
		return 0;
	msg->payload = malloc((size_t)msg->len + 1);
	if (!msg->payload)
		return -ENOMEM;
	memcpy(msg->payload, mb->data + sizeof(hdr), msg->len);
	msg->payload[msg->len] = 0;
	mb->len -= whole;
	memmove(mb->data, mb->data + whole, mb->len);
	return 1;
}

void msg_buffer_release(struct msg_buffer *mb)
{
	free(mb->data);
	memset(mb, 0, sizeof(*mb));
}
