/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-net: follows what the container engine does to a container's network while it runs
 * (podman network connect and disconnect). Started by `create` in the container's network namespace
 * with a socket to the VMM as fd 3 and, as arguments, how many network devices the machine has and
 * the interfaces that the first of them stand for.
 *
 * Theory of operation: whenever the namespace has changed and been quiet for a moment, it is looked
 * at as a whole. An interface that is new gets a tap and a device of the guest's that stands for
 * none; one that is gone gives its device back; what was added to one is told. Nothing is ever read
 * from the guest. What connects in the namespace to an address of its own is handed to the guest, too
 * (net_local.h). The end of the socket is the end of the VMM: the redirects are removed, and the process
 * ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_net_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/netlink.h"
#include "base/sandbox.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "net_collect.h"
#include "net_local.h"
#include "net_redirect.h"

#define WATCH_FD 3
/* An engine sets an interface up in several steps; nothing is done between two of them. */
#define QUIET_MS 200

struct device {
	int ifindex; /* of the interface it stands for; 0: of none */
	char *sent;  /* owned: the description that was sent last; NULL: none, but at create */
	size_t sent_len;
};

struct watch {
	struct netlink nl;     /* for requests */
	struct netlink events; /* tells what changes */
	struct net_local local;
	struct device devices[VMM_NET_MAX];
	size_t count;
	size_t queues; /* of each device, and of its tap */
	int warned; /* ifindex for which there was no device */
};

static int watch_send(uint32_t type, uint32_t device, const void *described, size_t len,
		      const int *taps, size_t queues)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, device);
	if (described)
		wire_put_bytes(&w, described, len);
	return w.failed ? -ENOMEM : msg_send(WATCH_FD, type, w.data, w.len, taps, queues);
}

static int index_in(const struct net_found *found, int ifindex)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->ifindex[i] == ifindex)
			return (int)i;
	return -1;
}

static void device_clear(struct device *d)
{
	free(d->sent);
	*d = (struct device){ 0 };
}

static void look_for_gone(struct watch *w, const struct net_found *found)
{
	for (size_t i = 0; i < w->count; i++) {
		struct device *d = &w->devices[i];

		if (!d->ifindex || index_in(found, d->ifindex) >= 0)
			continue;
		net_redirect_remove(&w->nl, d->ifindex); /* it may only be down */
		watch_send(VMM_NET_UNPLUG, (uint32_t)i, NULL, 0, NULL, 0);
		device_clear(d);
	}
}

/* Tell of a device's interface what was not told before; with the queues of its tap if it is new. */
static void device_describe(struct device *d, uint32_t number, struct agent_interface *in,
			    const int *taps, size_t queues)
{
	cleanup_wire struct wire_writer w = { 0 };

	net_device_mac(number, in->device_mac);
	agent_interfaces_encode(&w, in, 1);
	if (w.failed || (!queues && d->sent && d->sent_len == w.len && !memcmp(d->sent, w.data, w.len)))
		return;
	/* What was there at create was told then. */
	if (queues || d->sent)
		watch_send(queues ? VMM_NET_PLUG : VMM_NET_CHANGE, number, w.data, w.len, taps,
			   queues);
	free(d->sent);
	d->sent_len = w.len;
	d->sent = steal_ptr(w.data);
}

static struct device *free_device(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!w->devices[i].ifindex)
			return &w->devices[i];
	return NULL;
}

static void plug(struct watch *w, int ifindex, struct agent_interface *in)
{
	struct device *d = free_device(w);
	cleanup_error struct error *err = NULL;
	int fds[VMM_NET_QUEUES_MAX], tap;

	if (!d) {
		if (w->warned != ifindex)
			log_warning("the microVM has no network device left for %s: it has it after "
				    "a restart", in->name);
		w->warned = ifindex;
		return;
	}
	tap = net_tap_create(&w->nl, ifindex, in->mtu, fds, w->queues, &err);
	if (tap < 0) {
		log_warning("interface %s: %s", in->name, error_msg(err));
		return;
	}
	if (net_redirect_join(&w->nl, ifindex, tap, &err) == 0) {
		d->ifindex = ifindex;
		device_describe(d, (uint32_t)(d - w->devices), in, fds, w->queues);
	} else {
		log_warning("interface %s: %s", in->name, error_msg(err));
	}
	for (size_t i = 0; i < w->queues; i++)
		close(fds[i]);
}

static void look(struct watch *w)
{
	cleanup_error struct error *err = NULL;
	struct net_found found = { .joined = true };

	if (net_collect(&w->nl, &found, &err) < 0) {
		log_warning("%s", error_msg(err));
		return;
	}
	look_for_gone(w, &found);
	for (size_t i = 0; i < found.count; i++) {
		struct device *d = NULL;

		for (size_t n = 0; n < w->count; n++)
			if (w->devices[n].ifindex == found.ifindex[i])
				d = &w->devices[n];
		if (d)
			device_describe(d, (uint32_t)(d - w->devices), &found.interfaces[i], NULL,
					0);
		else
			plug(w, found.ifindex[i], &found.interfaces[i]);
	}
	net_found_release(&found);
}

/* Read away what changed; how much is of no interest, and what was lost neither. */
static void drain(int fd)
{
	char buf[8192];

	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR)
		;
}

static void watch_run(struct watch *w)
{
	struct pollfd pfd[2 + NET_LOCAL_FAMILIES] = { { WATCH_FD, 0, 0 }, { w->events.fd, POLLIN, 0 } };
	/* What happened between create and now. */
	bool changed = true;

	for (unsigned int i = 0; i < NET_LOCAL_FAMILIES; i++)
		pfd[2 + i] = (struct pollfd){ w->local.listeners[i], POLLIN, 0 };
	for (;;) {
		const int n = poll(pfd, 2 + NET_LOCAL_FAMILIES, changed ? QUIET_MS : -1);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0 && pfd[0].revents)
			return;
		if (n == 0) {
			changed = false;
			look(w);
		} else if (n > 0 && pfd[1].revents) {
			changed = true;
			drain(w->events.fd);
		}
		for (unsigned int i = 0; n > 0 && i < NET_LOCAL_FAMILIES; i++)
			if (pfd[2 + i].revents)
				net_local_accept(&w->local, i, WATCH_FD);
	}
}

static int watch_open(struct watch *w, struct error **err)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE };

	if (netlink_open(&w->nl, err) < 0 || netlink_open(&w->events, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (setsockopt(w->events.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			return error_set(err, errno, "cannot watch the container's network");
	return 0;
}

/* Arguments: log format, log level, number of devices, their queues, the first ones' ifindexes. */
static int watch_arguments(struct watch *w, int argc, char **argv)
{
	if (argc < 5)
		return -1;
	log_init("krun-gpu-net", STDERR_FILENO, (enum log_format)atoi(argv[1]),
		 (enum log_level)atoi(argv[2]));
	w->count = (size_t)atoi(argv[3]);
	w->queues = (size_t)atoi(argv[4]);
	if (w->count > VMM_NET_MAX || (size_t)argc - 5 > w->count || w->queues < 1 ||
	    w->queues > VMM_NET_QUEUES_MAX)
		return -1;
	for (int i = 5; i < argc; i++)
		w->devices[i - 5].ifindex = atoi(argv[i]);
	return 0;
}

#define ALLOW(name, reason) { .syscall = (name), .why = (reason) }
#define ALLOW_WITHOUT(name, n, bits, reason) \
	{ .syscall = (name), .why = (reason), .arg = (n), .arg_mask = (bits), .arg_value = 0 }

static const struct sandbox_rule rules[] = {
	ALLOW("poll", "changes of the namespace, the VMM's end"),
	ALLOW("ppoll", "poll(), on architectures without it"),
	ALLOW("restart_syscall", "a wait that a stop and a continue interrupted"),
	ALLOW("rt_sigreturn", "likewise"),
	ALLOW("sendto", "requests to rtnetlink"),
	ALLOW("recvfrom", "its answers, and what it tells"),
	ALLOW("sendmsg", "taps to the VMM"),
	SANDBOX_ARG("socket", 0, AF_INET, "to ask for an interface's index; who listens here?"),
	SANDBOX_ARG("socket", 0, AF_INET6, "who listens here?"),
	ALLOW("accept4", "connections in the namespace"),
	ALLOW("getsockopt", "where they were to go"),
	SANDBOX_ARG("setsockopt", 1, SOL_SOCKET, "a mark"),
	ALLOW("connect", "who listens here?"),
	ALLOW("shutdown", "a relayed connection's half"),
	SANDBOX_FCNTL(F_GETFL, "one that blocks"),
	SANDBOX_FCNTL(F_SETFL, "likewise"),
	SANDBOX_ARG("clone", 0, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, "a process that relays"),
	ALLOW("set_robust_list", "likewise"),
	ALLOW("rseq", "likewise"),
	ALLOW("gettid", "likewise"),
	ALLOW("rt_sigprocmask", "likewise"),
	SANDBOX_ARG("ioctl", 1, SIOCGIFINDEX, "an interface's index"),
	ALLOW("openat", "/dev/net/tun, an interface's settings in /proc/sys/net"),
	SANDBOX_ARG("ioctl", 1, TUNSETIFF, "make a tap"),
	SANDBOX_ARG("ioctl", 1, TUNSETVNETHDRSZ, "make a tap"),
	SANDBOX_ARG("ioctl", 1, TUNSETVNETLE, "make a tap"),
	ALLOW("read", "an interface's settings"),
	ALLOW("close", "taps, settings"),
	ALLOW("write", "the log"),
	ALLOW("clock_gettime", "the log, where the vDSO cannot"),
	ALLOW_WITHOUT("mmap", 2, PROT_EXEC, "allocator"),
	ALLOW_WITHOUT("mprotect", 2, PROT_EXEC, "allocator"),
	ALLOW("munmap", "allocator"),
	ALLOW("mremap", "allocator"),
	ALLOW("madvise", "allocator"),
	ALLOW("brk", "allocator"),
	ALLOW("getrandom", "allocator"),
	ALLOW("exit_group", "the end"),
};

/* What is read and opened while it runs; and nothing of what a network engine has no need of. */
static int narrow(struct error **err)
{
	static const char *const paths[] = { "/dev/net/tun", "/proc/sys/net" };
	static const int caps[] = { CAP_NET_ADMIN };

	if (!sandbox_has_cap(CAP_SYS_ADMIN))
		log_debug("without CAP_SYS_ADMIN the root directory cannot be left");
	else if (sandbox_root_of(paths, 2, err) < 0)
		return -1;
	if (sandbox_keep_caps(caps, 1, err) < 0 || sandbox_no_new_privs(err) < 0)
		return -1;
	return sandbox_seccomp(rules, sizeof(rules) / sizeof(*rules), err);
}

int main(int argc, char **argv)
{
	struct watch w = { .local.nft.fd = -1, .nl = { .fd = -1 }, .events = { .fd = -1 } };
	cleanup_error struct error *err = NULL;

	log_init("krun-gpu-net", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	if (watch_arguments(&w, argc, argv) < 0) {
		log_error("this program is started by krun-gpu");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN); /* nobody waits for those that relay */
	if (watch_open(&w, &err) < 0) {
		log_error("%s", error_msg(err));
		return 1;
	}
	net_local_open(&w.local);
	if (narrow(&err) < 0) {
		log_error("%s", error_msg(err));
		return 1;
	}
	watch_run(&w);
	net_local_close(&w.local);
	for (size_t i = 0; i < w.count; i++) {
		if (w.devices[i].ifindex)
			net_redirect_remove(&w.nl, w.devices[i].ifindex);
		device_clear(&w.devices[i]);
	}
	return 0;
}
