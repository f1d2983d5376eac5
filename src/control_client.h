/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTROL_CLIENT_H
#define CONTROL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"

struct error;

/** control_connect() - connect to control.sock in a state directory; the socket or -1 */
int control_connect(int dirfd, struct error **err);

/**
 * control_receive() - wait for one message of the VMM's
 * @timeout_ms: -1: for ever
 *
 * A VMM_ERROR becomes an error. Return: 0 with @msg filled, or -1 (code ETIMEDOUT when time ran
 * out, ECONNRESET when the VMM has gone).
 */
int control_receive(int sock, int timeout_ms, struct msg *msg, struct error **err);

/** control_request() - connect, send one request without fds, and wait for VMM_OK; 0 or -1 */
int control_request(int dirfd, uint32_t type, const void *payload, size_t len, int timeout_ms,
		    struct error **err);

#endif
