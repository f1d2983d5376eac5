/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_host.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"

/* As long as the command line waits for the guest. */
#define CONNECT_TIMEOUT_S 120

int host_connect(uint32_t port, struct error **err)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	cleanup_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval timeout = { .tv_sec = CONNECT_TIMEOUT_S };

	if (fd < 0)
		return error_set(err, errno, "vsock socket");
	/* Two seconds, the kernel's default, are not enough on a host that is very busy. */
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof(timeout)) < 0)
		return error_set(err, errno, "vsock connect timeout");
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "connect to the host's vsock port %u", port);
	return steal_fd(&fd);
}

int host_mount_export(const char *path, struct error **err)
{
	if (mount(AGENT_FS_TAG, path, "virtiofs", 0, NULL) < 0)
		return error_set(err, errno, "mount the virtio-fs export with tag %s", AGENT_FS_TAG);
	return 0;
}

void host_power_off(void)
{
	/* The VMM treats a reset as the end of the machine; x86 without ACPI has no power switch. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
