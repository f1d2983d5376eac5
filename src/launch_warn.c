/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a new container's configuration, or its caller, asks for in vain, and goes without. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "launch_internal.h"

/* The sockets of service managers are on the host. */
static void warn_of_environment(void)
{
	const char *fds = getenv("LISTEN_FDS");

	if (getenv("NOTIFY_SOCKET"))
		log_warning("NOTIFY_SOCKET is set and not passed on: sd_notify(3) in a microVM does "
			    "not reach the host");
	if (fds && strcmp(fds, "0"))
		log_warning("LISTEN_FDS is set and not passed on: no file descriptor of the host's "
			    "reaches a microVM");
}

void launch_warn(const struct launch *l)
{
	const struct oci_spec *spec = &l->c.spec;

	for (char **w = spec->process.warnings; w && *w; w++)
		log_warning("%s", *w);
	/* Where there is SELinux, it is the VMM's label that confines; see spawn.c. */
	if (spec->mount_label && *spec->mount_label && access("/sys/fs/selinux/enforce", F_OK) < 0)
		log_warning("linux.mountLabel: neither the host nor the microVM has SELinux, so that "
			    "%s is not applied", spec->mount_label);
	warn_of_environment();
}
