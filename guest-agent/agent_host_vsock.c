/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_host.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"

int host_connect(uint32_t port, struct error **err)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	cleanup_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(err, errno, "vsock socket");
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
