/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both ends of what the network's end-to-end tests try. Built by tests/e2e/run, to run on the host
 * and in the demo image, which has the same C library. Every command has a limit of time and says in
 * one line what it found.
 *
 * Usage: net serve PORT              serves what follows, TCP and UDP, IPv4 and IPv6, for ever
 *        net get|put HOST PORT MIB   that many MiB, from or to the server, checked
 *        net slow HOST PORT MIB      a reader that takes its time
 *        net short HOST PORT COUNT   that many connections, one after the other
 *        net half HOST PORT          half-close, and what comes back after it
 *        net udp HOST PORT SIZE      one datagram there and back
 *        net flood HOST PORT COUNT   small datagrams as fast as they go; then one there and back
 *        net refused HOST PORT       the answer of a port that nobody listens on, TCP and UDP
 *        net rr HOST PORT SECONDS    64 bytes there and back over one connection; the number of times
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 550
#define BLOCK 65536u

struct request {
	char what; /* 'e': echo, 'g': send, 'p': take */
	uint64_t bytes;
} __attribute__((packed));

_Noreturn static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

/* Bytes that tell where in the stream they belong. */
static void fill(uint8_t *buf, size_t len, uint64_t at)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)((at + i) * 167 ^ ((at + i) >> 11));
}

static int write_all(int fd, const void *buf, size_t len)
{
	for (const char *p = buf; len;) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *buf, size_t len)
{
	for (char *p = buf; len;) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_pattern(int fd, uint64_t bytes)
{
	static uint8_t buf[BLOCK];

	for (uint64_t at = 0; at < bytes; at += BLOCK) {
		fill(buf, BLOCK, at);
		if (write_all(fd, buf, BLOCK))
			return -1;
	}
	return 0;
}

/* The number of bytes that came as they were sent, in order, before anything else. */
static uint64_t take_pattern(int fd, uint64_t bytes, unsigned int pause_us)
{
	static uint8_t buf[BLOCK], want[BLOCK];

	for (uint64_t at = 0; at < bytes; at += BLOCK) {
		if (read_all(fd, buf, BLOCK))
			return at;
		fill(want, BLOCK, at);
		if (memcmp(buf, want, BLOCK))
			return at;
		if (pause_us)
			usleep(pause_us);
	}
	return bytes;
}

/* One connection, in a process of its own. */
static void serve_connection(int fd)
{
	struct request req;
	char buf[4096];
	uint64_t got;
	ssize_t n;

	if (read_all(fd, &req, sizeof(req)))
		return;
	switch (req.what) {
	case 'g':
		send_pattern(fd, req.bytes);
		break;
	case 'p':
		got = take_pattern(fd, req.bytes, 0);
		write_all(fd, &got, sizeof(got));
		break;
	case 'h': /* only after the other side's end of file */
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			;
		write_all(fd, "after", 5);
		break;
	default:
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			write_all(fd, buf, (size_t)n);
	}
}

static int listen_on(int type, const char *port)
{
	const struct sockaddr_in6 addr = { .sin6_family = AF_INET6,
					   .sin6_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET6, type, 0), one = 1, zero = 0;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 1024) < 0)
		fail("listen");
	return fd;
}

static void serve_datagrams(int fd)
{
	struct sockaddr_storage from;
	char buf[65536];

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n > 0 && buf[0] == 'e')
			sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
	}
}

static int serve(const char *port)
{
	int tcp = listen_on(SOCK_STREAM, port), udp = listen_on(SOCK_DGRAM, port), one = 1;

	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_datagrams(udp);
	}
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(tcp, NULL, NULL);

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (fork() == 0) {
			alarm(LIMIT_S);
			serve_connection(fd);
			_exit(0);
		}
		close(fd);
	}
}

/* Connected, or -1 with errno. */
static int try_connect(int type, const char *host, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = type };
	struct addrinfo *list;
	int fd = -1, one = 1;

	errno = ENOENT;
	if (getaddrinfo(host, port, &hints, &list))
		return -1;
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		int saved;

		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) == 0)
			continue;
		saved = errno;
		close(fd);
		errno = saved;
		fd = -1;
	}
	freeaddrinfo(list);
	if (fd >= 0 && type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int connect_to(int type, const char *host, const char *port)
{
	int fd = try_connect(type, host, port);

	if (fd < 0)
		fail("connect");
	return fd;
}

static int ask(const char *host, const char *port, char what, uint64_t bytes)
{
	const struct request req = { what, bytes };
	int fd = connect_to(SOCK_STREAM, host, port);

	if (write_all(fd, &req, sizeof(req)))
		fail("write");
	return fd;
}

static int client_get(const char *host, const char *port, uint64_t mib, unsigned int pause_us)
{
	int fd = ask(host, port, 'g', mib << 20);
	uint64_t got = take_pattern(fd, mib << 20, pause_us);

	printf("got %llu MiB\n", (unsigned long long)(got >> 20));
	return got == mib << 20 ? 0 : 1;
}

static int client_put(const char *host, const char *port, uint64_t mib)
{
	int fd = ask(host, port, 'p', mib << 20);
	uint64_t got = 0;

	if (send_pattern(fd, mib << 20) || read_all(fd, &got, sizeof(got)))
		fail("put");
	printf("put %llu MiB\n", (unsigned long long)(got >> 20));
	return got == mib << 20 ? 0 : 1;
}

static int client_short(const char *host, const char *port, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		int fd = ask(host, port, 'e', 0);
		char buf[16] = "short", back[16];

		if (write_all(fd, buf, sizeof(buf)) || read_all(fd, back, sizeof(back)) ||
		    memcmp(buf, back, sizeof(buf)))
			fail("short");
		close(fd);
	}
	printf("%u connections\n", count);
	return 0;
}

static int client_half(const char *host, const char *port)
{
	int fd = ask(host, port, 'h', 0);
	char buf[16] = { 0 };

	if (write_all(fd, "before", 6) || shutdown(fd, SHUT_WR) < 0 || read_all(fd, buf, 5) ||
	    read(fd, buf + 5, 1) != 0)
		fail("half");
	printf("%s\n", buf);
	return 0;
}

/* There and back, tried again as datagrams may be lost. */
static int client_udp(const char *host, const char *port, size_t size)
{
	static char out[65536], back[65536];
	int fd = connect_to(SOCK_DGRAM, host, port);
	struct pollfd pfd = { fd, POLLIN, 0 };

	memset(out, 'e', size);
	for (int i = 0; i < 40; i++) {
		if (send(fd, out, size, 0) == (ssize_t)size && poll(&pfd, 1, 500) > 0 &&
		    recv(fd, back, sizeof(back), 0) == (ssize_t)size && !memcmp(out, back, size)) {
			printf("datagram of %zu\n", size);
			return 0;
		}
	}
	fail("udp");
}

static int client_flood(const char *host, const char *port, unsigned int count)
{
	int fd = connect_to(SOCK_DGRAM, host, port);

	for (unsigned int i = 0; i < count; i++)
		send(fd, "x", 1, 0);
	printf("%u datagrams, then a ", count);
	return client_udp(host, port, 100);
}

static int client_refused(const char *host, const char *port)
{
	char byte = 'e';
	int fd = try_connect(SOCK_STREAM, host, port), udp;
	struct pollfd pfd = { .events = POLLIN };

	printf("tcp: %s; ", fd < 0 ? strerror(errno) : "connected");
	udp = pfd.fd = connect_to(SOCK_DGRAM, host, port);
	send(udp, &byte, 1, 0);
	poll(&pfd, 1, 5000);
	printf("udp: %s\n", recv(udp, &byte, 1, MSG_DONTWAIT) < 0 ? strerror(errno) : "answered");
	return 0;
}

static int client_rr(const char *host, const char *port, unsigned int seconds)
{
	int fd = ask(host, port, 'e', 0);
	const time_t end = time(NULL) + (time_t)seconds;
	char buf[64] = "rr";
	unsigned int n;

	for (n = 0; time(NULL) < end; n++)
		if (write_all(fd, buf, sizeof(buf)) || read_all(fd, buf, sizeof(buf)))
			fail("rr");
	printf("%u\n", n / seconds);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "", *host = argc > 3 ? argv[2] : NULL;
	const char *port = host ? argv[3] : NULL;
	const unsigned int n = argc > 4 ? (unsigned int)atoi(argv[4]) : 0;

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(what, "serve"))
		return serve(argv[2]);
	alarm(LIMIT_S);
	if (!host)
		return 2;
	if (!strcmp(what, "get"))
		return client_get(host, port, n, 0);
	if (!strcmp(what, "put"))
		return client_put(host, port, n);
	if (!strcmp(what, "slow"))
		return client_get(host, port, n, 20000);
	if (!strcmp(what, "short"))
		return client_short(host, port, n);
	if (!strcmp(what, "half"))
		return client_half(host, port);
	if (!strcmp(what, "udp"))
		return client_udp(host, port, n);
	if (!strcmp(what, "flood"))
		return client_flood(host, port, n);
	if (!strcmp(what, "refused"))
		return client_refused(host, port);
	if (!strcmp(what, "rr"))
		return client_rr(host, port, n);
	return 2;
}
