/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Without a network namespace of its own a container shares the host's connections (podman's
 * --network host). A guest has a kernel of its own and cannot: passt, outside of it and in the host's
 * namespace, makes the guest's connections the host's, without privileges. The guest has the
 * addresses and routes of the host's interface with the default route.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/netlink.h"
#include "launch_internal.h"
#include "spawn.h"

#define PASST_FD 3
/* passt's own default: the largest packet, in 32-bit words. */
#define PASST_MTU 65520
/* Where the guest finds what listens on the host's loopback: a link-local address. */
#define PASST_HOST_LOOPBACK "169.254.1.1"
#define PORTS_ANNOTATION "krun-gpu.host-ports"

/* A MAC of the guest's own, locally administered; the host keeps its. */
static void set_mac(struct agent_interface *in)
{
	if (getrandom(in->device_mac, sizeof(in->device_mac), 0) < 0)
		memset(in->device_mac, 0x55, sizeof(in->device_mac));
	in->device_mac[0] = (uint8_t)((in->device_mac[0] & 0xfc) | 2);
	memcpy(in->mac, in->device_mac, sizeof(in->mac));
	in->mtu = PASST_MTU;
}

static const char *passt_path(void)
{
	static const char *const paths[] = { "/usr/bin/passt", "/usr/local/bin/passt" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Ports that the guest listens on and the host is to: numbers and ranges. */
static int check_ports(const char *ports, struct error **err)
{
	if (*ports && strspn(ports, "0123456789,-") == strlen(ports))
		return 0;
	return error_set(err, 0, "annotation " PORTS_ANNOTATION ": \"%s\" is not a list of ports, as "
			 "8080,9000-9010", ports);
}

static int spawn_passt(struct launch *l, const char *path, const char *ports, struct error **err)
{
	const char *argv[] = {
		path, "--foreground", "--quiet", "--vhost-user", "--fd", "3", "--no-dhcp",
		"--no-dhcpv6", "--no-ra", "--no-map-gw", "--map-host-loopback",
		PASST_HOST_LOOPBACK, "--tcp-ports", ports, "--udp-ports", ports, NULL,
	};
	cleanup_close int theirs = -1;
	struct spawn s = { .argv = argv, .netns_fd = -1, .new_session = true };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->vmm_fds[VMM_FD_NET_WORKER] = pair[0];
	theirs = pair[1];
	s.fds[s.num_fds++] = (struct spawn_fd){ theirs, PASST_FD };
	if (launch_spawn(l, &s, &l->c.state.workers[l->c.state.num_workers], err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

int launch_net_host(struct launch *l, struct error **err)
{
	const char *ports = oci_spec_annotation(&l->c.spec, PORTS_ANNOTATION);
	cleanup_netlink struct netlink nl = { .fd = -1 };
	const char *path = passt_path();

	if (ports && check_ports(ports, err) < 0)
		return -1;
	if (!path)
		return error_set(err, 0, "linux.namespaces: the container is to share the host's "
				 "network, which takes passt, and there is no /usr/bin/passt (Debian "
				 "package: passt)");
	if (netlink_open(&nl, err) < 0 || net_collect_default(&nl, &l->net, err) < 0)
		return -1;
	if (!l->net.count) {
		log_info("the host has no default route: the guest has loopback alone");
		return 0;
	}
	set_mac(&l->net.interfaces[0]);
	l->num_nets = 1;
	return spawn_passt(l, path, ports ? ports : "none", err);
}
