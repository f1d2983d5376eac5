/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a message gives a network device a tap, or takes it away, and the guest agent is
 * told; or it brings a connection that began in the namespace and is meant for the guest; or the answer
 * to what the guest asked about names, or a connection to who answers that. That is all that krun-gpu-net
 * sees of the guest's. It is one of
 * ours, and its messages are checked all the same. Nothing here waits for it: a question that it has no
 * room for is dropped. When it dies the network stays as it is.
 */
#include "vmm/net_plugs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "vmm/container.h"
#include "vmm/event_loop.h"
#include "vmm/virtio/net.h"

struct net_plugs {
	struct event_loop *loop; /* borrowed, as all but the socket */
	int sock;		 /* owned */
	struct event_source src;
	const struct vmm_config *cfg;
	struct virtio_device *const *nets;
	struct container *container;
};

/* A guest that refuses, or has no place for one more, is no reason to stop. */
static int plugs_local(struct net_plugs *np, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t port = wire_get_u32(&r);
	size_t len = 0;
	const char *address = wire_get_bytes(&r, &len);
	int e;

	if (!wire_done(&r) || !address || (len != 4 && len != 16) || port > UINT16_MAX ||
	    msg->nfds != 1)
		return -EPROTO;
	e = container_local_connect(np->container, steal_fd(&msg->fds[0]), port, address, len);
	if (e < 0)
		log_debug("a connection to port %u of the container: %s", port, strerror(-e));
	return 0;
}

/* The payload is the agent's as it is. An agent that does not read goes without its answers. */
static int plugs_dns_is(struct net_plugs *np, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	size_t len = 0;

	wire_get_u32(&r);
	wire_get_bytes(&r, &len);
	if (!wire_done(&r) || !len || len > AGENT_DNS_MAX || msg->nfds)
		return -EPROTO;
	container_tell_agent(np->container, AGENT_DNS_IS, msg->payload, msg->len);
	return 0;
}

static void plugs_ask(void *data, uint32_t cookie, const char *question, size_t len)
{
	cleanup_wire struct wire_writer w = { 0 };
	const struct net_plugs *np = data;

	wire_put_u32(&w, cookie);
	wire_put_bytes(&w, question, len);
	if (!w.failed)
		msg_send_now(np->sock, VMM_NET_DNS, w.data, w.len);
}

static int plugs_connect(void *data, uint32_t slot)
{
	cleanup_wire struct wire_writer w = { 0 };
	const struct net_plugs *np = data;

	wire_put_u32(&w, slot);
	return w.failed ? -ENOMEM : msg_send_now(np->sock, VMM_NET_DNS_CONNECT, w.data, w.len);
}

static int plugs_settle(void *data, uint32_t name_server)
{
	cleanup_wire struct wire_writer w = { 0 };
	const struct net_plugs *np = data;

	wire_put_u32(&w, name_server);
	return w.failed ? -ENOMEM : msg_send_now(np->sock, VMM_NET_SETTLE, w.data, w.len);
}

static int plugs_settled(struct net_plugs *np, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t name_server = wire_get_u32(&r);

	return !wire_done(&r) || msg->nfds ? -EPROTO :
					     container_net_settled(np->container, name_server);
}

static int plugs_dns_connected(struct net_plugs *np, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t slot = wire_get_u32(&r), code = wire_get_u32(&r);

	if (!wire_done(&r) || msg->nfds > 1)
		return -EPROTO;
	return container_dns_connected(np->container, slot, code,
				       msg->nfds ? steal_fd(&msg->fds[0]) : -1);
}

static int plugs_obey(struct net_plugs *np, struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	const uint32_t device = wire_get_u32(&r);
	const char *described = NULL;
	size_t len = 0;
	int e = 0;

	if (msg->type == VMM_NET_PLUG || msg->type == VMM_NET_CHANGE)
		described = wire_get_bytes(&r, &len);
	if (!wire_done(&r) || device >= VMM_NET_MAX || !np->nets[device] ||
	    msg->nfds != (msg->type == VMM_NET_PLUG ? np->cfg->net_queues : 0))
		return -EPROTO;
	switch (msg->type) {
	case VMM_NET_PLUG:
		msg->nfds = 0; /* they are the device's now */
		e = net_plug(np->nets[device], msg->fds);
		break;
	case VMM_NET_CHANGE:
		break;
	case VMM_NET_UNPLUG:
		net_unplug(np->nets[device]);
		return container_tell_agent(np->container, AGENT_INTERFACE_GONE,
					    np->cfg->net[device].mac, AGENT_MAC_LEN);
	default:
		return -EPROTO;
	}
	if (e == 0)
		e = container_tell_agent(np->container, AGENT_INTERFACE, described, len);
	return e;
}

static void plugs_ready(void *data, uint32_t events)
{
	struct net_plugs *np = data;
	cleanup_msg struct msg msg = { 0 };
	int r = msg_recv(np->sock, &msg);

	(void)events;
	if (r == 0)
		r = -EPIPE;
	else if (r > 0 && msg.type == VMM_NET_LOCAL)
		r = plugs_local(np, &msg);
	else if (r > 0 && msg.type == VMM_NET_DNS_IS)
		r = plugs_dns_is(np, &msg);
	else if (r > 0 && msg.type == VMM_NET_DNS_CONNECTED)
		r = plugs_dns_connected(np, &msg);
	else if (r > 0 && msg.type == VMM_NET_SETTLED)
		r = plugs_settled(np, &msg);
	else if (r > 0)
		r = plugs_obey(np, &msg);
	if (r >= 0)
		return;
	log_warning("the container's network is not followed any more: %s",
		    r == -EPIPE ? "krun-gpu-net has ended" : strerror(-r));
	event_loop_remove(np->loop, &np->src);
	container_set_net(np->container, NULL);
}

struct net_plugs *net_plugs_create(struct event_loop *loop, int sock, const struct vmm_config *cfg,
				   struct virtio_device *const *nets, struct container *container,
				   struct error **err)
{
	struct net_plugs *np = calloc(1, sizeof(*np));
	int r = -ENOMEM;

	if (np) {
		*np = (struct net_plugs){ .loop = loop, .sock = sock, .cfg = cfg, .nets = nets,
					  .container = container };
		r = event_loop_add(loop, &np->src, sock, EPOLLIN, plugs_ready, np);
	}
	if (r == 0) {
		container_set_net(container, &(struct container_net){ plugs_ask, plugs_connect,
								      plugs_settle, np });
		return np;
	}
	error_set(err, -r, "cannot follow the container's network");
	close(sock);
	free(np);
	return NULL;
}

void net_plugs_free(struct net_plugs *np)
{
	if (!np)
		return;
	container_set_net(np->container, NULL);
	event_loop_remove(np->loop, &np->src);
	close(np->sock);
	free(np);
}
