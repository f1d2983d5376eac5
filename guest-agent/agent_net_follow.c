/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: krun-gpu-net looks at the container's network from before the machine has booted,
 * and what it tells may be here before the container is. That waits until the interfaces are there which
 * it is about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "guest-agent/agent_net.h"

int net_begin(struct net *n, struct agent_interface *v, size_t count, struct error **err)
{
	if (net_configure(&n->known, v, count, err) < 0 || net_spares_hide(&n->spares, err) < 0)
		return -1;
	n->begun = true;
	return 0;
}

static int keep(struct net *n, uint32_t type, const void *payload, size_t len, struct error **err)
{
	struct net_early *e = &n->early[n->num_early];

	if (n->num_early == NET_EARLY_MAX)
		return error_set(err, ENOBUFS, "keep what the host tells of the network");
	e->payload = malloc(len ? len : 1);
	if (!e->payload)
		return error_set(err, ENOMEM, "keep what the host tells of the network");
	if (len)
		memcpy(e->payload, payload, len);
	e->type = type;
	e->len = len;
	n->num_early++;
	return 0;
}

static int plug(struct net *n, const void *payload, size_t len, struct error **err)
{
	struct wire_reader r = WIRE_READER(payload, len);
	size_t count;
	struct agent_interface *v = agent_interfaces_decode(&r, &count);
	int e = wire_done(&r) ? 0 : error_set(err, EPROTO, "malformed interface message");

	for (size_t i = 0; i < count && !e; i++)
		e = net_plug(&n->spares, &n->known, &v[i], err);
	agent_interfaces_release(v, count);
	return e;
}

int net_message(struct net *n, uint32_t type, const void *payload, size_t len, struct error **err)
{
	if (!n->begun)
		return keep(n, type, payload, len, err);
	if (type == AGENT_INTERFACE)
		return plug(n, payload, len, err);
	if (type != AGENT_INTERFACE_GONE || len != AGENT_MAC_LEN)
		return error_set(err, EPROTO, "malformed interface message");
	return net_unplug(&n->spares, &n->known, payload, err);
}

bool net_early(struct net *n, struct error **err)
{
	cleanup_free void *payload = NULL;
	struct net_early e;

	if (!n->begun || !n->num_early)
		return false;
	e = n->early[0];
	payload = e.payload;
	memmove(n->early, n->early + 1, --n->num_early * sizeof(*n->early));
	net_message(n, e.type, payload, e.len, err);
	return true;
}
