/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_CONNECT_PROTO_H
#define BASE_CONNECT_PROTO_H

/*
 * What krun-gpu-vmm and krun-gpu-connect say to each other, over a SOCK_SEQPACKET socket pair: one
 * packet for each request and one for each answer, which has the connected socket with it when
 * @code is 0. Little endian.
 */

#include <stdint.h>

/* The worker's fds: the socket pair's end, then the host's sockets (O_PATH), in their order. */
#define CONNECT_FD 3
#define CONNECT_FD_FIRST 4
#define CONNECT_SOCKETS_MAX 8

struct connect_request {
	uint32_t slot; /* comes back in the answer */
	uint32_t socket;
};

struct connect_answer {
	uint32_t slot;
	uint32_t code; /* errno, or 0 */
};

#endif
