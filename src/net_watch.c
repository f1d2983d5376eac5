/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * krun-gpu-net: follows what the container engine does to a container's network while it runs
 * (podman network connect and disconnect). Started by `create` in the container's network namespace
 * with a socket to the VMM as fd 3 and, as arguments, how many network devices the machine has, where
 * names are asked for, and the interfaces that the first of the devices stand for.
 *
 * Theory of operation: whenever the namespace has changed and been quiet for a moment, it is looked
 * at as a whole. An interface that is new gets a tap and a device of the guest's that stands for
 * none; one that is gone gives its device back; one that has changed is told of as a whole. What connects
 * in the namespace to an address of its own is handed to the guest, too (net_local.h). All that is read of
 * the guest's is what it asks about names, where an engine answers that in the namespace (net_dns.h): by
 * UDP, for the connections to that server are the VMM's. The
 * end of the socket is the end of the VMM: the redirects are removed, and the process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/neighbour.h>
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
#include <time.h>
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
#include "net_dns.h"
#include "net_local.h"
#include "net_redirect.h"

#define WATCH_FD 3
/* An engine sets an interface up in several steps; nothing is done between two of them. */
#define QUIET_MS 200

struct device {
	int ifindex; /* of the interface it stands for; 0: of none */
	int tap; /* ifindex; 0: made by `create`, which knew of the name server what there was to know */
	char *sent;  /* owned: the description that was sent last; NULL: none yet */
	size_t sent_len;
	uint8_t mac[AGENT_MAC_LEN]; /* that the guest may send with */
};

struct watch {
	struct netlink nl;     /* for requests */
	struct netlink events; /* tells what changes */
	struct net_local local;
	struct net_dns dns;
	int ports; /* of net_redirect_open_ports(): later all files are for reading */
	struct device devices[VMM_NET_MAX];
	size_t count;
	size_t queues; /* of each device, and of its tap */
	int64_t look_at; /* CLOCK_MONOTONIC, ms: when the namespace has been quiet; -1: it has not changed */
	bool looked;
	char *notes; /* owned: of what the guest is not given; NULL: of nothing */
};

/* What is polled for, in this order. */
enum { WAIT_VMM, WAIT_EVENTS, WAIT_LOCAL, WAIT_DNS = WAIT_LOCAL + NET_LOCAL_FAMILIES,
       WAIT_MAX = WAIT_DNS + NET_DNS_MAX };

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

/*
 * Tell of a device's interface what was not told before; with the queues of its tap if it is new. What
 * was told at create is told again when it is first looked at, for it may have changed by then.
 */
static void device_describe(struct watch *w, struct device *d, struct agent_interface *in,
			    const int *taps, size_t queues)
{
	const uint32_t number = (uint32_t)(d - w->devices);
	cleanup_wire struct wire_writer desc = { 0 };
	cleanup_error struct error *err = NULL;

	net_device_mac(number, in->device_mac);
	agent_interfaces_encode(&desc, in, 1);
	if (desc.failed || (!queues && d->sent && d->sent_len == desc.len &&
			    !memcmp(d->sent, desc.data, desc.len)))
		return;
	if (!queues && memcmp(d->mac, in->mac, AGENT_MAC_LEN) &&
	    net_redirect_set_mac(&w->nl, d->ifindex, in->mac, &err) < 0)
		log_warning("interface %s: %s", in->name, error_msg(err));
	memcpy(d->mac, in->mac, AGENT_MAC_LEN);
	watch_send(queues ? VMM_NET_PLUG : VMM_NET_CHANGE, number, desc.data, desc.len, taps, queues);
	free(d->sent);
	d->sent_len = desc.len;
	d->sent = steal_ptr(desc.data);
}

static struct device *free_device(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!w->devices[i].ifindex)
			return &w->devices[i];
	return NULL;
}

/* The device that the interface has now; NULL with an error. */
static struct device *plug(struct watch *w, int ifindex, struct agent_interface *in, struct error **err)
{
	struct device *d = free_device(w);
	int fds[VMM_NET_QUEUES_MAX], tap, r = -1;

	if (!d) {
		error_set(err, 0, "the microVM has no network device left for it; it has it after a "
			  "restart");
		return NULL;
	}
	tap = net_tap_create(&w->nl, ifindex, in->mtu, fds, w->queues, err);
	if (tap < 0)
		return NULL;
	r = net_redirect_join(&w->nl, ifindex, tap, in->mac, err);
	if (r == 0) {
		d->ifindex = ifindex;
		d->tap = tap;
		if (net_dns_asks(&w->dns))
			net_redirect_share_names(&w->nl, ifindex, tap);
		device_describe(w, d, in, fds, w->queues);
	}
	for (size_t i = 0; i < w->queues; i++)
		close(fds[i]);
	return r == 0 ? d : NULL;
}

static struct device *device_of(struct watch *w, int ifindex)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->devices[i].ifindex == ifindex)
			return &w->devices[i];
	return NULL;
}

/* What the guest is not given, when that changes; `create` has told what there was then. */
static void look_at_notes(struct watch *w, struct net_found *found)
{
	const bool same = w->notes && found->notes && !strcmp(w->notes, found->notes);

	if (found->notes && !same && w->looked)
		log_warning("%s", found->notes);
	w->looked = true;
	free(w->notes);
	w->notes = steal_ptr(found->notes);
}

static void look_for_new(struct watch *w, struct net_found *found)
{
	for (size_t i = 0; i < found->count; i++) {
		struct agent_interface *in = &found->interfaces[i];
		cleanup_error struct error *err = NULL;
		char text[512];

		if (device_of(w, found->ifindex[i]) || plug(w, found->ifindex[i], in, &err))
			continue;
		snprintf(text, sizeof(text), "interface %s: %s", in->name, error_msg(err));
		net_found_note(found, text);
	}
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
	/* Before the others: a route of a new one's may come before one that there was. */
	look_for_new(w, &found);
	for (size_t i = 0; i < found.count; i++) {
		struct device *d = device_of(w, found.ifindex[i]);

		if (d)
			device_describe(w, d, &found.interfaces[i], NULL, 0);
	}
	look_at_notes(w, &found);
	net_found_release(&found);
}

/* Of neighbours only the permanent ones are the guest's; the namespace's own come and go. */
static bool matters(const struct nlmsghdr *h)
{
	const struct ndmsg *nd = NLMSG_DATA(h);

	return h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*nd)) ||
	       nd->ndm_state & NUD_PERMANENT;
}

/* Read away what changed: did anything that is of interest, or was something lost? */
static bool drain(int fd)
{
	_Alignas(struct nlmsghdr) char buf[8192];
	bool changed = false;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0 || errno == ENOBUFS ||
	       errno == EINTR) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
		size_t len = n > 0 ? (size_t)n : 0;

		changed |= n <= 0;
		for (; NLMSG_OK(h, len) && !changed; h = NLMSG_NEXT(h, len))
			changed = matters(h);
	}
	return changed;
}

/* A name server that the engine has begun since create; before what is plugged, which takes part in it. */
static uint32_t look_for_names(struct watch *w)
{
	const uint32_t address = w->dns.settle_address;

	if (!address || net_dns_asks(&w->dns) || !net_dns_is_served(address))
		return 0;
	net_dns_serve(&w->dns, address);
	net_redirect_names_ports(w->ports);
	for (size_t i = 0; i < w->count; i++)
		if (w->devices[i].ifindex && w->devices[i].tap)
			net_redirect_share_names(&w->nl, w->devices[i].ifindex, w->devices[i].tap);
	return address;
}

/* The container's process is about to begin: it finds everything there. */
static void settle(struct watch *w)
{
	const uint32_t name_server = look_for_names(w);

	w->dns.settle = false;
	drain(w->events.fd);
	w->look_at = -1;
	look(w);
	watch_send(VMM_NET_SETTLED, name_server, NULL, 0, NULL, 0);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until something has to be done without being told. */
static int watch_timeout(const struct watch *w)
{
	const int dns = net_dns_timeout(&w->dns);
	int64_t left;

	if (w->look_at < 0)
		return dns;
	left = w->look_at - now_ms();
	if (left < 0)
		left = 0;
	return dns >= 0 && dns < left ? dns : (int)left;
}

/* How the VMM ended does not matter; one that speaks nonsense has fallen to its guest. */
static bool hear_vmm(struct watch *w)
{
	const int r = net_dns_receive(&w->dns, WATCH_FD);

	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		log_warning("the VMM's questions about names: %s", strerror(-r));
	return r == 0;
}

/* Answers before questions: these may take the places of those that wait. */
static bool watch_turn(struct watch *w, const struct pollfd *pfd)
{
	net_dns_answer(&w->dns, pfd + WAIT_DNS, WATCH_FD);
	if (pfd[WAIT_VMM].revents && !hear_vmm(w))
		return false;
	if (w->dns.settle)
		settle(w);
	if (pfd[WAIT_EVENTS].revents && drain(w->events.fd))
		w->look_at = now_ms() + QUIET_MS;
	for (unsigned int i = 0; i < NET_LOCAL_FAMILIES; i++)
		if (pfd[WAIT_LOCAL + i].revents)
			net_local_accept(&w->local, i, WATCH_FD);
	if (w->look_at >= 0 && w->look_at <= now_ms()) {
		w->look_at = -1;
		look(w);
	}
	return true;
}

static void watch_run(struct watch *w)
{
	struct pollfd pfd[WAIT_MAX] = { { WATCH_FD, POLLIN, 0 }, { w->events.fd, POLLIN, 0 } };
	int n;

	/* What happened between create and now. */
	w->look_at = now_ms() + QUIET_MS;
	for (unsigned int i = 0; i < NET_LOCAL_FAMILIES; i++)
		pfd[WAIT_LOCAL + i] = (struct pollfd){ w->local.listeners[i], POLLIN, 0 };
	do {
		net_dns_watch(&w->dns, pfd + WAIT_DNS);
		n = poll(pfd, WAIT_MAX, watch_timeout(w));
	} while ((n < 0 && errno == EINTR) || (n >= 0 && watch_turn(w, pfd)));
}

static int watch_open(struct watch *w, struct error **err)
{
	static const int groups[] = { RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
				      RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH };

	if (netlink_open(&w->nl, err) < 0 || netlink_open(&w->events, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (setsockopt(w->events.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			return error_set(err, errno, "cannot watch the container's network");
	return 0;
}

/*
 * Arguments: log format, log level, number of devices, their queues, the name server's address or 0, the
 * first devices' ifindexes.
 */
static int watch_arguments(struct watch *w, int argc, char **argv)
{
	if (argc < 6)
		return -1;
	log_init("krun-gpu-net", STDERR_FILENO, (enum log_format)atoi(argv[1]),
		 (enum log_level)atoi(argv[2]));
	w->count = (size_t)atoi(argv[3]);
	w->queues = (size_t)atoi(argv[4]);
	if (w->count > VMM_NET_MAX || (size_t)argc - 6 > w->count || w->queues < 1 ||
	    w->queues > VMM_NET_QUEUES_MAX)
		return -1;
	net_dns_open(&w->dns, (uint32_t)strtoul(argv[5], NULL, 10));
	for (int i = 6; i < argc; i++)
		w->devices[i - 6].ifindex = atoi(argv[i]);
	return 0;
}

static const struct sandbox_rule rules[] = {
	SANDBOX_ALLOW("poll", "changes of the namespace, the VMM's questions and its end"),
	SANDBOX_ALLOW("ppoll", "poll(), on architectures without it"),
	SANDBOX_ALLOW("restart_syscall", "a wait that a stop and a continue interrupted"),
	SANDBOX_ALLOW("rt_sigreturn", "likewise"),
	SANDBOX_ALLOW("sendto", "requests to rtnetlink; questions about names"),
	SANDBOX_ALLOW("recvfrom", "its answers, and what it tells; the name server's answers"),
	SANDBOX_ALLOW("sendmsg", "taps, connections and answers to the VMM"),
	SANDBOX_ARG("socket", 0, AF_INET, "an interface's index; who listens here? the name server"),
	SANDBOX_ARG("socket", 0, AF_INET6, "who listens here?"),
	SANDBOX_ALLOW("accept4", "connections in the namespace"),
	SANDBOX_ALLOW("getsockopt", "where they were to go"),
	SANDBOX_ARG("setsockopt", 1, SOL_SOCKET, "a mark"),
	SANDBOX_ALLOW("connect", "who listens here? the name server"),
	SANDBOX_ALLOW("shutdown", "a relayed connection's half"),
	SANDBOX_FCNTL(F_GETFL, "one that blocks"),
	SANDBOX_FCNTL(F_SETFL, "likewise"),
	SANDBOX_ARG("clone", 0, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, "a process that relays"),
	SANDBOX_ALLOW("set_robust_list", "likewise"),
	SANDBOX_ALLOW("rseq", "likewise"),
	SANDBOX_ALLOW("gettid", "likewise"),
	SANDBOX_ALLOW("rt_sigprocmask", "likewise"),
	SANDBOX_ARG("ioctl", 1, SIOCGIFINDEX, "an interface's index"),
	SANDBOX_ALLOW("openat", "/dev/net/tun, an interface's settings in /proc/sys/net"),
	SANDBOX_ARG("ioctl", 1, TUNSETIFF, "make a tap"),
	SANDBOX_ARG("ioctl", 1, TUNSETVNETHDRSZ, "make a tap"),
	SANDBOX_ARG("ioctl", 1, TUNSETVNETLE, "make a tap"),
	SANDBOX_ALLOW("read", "an interface's settings, the VMM's questions"),
	SANDBOX_ALLOW("close", "taps, settings, questions"),
	SANDBOX_ALLOW("write", "the log; at which ports the namespace begins"),
	SANDBOX_ALLOW("clock_gettime", "time-outs and the log, where the vDSO cannot"),
	SANDBOX_WITHOUT("mmap", 2, PROT_EXEC, "allocator"),
	SANDBOX_WITHOUT("mprotect", 2, PROT_EXEC, "allocator"),
	SANDBOX_ALLOW("munmap", "allocator"),
	SANDBOX_ALLOW("mremap", "allocator"),
	SANDBOX_ALLOW("madvise", "allocator"),
	SANDBOX_ALLOW("brk", "allocator"),
	SANDBOX_ALLOW("getrandom", "allocator"),
	SANDBOX_ALLOW("exit_group", "the end"),
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
	w.ports = net_redirect_open_ports();
	if (narrow(&err) < 0) {
		log_error("%s", error_msg(err));
		return 1;
	}
	watch_run(&w);
	net_local_close(&w.local);
	net_dns_close(&w.dns);
	for (size_t i = 0; i < w.count; i++) {
		if (w.devices[i].ifindex)
			net_redirect_remove(&w.nl, w.devices[i].ifindex);
		device_clear(&w.devices[i]);
	}
	free(w.notes);
	return 0;
}
