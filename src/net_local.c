/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Part of krun-gpu-net.
 *
 * Theory of operation: nf_tables redirects such connections to a listener of ours on the loopback
 * interface. It asks for the address that was meant, and tries that with a socket that is not
 * redirected, first: loopback answers at once. Where somebody listens in the namespace, bytes are
 * relayed by a process of its own, for this is rare; else the guest gets the connection.
 */
#include "net_local.h"

#include <netinet/in.h> /* before the kernel's */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_nft.h"

/* Of sockets that nf_tables leaves alone; it means nothing outside of the namespace. */
#define MARK 0x6b67u
/* Loopback answers at once, but for a listener whose queue is full: it is there all the same. */
#define PATIENCE_MS 50
#define RELAY_BUFFER 65536

static const int families[NET_LOCAL_FAMILIES] = { AF_INET, AF_INET6 };

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address_size(int family)
{
	return family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* On any port of the loopback address; -errno. */
static int listen_at(int family, uint16_t *port)
{
	union address a = { 0 };
	socklen_t len = address_size(family);
	const int one = 1;
	cleanup_close int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	a.sa.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.in6.sin6_addr = in6addr_loopback;
	if (fd < 0)
		return -errno;
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &a.sa, len) < 0 || listen(fd, 128) < 0 || getsockname(fd, &a.sa, &len) < 0)
		return -errno;
	*port = ntohs(family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
	return steal_fd(&fd);
}

void net_local_open(struct net_local *l)
{
	cleanup_error struct error *err = NULL;

	*l = (struct net_local){ .nft.fd = -1, .listeners = { -1, -1 } };
	if (netlink_open_protocol(&l->nft, NETLINK_NETFILTER, &err) < 0) {
		log_info("connections from within the network namespace do not reach the guest: %s",
			 error_msg(err));
		return;
	}
	for (unsigned int i = 0; i < NET_LOCAL_FAMILIES; i++) {
		int fd = listen_at(families[i], &l->ports[i]);
		int r = fd < 0 ? fd : 0;

		if (r == 0)
			r = net_nft_redirect(&l->nft, i ? NFPROTO_IPV6 : NFPROTO_IPV4,
					     l->ports[i], MARK);
		if (r == 0) {
			l->listeners[i] = fd;
			continue;
		}
		if (fd >= 0)
			close(fd);
		/* A namespace without IPv6 is nothing to speak of. */
		if (r != -EADDRNOTAVAIL && r != -EAFNOSUPPORT)
			log_info("connections from within the network namespace do not reach the "
				 "guest%s: nf_tables: %s", i ? " by IPv6" : "", strerror(-r));
	}
}

void net_local_close(struct net_local *l)
{
	netlink_close(&l->nft);
	for (unsigned int i = 0; i < NET_LOCAL_FAMILIES; i++)
		if (l->listeners[i] >= 0)
			close(steal_fd(&l->listeners[i]));
}

/* Whether it was meant for our own listener, which is nobody for others. */
static bool is_ours(const struct net_local *l, unsigned int which, const union address *a)
{
	if (which)
		return ntohs(a->in6.sin6_port) == l->ports[which] &&
		       IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return ntohs(a->in.sin_port) == l->ports[which] &&
	       a->in.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
}

int net_local_connect(const struct sockaddr *address, int patience_ms)
{
	const uint32_t mark = MARK;
	cleanup_close int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				      0);
	struct pollfd pfd = { fd, POLLOUT, 0 };
	socklen_t len = sizeof(int);
	int code = 0;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0 ||
	    (connect(fd, address, address_size(address->sa_family)) < 0 && errno != EINPROGRESS))
		return -errno;
	if (poll(&pfd, 1, patience_ms) > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) == 0 &&
	    code)
		return -code;
	return steal_fd(&fd);
}

static bool write_all(int fd, const char *p, size_t len)
{
	while (len) {
		const ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* In a process of its own, and a direction at a time is enough: sockets hold what is under way. */
static void relay(int a, int b, int vmm)
{
	struct pollfd pfd[3] = { { a, POLLIN, 0 }, { b, POLLOUT, 0 }, { vmm, 0, 0 } };
	static char buf[RELAY_BUFFER];

	if (poll(pfd + 1, 2, -1) < 0 || pfd[2].revents) /* until it is connected */
		return;
	pfd[1].events = POLLIN;
	fd_set_nonblock(a, false);
	fd_set_nonblock(b, false);
	while (pfd[0].fd >= 0 || pfd[1].fd >= 0) {
		if (poll(pfd, 3, -1) < 0 && errno != EINTR)
			return;
		if (pfd[2].revents)
			return;
		for (unsigned int i = 0; i < 2; i++) {
			const int to = i ? a : b;
			ssize_t n;

			if (pfd[i].fd < 0 || !pfd[i].revents)
				continue;
			n = read(pfd[i].fd, buf, sizeof(buf));
			if (n > 0 && write_all(to, buf, (size_t)n))
				continue;
			shutdown(to, SHUT_WR);
			pfd[i].fd = -1;
		}
	}
}

static void relay_apart(struct net_local *l, int a, int b, int vmm)
{
	const pid_t pid = fork();

	if (pid < 0)
		log_warning("cannot relay a connection in the network namespace: %s",
			    strerror(errno));
	if (pid)
		return;
	net_local_close(l);
	relay(a, b, vmm);
	_exit(0);
}

static void give_to_guest(const union address *a, int fd, int vmm)
{
	cleanup_wire struct wire_writer w = { 0 };

	if (a->sa.sa_family == AF_INET) {
		wire_put_u32(&w, ntohs(a->in.sin_port));
		wire_put_bytes(&w, &a->in.sin_addr, sizeof(a->in.sin_addr));
	} else {
		wire_put_u32(&w, ntohs(a->in6.sin6_port));
		wire_put_bytes(&w, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	}
	if (!w.failed)
		msg_send(vmm, VMM_NET_LOCAL, w.data, w.len, &fd, 1);
}

void net_local_accept(struct net_local *l, unsigned int which, int vmm)
{
	union address a = { 0 };
	socklen_t len = sizeof(a);
	cleanup_close int fd = accept4(l->listeners[which], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	cleanup_close int here = -1;

	if (fd < 0 || getsockopt(fd, which ? SOL_IPV6 : SOL_IP, which ? IP6T_SO_ORIGINAL_DST :
				 SO_ORIGINAL_DST, &a, &len) < 0 ||
	    a.sa.sa_family != families[which])
		return;
	here = is_ours(l, which, &a) ? -ECONNREFUSED : net_local_connect(&a.sa, PATIENCE_MS);
	if (here >= 0)
		relay_apart(l, fd, here, vmm);
	else if (here == -ECONNREFUSED)
		give_to_guest(&a, fd, vmm);
}
