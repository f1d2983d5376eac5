/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host as the agent's tests play it: ports are abstract unix sockets of the tests' network
 * namespace, and the export is a detached mount that the agent inherits (tests/guest/
 * agent_harness.c makes both). The machine is a pid namespace: it ends with the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_host.h"

int host_connect(uint32_t port, struct error **err)
{
	const char *name = getenv("KRUN_GPU_TEST_HOST");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n;

	if (fd < 0)
		return error_set(err, errno, "unix socket");
	n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s/%u", name ? name : "", port);
	if (connect(fd, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0)
		return error_set(err, errno, "connect to the test's port %u", port);
	return steal_fd(&fd);
}

int host_mount_export(const char *path, struct error **err)
{
	const char *fd = getenv("KRUN_GPU_TEST_EXPORT");

	if (!fd || move_mount(atoi(fd), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "mount the test's export");
	close(atoi(fd));
	return 0;
}

void host_power_off(void)
{
	_exit(0);
}
