/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a vhost-user back end that wants a connected socket for a front end that connects to a path
 * (QEMU): listens there, accepts one connection, and executes the command with it as fd 3.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener, sock;

	if (argc < 3 || strlen(argv[1]) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "usage: fs_accept SOCKET COMMAND [ARGUMENT]...\n");
		return 2;
	}
	strcpy(addr.sun_path, argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(listener, 1) < 0) {
		perror("fs_accept: cannot listen");
		return 1;
	}
	sock = accept4(listener, NULL, NULL, 0);
	if (sock < 0) {
		perror("fs_accept: cannot accept");
		return 1;
	}
	if (sock != 3 && (dup2(sock, 3) < 0 || close(sock) < 0))
		return 1;
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 1;
}
