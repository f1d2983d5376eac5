/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/vhu_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

void vhu_msg_release(struct vhu_msg *msg)
{
	for (size_t i = 0; i < msg->nfds; i++)
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
	msg->nfds = 0;
}

/* Takes the fds out of the control data; those beyond what fits were closed by the kernel. */
static void vhu_msg_take_fds(struct vhu_msg *msg, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (msg->nfds < VHU_MAX_FDS)
				msg->fds[msg->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static int vhu_msg_recv_header(int sock, struct vhu_msg *msg)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VHU_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { &msg->hdr, sizeof(msg->hdr) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = control.buf, .msg_controllen = sizeof(control.buf) };
	ssize_t n;

	do {
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	vhu_msg_take_fds(msg, &mh);
	if (n == 0)
		return 0;
	if ((size_t)n != sizeof(msg->hdr) || (mh.msg_flags & MSG_CTRUNC))
		return -EPROTO;
	return 1;
}

int vhu_msg_recv(int sock, struct vhu_msg *msg)
{
	int r;

	msg->nfds = 0;
	memset(&msg->payload, 0, sizeof(msg->payload));
	r = vhu_msg_recv_header(sock, msg);
	if (r == 1 && ((msg->hdr.flags & VHOST_USER_FLAG_VERSION_MASK) != VHOST_USER_VERSION ||
		       msg->hdr.size > sizeof(msg->payload)))
		r = -EPROTO;
	if (r == 1 && msg->hdr.size) {
		r = fd_read_full(sock, &msg->payload, msg->hdr.size);
		if (r == 0)
			r = -EPROTO;
	}
	if (r != 1)
		vhu_msg_release(msg);
	return r;
}

int vhu_msg_send(int sock, const struct vhu_msg *msg, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov[2] = {
		{ (void *)&msg->hdr, sizeof(msg->hdr) },
		{ (void *)&msg->payload, msg->hdr.size },
	};
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	const size_t total = sizeof(msg->hdr) + msg->hdr.size;
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		mh.msg_control = control.buf;
		mh.msg_controllen = sizeof(control.buf);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* A message is far smaller than a socket buffer: a blocking socket takes it whole. */
	return (size_t)n == total ? 0 : -EPIPE;
}
