/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"

/* The kernel fills buffers of up to 32 KiB when it dumps. */
#define NETLINK_BUFFER 32768
/* The kernel answers at once; a lost answer must not hang a container's start. */
#define NETLINK_TIMEOUT_S 10
#define NETLINK_BATCH_MAX 8

int netlink_open(struct netlink *nl, struct error **err)
{
	return netlink_open_protocol(nl, NETLINK_ROUTE, err);
}

int netlink_open_protocol(struct netlink *nl, int protocol, struct error **err)
{
	const struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	const struct timeval limit = { .tv_sec = NETLINK_TIMEOUT_S };
	const int one = 1;

	*nl = (struct netlink){ .fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol) };
	if (nl->fd >= 0 && bind(nl->fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0) {
		/* Filters in the kernel's dumps; without it there is more to skip. */
		setsockopt(nl->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
		return 0;
	}
	error_set(err, errno, "cannot open a netlink socket");
	netlink_close(nl);
	return -1;
}

void netlink_close(struct netlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

/* Room for @len more bytes, zeroed; NULL when there is none. */
static void *request_grow(struct netlink_request *req, size_t len)
{
	const size_t at = NLMSG_ALIGN(req->header.nlmsg_len);
	char *p = req->data + at;

	if (req->failed || len > sizeof(req->data) || at > sizeof(req->data) - NLMSG_ALIGN(len)) {
		req->failed = true;
		return NULL;
	}
	memset(p, 0, NLMSG_ALIGN(len));
	req->header.nlmsg_len = (uint32_t)(at + len);
	return p;
}

void netlink_begin(struct netlink_request *req, uint16_t type, uint16_t flags, const void *body,
		   size_t len)
{
	void *p;

	req->failed = false;
	req->header = (struct nlmsghdr){
		.nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
	};
	p = request_grow(req, len);
	if (p)
		memcpy(p, body, len);
}

void netlink_put(struct netlink_request *req, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = request_grow(req, len < UINT16_MAX - 4 ? RTA_LENGTH(len) : SIZE_MAX);

	if (!a)
		return;
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
}

void netlink_put_u8(struct netlink_request *req, uint16_t type, uint8_t v)
{
	netlink_put(req, type, &v, sizeof(v));
}

void netlink_put_u32(struct netlink_request *req, uint16_t type, uint32_t v)
{
	netlink_put(req, type, &v, sizeof(v));
}

void netlink_put_str(struct netlink_request *req, uint16_t type, const char *s)
{
	netlink_put(req, type, s, strlen(s) + 1);
}

size_t netlink_nest(struct netlink_request *req, uint16_t type)
{
	const size_t at = NLMSG_ALIGN(req->header.nlmsg_len);

	netlink_put(req, type, NULL, 0);
	return at;
}

void netlink_nest_end(struct netlink_request *req, size_t nest)
{
	struct rtattr *a = (struct rtattr *)(req->data + nest);

	if (!req->failed)
		a->rta_len = (unsigned short)(req->header.nlmsg_len - nest);
}

static int request_send(struct netlink *nl, struct netlink_request *req)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (req->failed)
		return -E2BIG;
	req->header.nlmsg_seq = ++nl->seq;
	if (sendto(nl->fd, req, req->header.nlmsg_len, 0, (const struct sockaddr *)&kernel,
		   sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

/* One datagram of the kernel's. Nobody else can send to this socket and be taken for it. */
static ssize_t receive(struct netlink *nl, char *buf, size_t size)
{
	struct sockaddr_nl from;
	socklen_t len = sizeof(from);
	ssize_t n;

	do {
		n = recvfrom(nl->fd, buf, size, MSG_TRUNC, (struct sockaddr *)&from, &len);
		if (n < 0 && errno == EAGAIN)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if ((size_t)(n < 0 ? 0 : n) > size)
			return -EMSGSIZE;
	} while (n < 0 || from.nl_pid != 0);
	return n;
}

static int error_of(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = NLMSG_DATA(h);

	return h->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) ? -EPROTO : e->error;
}

/* The messages of one datagram. 1: more is to come; 0: that was all; -errno. */
static int take_messages(struct netlink *nl, const char *buf, size_t len, netlink_fn fn, void *data)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;

	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		int r = 0;

		if (h->nlmsg_seq != nl->seq)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			return -EINTR;
		if (h->nlmsg_type == NLMSG_ERROR)
			return error_of(h);
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (fn)
			r = fn(data, h);
		if (r < 0)
			return r;
	}
	return 1;
}

static int exchange(struct netlink *nl, struct netlink_request *req, netlink_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_BUFFER];
	int r = request_send(nl, req);

	if (r < 0)
		return r;
	do {
		ssize_t n = receive(nl, buf, sizeof(buf));

		r = n < 0 ? (int)n : take_messages(nl, buf, (size_t)n, fn, data);
	} while (r > 0);
	return r;
}

int netlink_do(struct netlink *nl, struct netlink_request *req)
{
	req->header.nlmsg_flags |= NLM_F_ACK;
	return exchange(nl, req, NULL, NULL);
}

/* The first answer decides: an error of any of them comes before the one acknowledgement. */
static int batch_answer(struct netlink *nl, uint32_t first)
{
	_Alignas(struct nlmsghdr) char buf[NETLINK_BUFFER];

	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
		const ssize_t n = receive(nl, buf, sizeof(buf));
		size_t len = n < 0 ? 0 : (size_t)n;

		if (n < 0)
			return (int)n;
		for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_seq - first < nl->seq - first)
				return error_of(h);
	}
}

int netlink_batch(struct netlink *nl, struct netlink_request *reqs, size_t count)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const uint32_t first = nl->seq + 1;
	struct iovec iov[NETLINK_BATCH_MAX];
	struct msghdr mh = { .msg_name = (void *)&kernel, .msg_namelen = sizeof(kernel),
			     .msg_iov = iov, .msg_iovlen = count };

	if (count < 2 || count > NETLINK_BATCH_MAX)
		return -EINVAL;
	reqs[count - 2].header.nlmsg_flags |= NLM_F_ACK;
	for (size_t i = 0; i < count; i++) {
		if (reqs[i].failed)
			return -E2BIG;
		reqs[i].header.nlmsg_seq = ++nl->seq;
		/* Requests are filled up to where the next one begins. */
		iov[i] = (struct iovec){ reqs[i].data, NLMSG_ALIGN(reqs[i].header.nlmsg_len) };
	}
	return sendmsg(nl->fd, &mh, 0) < 0 ? -errno : batch_answer(nl, first);
}

int netlink_dump(struct netlink *nl, struct netlink_request *req, netlink_fn fn, void *data)
{
	req->header.nlmsg_flags |= NLM_F_DUMP;
	return exchange(nl, req, fn, data);
}

void netlink_attrs(const struct nlmsghdr *h, size_t body, const struct rtattr **tb, size_t max)
{
	const size_t begin = NLMSG_LENGTH(NLMSG_ALIGN(body));
	const struct rtattr *a = (const struct rtattr *)((const char *)h + begin);
	size_t left = h->nlmsg_len > begin ? h->nlmsg_len - begin : 0;

	memset(tb, 0, max * sizeof(*tb));
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		const unsigned int type = a->rta_type & NLA_TYPE_MASK;

		if (type < max)
			tb[type] = a;
	}
}

uint32_t netlink_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	if (a && RTA_PAYLOAD(a) >= sizeof(v))
		memcpy(&v, RTA_DATA(a), sizeof(v));
	return v;
}

const char *netlink_str(const struct rtattr *a)
{
	const char *s = a ? RTA_DATA(a) : NULL;

	return s && memchr(s, '\0', RTA_PAYLOAD(a)) ? s : NULL;
}
