/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SOCKET_TYPE_H
#define SOCKET_TYPE_H

/**
 * socket_type() - of which type is the socket that is bound to a path?
 *
 * A stream socket hears nothing of the question. Return: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET;
 * 0 when that is not known: nobody has bound it now, or the caller may not connect to it.
 */
int socket_type(const char *path);

#endif
