/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's network: after the hooks, which may have made it, every interface of the container's
 * network namespace gets a tap beside it, which becomes a virtio-net device of the guest's. The
 * agent gives that device the interface's name, addresses and routes.
 */
#include "launch_net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/netlink.h"
#include "launch_internal.h"
#include "net_dns.h"
#include "net_namespace.h"
#include "net_redirect.h"
#include "resolv_conf.h"
#include "spawn.h"

#define WATCH_PROGRAM LIBEXECDIR "/krun-gpu-net"
#define WATCH_FD 3
#define QUEUES_ANNOTATION "krun-gpu.net-queues"
#define VHOST_ANNOTATION "krun-gpu.vhost-net"
#define MANAGER_ANNOTATION "io.container.manager"
#define VHOST_DEVICE "/dev/vhost-net"
#define RESOLV_CONF "/etc/resolv.conf"
/* Network devices that stand for no interface yet, where an engine may connect more. */
#define SPARE_DEVICES 2

/*
 * The engine's own name server, where it listens on the loopback interface: the guest has another. Where
 * nobody listens the address is the container's, which has a name server of its own. Hooks have written
 * the file.
 */
static void find_name_server(struct launch *l)
{
	uint32_t address = 0;

	for (size_t i = 0; i < l->plan.num_exports; i++) {
		const struct oci_export_mount *m = &l->plan.exports[i];

		if (m->path && !strcmp(m->plan.destination, RESOLV_CONF))
			address = resolv_conf_read_loopback(m->path);
	}
	if (address && net_dns_is_served(address))
		l->net.name_server = address;
}

/* In the container's network namespace. */
static int connect_guest(void *data, struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };
	struct launch *l = data;
	int taps[AGENT_INTERFACES_MAX];

	if (netlink_open(&nl, err) < 0 || net_collect(&nl, &l->net, err) < 0)
		return -1;
	if (l->net.notes)
		log_warning("%s", l->net.notes);
	for (size_t i = 0; i < l->net.count; i++) {
		struct agent_interface *in = &l->net.interfaces[i];
		int *fds = &l->vmm_fds[VMM_FD_NET + i * VMM_NET_QUEUES_MAX];

		taps[i] = net_tap_create(&nl, l->net.ifindex[i], in->mtu, fds, l->net_queues, err);
		if (taps[i] < 0 ||
		    net_redirect_join(&nl, l->net.ifindex[i], taps[i], in->mac, err) < 0)
			return error_wrap(err, "interface %s", in->name);
		net_device_mac((uint32_t)i, in->device_mac);
	}
	if (l->net.count)
		find_name_server(l);
	if (l->net.name_server) {
		cleanup_close int ports = net_redirect_open_ports();

		net_redirect_names_ports(ports);
	}
	for (size_t i = 0; i < l->net.count && l->net.name_server; i++)
		net_redirect_share_names(&nl, l->net.ifindex[i], taps[i]);
	return 0;
}

/* An engine connects and disconnects networks while the container runs: krun-gpu-net follows. */
static int spawn_watch(struct launch *l, int netns, struct error **err)
{
	char numbers[5 + VMM_NET_MAX][16];
	const char *argv[7 + VMM_NET_MAX] = { WATCH_PROGRAM };
	cleanup_close int theirs = -1;
	struct spawn s = { .argv = argv, .netns_fd = netns, .new_session = true };
	int pair[2];

	snprintf(numbers[0], sizeof(numbers[0]), "%d", (int)l->app->log_format);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", (int)l->app->log_level);
	snprintf(numbers[2], sizeof(numbers[2]), "%zu", l->num_nets);
	snprintf(numbers[3], sizeof(numbers[3]), "%u", l->net_queues);
	snprintf(numbers[4], sizeof(numbers[4]), "%u", l->net.name_server);
	for (size_t i = 0; i < l->net.count; i++)
		snprintf(numbers[5 + i], sizeof(numbers[0]), "%d", l->net.ifindex[i]);
	for (size_t i = 0; i < 5 + l->net.count; i++)
		argv[1 + i] = numbers[i];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->vmm_fds[VMM_FD_NET_WATCH] = pair[0];
	theirs = pair[1];
	s.fds[s.num_fds++] = (struct spawn_fd){ theirs, WATCH_FD };
	if (launch_spawn(l, &s, &l->c.state.workers[l->c.state.num_workers], err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

/* The namespace that the VMM made, or was given. */
static int open_namespace(const struct launch *l)
{
	char path[64];

	if (l->netns >= 0)
		return fcntl(l->netns, F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", l->c.state.vmm.pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* One pair unless asked for: more of them are of use where several processors send at once. */
static int choose_queues(struct launch *l, struct error **err)
{
	const char *asked = oci_spec_annotation(&l->c.spec, QUEUES_ANNOTATION);

	l->net_queues = 1;
	if (!asked)
		return 0;
	if (asked[0] < '1' || asked[0] > '4' || asked[1])
		return error_set(err, 0, "annotation " QUEUES_ANNOTATION ": \"%s\" is not a number "
				 "from 1 to 4", asked);
	l->net_queues = (uint32_t)(asked[0] - '0');
	return 0;
}

/* vhost-net is the host kernel's, and only for whom asks for it. */
static int choose_vhost(struct launch *l, struct error **err)
{
	const char *asked = oci_spec_annotation(&l->c.spec, VHOST_ANNOTATION);
	const bool known = !asked || !strcmp(asked, "0") || !strcmp(asked, "1");

	l->vhost_net = asked && *asked == '1';
	if (!known)
		return error_set(err, 0, "annotation " VHOST_ANNOTATION ": \"%s\" is neither 0 nor "
				 "1", asked);
	if (l->vhost_net && l->netns < 0 && !l->new_netns)
		return error_set(err, 0, "annotation " VHOST_ANNOTATION ": with the host's network "
				 "passt serves the guest, not vhost-net");
	return 0;
}

/* One for each queue pair of each device, those that stand for nothing yet too. */
static int open_vhosts(struct launch *l, struct error **err)
{
	for (size_t i = 0; l->vhost_net && i < l->num_nets; i++)
		for (size_t n = 0; n < l->net_queues; n++) {
			int *fd = &l->vmm_fds[VMM_FD_VHOST + i * VMM_NET_QUEUES_MAX + n];

			*fd = open(VHOST_DEVICE, O_RDWR | O_CLOEXEC);
			if (*fd < 0)
				return error_set(err, errno, "annotation " VHOST_ANNOTATION
						 ": cannot open " VHOST_DEVICE " (is the module "
						 "vhost_net loaded?)");
		}
	return 0;
}

/*
 * Where the runtime makes the network namespace an engine may connect it between create and start: docker
 * from version 27 on, and ctr. podman does so with a user namespace alone; without one it means no network.
 */
static bool connected_later(const struct oci_spec *spec)
{
	const char *manager = oci_spec_annotation(spec, MANAGER_ANNOTATION);

	return !manager || strcmp(manager, "libpod") || oci_spec_namespace(spec, CLONE_NEWUSER);
}

int launch_net(struct launch *l, struct error **err)
{
	cleanup_close int netns = -1;

	if (choose_queues(l, err) < 0 || choose_vhost(l, err) < 0)
		return -1;
	if (l->netns < 0 && !l->new_netns)
		return launch_net_host(l, err);
	netns = open_namespace(l);
	if (netns < 0)
		return error_set(err, errno, "cannot open the container's network namespace");
	if (net_namespace_run(netns, connect_guest, l, err) < 0)
		return -1;
	l->num_nets = l->net.count;
	if (l->net.veth || (l->new_netns && connected_later(&l->c.spec))) {
		l->num_nets += SPARE_DEVICES;
		if (l->num_nets > VMM_NET_MAX)
			l->num_nets = VMM_NET_MAX;
	}
	if (l->num_nets && spawn_watch(l, netns, err) < 0)
		return -1;
	return open_vhosts(l, err);
}

static int remove_stale(void *data, struct error **err)
{
	cleanup_netlink struct netlink nl = { .fd = -1 };

	(void)data;
	if (netlink_open(&nl, err) < 0)
		return -1;
	net_redirect_remove_stale(&nl);
	return 0;
}

void launch_net_remove(const struct oci_spec *spec)
{
	const struct oci_namespace *ns = oci_spec_namespace(spec, CLONE_NEWNET);
	cleanup_error struct error *why = NULL;
	cleanup_close int netns = -1;

	if (!ns || !ns->path)
		return;
	/* Normally it is gone: with it went all of this. */
	if (net_namespace_open(ns->path, &netns, &why) < 0 ||
	    (netns >= 0 && net_namespace_run(netns, remove_stale, NULL, &why) < 0))
		log_debug("the network namespace %s: %s", ns->path, error_msg(why));
}
