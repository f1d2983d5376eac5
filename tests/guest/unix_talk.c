/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * unix_talk SOCKET - sends its standard input to a unix stream socket, then that input's end, and
 * shows what comes back until the other side has ended. Static: it runs in containers.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char out[65536];
static size_t have, sent;

/* What of the input is waiting goes out; at its end, and when all is gone, the socket is half-closed. */
static int send_some(int sock, int *input)
{
	ssize_t n;

	if (sent == have && *input >= 0) {
		n = read(*input, out, sizeof(out));
		have = n > 0 ? (size_t)n : 0;
		sent = 0;
		if (n <= 0) {
			*input = -1;
			return shutdown(sock, SHUT_WR);
		}
	}
	n = send(sock, out + sent, have - sent, MSG_DONTWAIT);
	sent += n > 0 ? (size_t)n : 0;
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), input = STDIN_FILENO;
	static char in[65536];
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return 2;
	strcpy(addr.sun_path, argv[1]);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		struct pollfd p[] = {
			{ sock, (short)(POLLIN | (have > sent ? POLLOUT : 0)), 0 },
			{ have == sent ? input : -1, POLLIN, 0 },
		};

		if (poll(p, 2, -1) < 0)
			return 1;
		if (p[1].revents || (p[0].revents & POLLOUT))
			send_some(sock, &input);
		if (!(p[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		n = read(sock, in, sizeof(in));
		if (n <= 0)
			return n ? 1 : 0;
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(STDOUT_FILENO, in + at, (size_t)(n - at))) <= 0)
				return 1;
	}
}
