/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/virtio/vhost_user_link.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

void vhost_user_link_init(struct vhost_user_link *link, int sock, int timeout_ms,
			  vhost_user_serve_fn serve, void *data)
{
	*link = (struct vhost_user_link){ .sock = sock, .backend_sock = -1, .in_fd = -1,
					  .timeout_ms = timeout_ms, .serve = serve, .data = data };
}

void vhost_user_link_close(struct vhost_user_link *link)
{
	int *fds[] = { &link->sock, &link->backend_sock, &link->in_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait until the main socket is ready for @events; serve the back end meanwhile. */
static int link_wait(struct vhost_user_link *link, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = link->sock, .events = events },
				       { .fd = link->backend_sock, .events = POLLIN } };
		int64_t left = deadline - now_ms();
		int r = poll(p, 2, left > 0 ? (int)left : 0);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
		if (r > 0 && p[1].revents) {
			r = vhost_user_link_serve(link);
			if (r < 0)
				return r;
		}
		if (r >= 0 && p[0].revents)
			return 0;
		if (now_ms() >= deadline)
			return -ETIMEDOUT;
	}
}

/* Attach @fds to a message; @control has room for VHOST_USER_MAX_REGIONS of them. */
static void attach_fds(struct msghdr *mh, char *control, const int *fds, size_t nfds)
{
	struct cmsghdr *c;

	if (!nfds)
		return;
	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
}

static int link_send(struct vhost_user_link *link, const struct vhost_user_header *header,
		     const void *payload, const int *fds, size_t nfds, int64_t deadline)
{
	char control[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_REGIONS)] = { 0 };
	char message[sizeof(*header) + sizeof(struct vhost_user_memory)];
	size_t len = sizeof(*header) + header->size, sent = 0;

	if (len > sizeof(message) || nfds > VHOST_USER_MAX_REGIONS)
		return -EMSGSIZE;
	memcpy(message, header, sizeof(*header));
	if (header->size)
		memcpy(message + sizeof(*header), payload, header->size);
	while (sent < len) {
		struct iovec iov = { message + sent, len - sent };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;
		int r;

		attach_fds(&mh, control, fds, sent ? 0 : nfds);
		n = sendmsg(link->sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			sent += (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return errno == ECONNRESET ? -EPIPE : -errno;
		r = link_wait(link, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Receive what is there, up to @len bytes. @fd may be NULL when none may come; more fds than
 * expected are closed and answered with -EPROTO. 0 at the end of the stream.
 */
static ssize_t receive(int sock, void *buf, size_t len, int *fd)
{
	char control[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_REGIONS)];
	struct iovec iov = { buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool surplus;

	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	surplus = mh.msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c; c = CMSG_NXTHDR(&mh, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int got;

			memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
			if (fd && *fd < 0) {
				*fd = got;
			} else {
				close(got);
				surplus = true;
			}
		}
	}
	return surplus ? -EPROTO : n;
}

static int link_receive(struct vhost_user_link *link, void *buf, size_t len, int64_t deadline)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n;
		int r = link_wait(link, POLLIN, deadline);

		if (r < 0)
			return r;
		n = receive(link->sock, (char *)buf + got, len - got, NULL);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && n != -EAGAIN && n != -EINTR)
			return (int)n;
		if (n > 0)
			got += (size_t)n;
	}
	return 0;
}

static int link_receive_reply(struct vhost_user_link *link, uint32_t request, void *reply,
			      uint32_t size, int64_t deadline)
{
	struct vhost_user_header header;
	int r = link_receive(link, &header, sizeof(header), deadline);

	if (r < 0)
		return r;
	if (header.request != request || header.size != size ||
	    (header.flags & VHOST_USER_FLAG_VERSION_MASK) != VHOST_USER_VERSION ||
	    !(header.flags & VHOST_USER_FLAG_REPLY))
		return -EPROTO;
	return link_receive(link, reply, size, deadline);
}

int vhost_user_link_request(struct vhost_user_link *link, uint32_t request, const void *payload,
			    uint32_t size, const int *fds, size_t nfds)
{
	const bool ack = link->protocol_features & 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK;
	const struct vhost_user_header header = {
		.request = request,
		.flags = VHOST_USER_VERSION | (ack ? VHOST_USER_FLAG_NEED_REPLY : 0),
		.size = size,
	};
	const int64_t deadline = now_ms() + link->timeout_ms;
	uint64_t status = 0;
	int r = link_send(link, &header, payload, fds, nfds, deadline);

	if (r == 0 && ack)
		r = link_receive_reply(link, request, &status, sizeof(status), deadline);
	if (r < 0)
		return r;
	return status ? -EREMOTEIO : 0;
}

int vhost_user_link_query(struct vhost_user_link *link, uint32_t request, const void *payload,
			  uint32_t size, void *reply, uint32_t reply_size)
{
	const struct vhost_user_header header = { .request = request, .flags = VHOST_USER_VERSION,
						  .size = size };
	const int64_t deadline = now_ms() + link->timeout_ms;
	int r = link_send(link, &header, payload, NULL, 0, deadline);

	return r < 0 ? r : link_receive_reply(link, request, reply, reply_size, deadline);
}

int vhost_user_link_u64(struct vhost_user_link *link, uint32_t request, uint64_t *value)
{
	return vhost_user_link_query(link, request, NULL, 0, value, sizeof(*value));
}

/* A whole request of the back end's lies in link->in. */
static int link_serve_request(struct vhost_user_link *link)
{
	const struct vhost_user_header *in = &link->in.header;
	cleanup_close int fd = steal_fd(&link->in_fd);
	struct {
		struct vhost_user_header header;
		uint64_t status;
	} __attribute__((packed)) out = {
		.header = { .request = in->request, .size = sizeof(out.status),
			    .flags = VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY },
	};
	int r;

	link->in_len = 0;
	if ((in->request == VHOST_USER_BACKEND_SHMEM_MAP) != (fd >= 0))
		return -EPROTO;
	r = link->serve(link->data, in->request, &link->in.mmap, fd);
	out.status = r < 0 ? (uint64_t)-r : 0;
	if (!(in->flags & VHOST_USER_FLAG_NEED_REPLY))
		return 0;
	/* The channel is empty but for this answer: when it does not fit, nobody reads. */
	if (send(link->backend_sock, &out, sizeof(out), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(out))
		return -EPIPE;
	return 0;
}

static int link_check_request(const struct vhost_user_header *in)
{
	if ((in->flags & VHOST_USER_FLAG_VERSION_MASK) != VHOST_USER_VERSION ||
	    (in->flags & VHOST_USER_FLAG_REPLY) || in->size != sizeof(struct vhost_user_mmap))
		return -EPROTO;
	switch (in->request) {
	case VHOST_USER_BACKEND_SHMEM_MAP:
	case VHOST_USER_BACKEND_SHMEM_UNMAP:
		return 0;
	default:
		return -EPROTO;
	}
}

int vhost_user_link_serve(struct vhost_user_link *link)
{
	const size_t header_len = sizeof(link->in.header);
	ssize_t n;
	int r = 0;

	/* First the header alone, so that a request's fd is not taken for the one before it. */
	if (link->in_len < header_len)
		n = receive(link->backend_sock, (char *)&link->in.header + link->in_len,
			    header_len - link->in_len, &link->in_fd);
	else
		n = receive(link->backend_sock, (char *)&link->in.mmap + (link->in_len - header_len),
			    header_len + sizeof(link->in.mmap) - link->in_len, NULL);
	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return n ? (int)n : -EPIPE;
	link->in_len += (size_t)n;
	if (link->in_len == header_len)
		r = link_check_request(&link->in.header);
	else if (link->in_len == header_len + sizeof(link->in.mmap))
		r = link_serve_request(link);
	return r;
}

int vhost_user_link_check(struct vhost_user_link *link)
{
	char byte;
	ssize_t n = recv(link->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return n > 0 ? -EPROTO : -EPIPE;
}
