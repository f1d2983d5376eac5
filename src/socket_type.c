/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the kernel compares the types of two unix sockets before it connects them, and
 * answers EPROTOTYPE when they differ (unix(7)). So sockets of the rarer types are tried, in the order
 * of what they do: connecting a datagram socket tells its peer nothing; a socket of sequenced packets
 * would accept a connection, and is refused anyway; a stream socket is never connected to.
 */
#include "socket_type.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

/* 0, or the reason why a socket of @type is not connected */
static int try_connect(int path_fd, int type)
{
	cleanup_close int sock = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (sock < 0)
		return EACCES;
	/* The path itself may be too long for an address. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", path_fd);
	return connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? errno : 0;
}

int socket_type(const char *path)
{
	cleanup_close int fd = open(path, O_PATH | O_CLOEXEC);
	int why = fd < 0 ? ENOENT : try_connect(fd, SOCK_DGRAM);

	/* EPERM: it has a peer already, which is not us. */
	if (!why || why == EPERM)
		return SOCK_DGRAM;
	if (why != EPROTOTYPE)
		return 0;
	return try_connect(fd, SOCK_SEQPACKET) == EPROTOTYPE ? SOCK_STREAM : SOCK_SEQPACKET;
}
