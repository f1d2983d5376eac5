/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "oci/oci_state.h"

int control_connect(int dirfd, struct error **err)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	/* By way of the directory's fd: the path itself may be too long for an address. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd,
		 OCI_CONTROL_SOCKET);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "cannot reach the container's VMM");
	return steal_fd(&sock);
}

/* The text holds the reason already; the code is for who asks. */
static int control_error(struct error **err, int code, const char *text)
{
	error_set(err, 0, "%s", text);
	if (err && *err)
		(*err)->code = code;
	return -1;
}

static int control_vmm_error(const struct msg *msg, struct error **err)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	uint32_t code = wire_get_u32(&r);
	cleanup_free char *text = wire_get_str(&r);

	if (!text)
		return error_set(err, EPROTO, "the VMM's answer makes no sense");
	return control_error(err, (int)code, text);
}

int control_receive(int sock, int timeout_ms, struct msg *msg, struct error **err)
{
	struct pollfd pfd = { sock, POLLIN, 0 };
	int r;

	do {
		r = poll(&pfd, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (!r)
		return error_set(err, ETIMEDOUT, "the container's VMM does not answer");
	r = r < 0 ? -errno : msg_recv(sock, msg);
	if (!r || r == -ECONNRESET)
		return control_error(err, ECONNRESET, "the container's VMM has ended");
	if (r < 0)
		return error_set(err, -r, "cannot read the VMM's answer");
	if (msg->type != VMM_ERROR)
		return 0;
	control_vmm_error(msg, err);
	msg_release(msg);
	return -1;
}

int control_request(int dirfd, uint32_t type, const void *payload, size_t len, int timeout_ms,
		    struct error **err)
{
	cleanup_close int sock = control_connect(dirfd, err);
	cleanup_msg struct msg msg = { 0 };
	int r;

	if (sock < 0)
		return -1;
	r = msg_send(sock, type, payload, len, NULL, 0);
	if (r < 0)
		return error_set(err, -r, "cannot ask the container's VMM");
	if (control_receive(sock, timeout_ms, &msg, err) < 0)
		return -1;
	if (msg.type != VMM_OK)
		return error_set(err, EPROTO, "the VMM answered out of turn");
	return 0;
}
