/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/agent_net_proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/agent_proto.h"
#include "base/wire.h"

/* The smallest encodings of list elements, for wire_get_count(). */
#define IP_MIN 17
#define ADDRESS_MIN (3 * IP_MIN + 18)
#define ROUTE_MIN (3 * IP_MIN + 21)
#define NEIGHBOUR_MIN (IP_MIN + AGENT_MAC_LEN)
#define SYSCTL_MIN 8
#define INTERFACE_MIN (2 * AGENT_MAC_LEN + 28)

static void put_raw(struct wire_writer *w, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		wire_put_u8(w, bytes[i]);
}

static void get_raw(struct wire_reader *r, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = wire_get_u8(r);
}

static void put_ip(struct wire_writer *w, const struct agent_ip *ip)
{
	wire_put_u8(w, ip->family);
	put_raw(w, ip->bytes, sizeof(ip->bytes));
}

static void get_ip(struct wire_reader *r, struct agent_ip *ip)
{
	ip->family = wire_get_u8(r);
	get_raw(r, ip->bytes, sizeof(ip->bytes));
}

static void encode_routes(struct wire_writer *w, const struct agent_interface *i)
{
	wire_put_u32(w, (uint32_t)i->num_routes);
	for (size_t n = 0; n < i->num_routes; n++) {
		const struct agent_route *t = &i->routes[n];

		wire_put_u8(w, t->family);
		wire_put_u8(w, t->type);
		put_ip(w, &t->destination);
		put_ip(w, &t->gateway);
		put_ip(w, &t->source);
		wire_put_u8(w, t->prefix);
		wire_put_u8(w, t->protocol);
		wire_put_u8(w, t->scope);
		wire_put_u32(w, t->flags);
		wire_put_u32(w, t->priority);
		wire_put_u32(w, t->order);
		wire_put_bytes(w, t->metrics, t->metrics_len);
	}
}

static void encode_interface(struct wire_writer *w, const struct agent_interface *i)
{
	put_raw(w, i->device_mac, AGENT_MAC_LEN);
	put_raw(w, i->mac, AGENT_MAC_LEN);
	wire_put_str(w, i->name);
	wire_put_u32(w, i->mtu);
	wire_put_u32(w, i->flags);
	wire_put_u32(w, (uint32_t)i->num_addresses);
	for (size_t n = 0; n < i->num_addresses; n++) {
		put_ip(w, &i->addresses[n].local);
		put_ip(w, &i->addresses[n].peer);
		put_ip(w, &i->addresses[n].broadcast);
		wire_put_u8(w, i->addresses[n].prefix);
		wire_put_u8(w, i->addresses[n].scope);
		wire_put_u32(w, i->addresses[n].flags);
		wire_put_u32(w, i->addresses[n].priority);
		wire_put_u32(w, i->addresses[n].preferred);
		wire_put_u32(w, i->addresses[n].valid);
	}
	encode_routes(w, i);
	wire_put_u32(w, (uint32_t)i->num_neighbours);
	for (size_t n = 0; n < i->num_neighbours; n++) {
		put_ip(w, &i->neighbours[n].ip);
		put_raw(w, i->neighbours[n].mac, AGENT_MAC_LEN);
	}
	wire_put_u32(w, (uint32_t)i->num_sysctls);
	for (size_t n = 0; n < i->num_sysctls; n++) {
		wire_put_str(w, i->sysctls[n].key);
		wire_put_str(w, i->sysctls[n].value);
	}
}

void agent_interfaces_encode(struct wire_writer *w, const struct agent_interface *v, size_t count)
{
	wire_put_u32(w, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		encode_interface(w, &v[i]);
}

/* Room for a list; one element at least, so that only failure is NULL. */
static void *get_list(struct wire_reader *r, size_t min, size_t size, size_t *count)
{
	const size_t n = wire_get_count(r, min);
	void *p = r->failed ? NULL : calloc(n ? n : 1, size);

	if (!p)
		r->failed = true;
	*count = p ? n : 0;
	return p;
}

static void decode_addresses(struct wire_reader *r, struct agent_interface *i)
{
	i->addresses = get_list(r, ADDRESS_MIN, sizeof(*i->addresses), &i->num_addresses);
	for (size_t n = 0; n < i->num_addresses; n++) {
		get_ip(r, &i->addresses[n].local);
		get_ip(r, &i->addresses[n].peer);
		get_ip(r, &i->addresses[n].broadcast);
		i->addresses[n].prefix = wire_get_u8(r);
		i->addresses[n].scope = wire_get_u8(r);
		i->addresses[n].flags = wire_get_u32(r);
		i->addresses[n].priority = wire_get_u32(r);
		i->addresses[n].preferred = wire_get_u32(r);
		i->addresses[n].valid = wire_get_u32(r);
	}
}

static void decode_metrics(struct wire_reader *r, struct agent_route *t)
{
	size_t len;
	const char *bytes = wire_get_bytes(r, &len);

	if (!bytes || !len)
		return;
	t->metrics = malloc(len);
	if (!t->metrics) {
		r->failed = true;
		return;
	}
	memcpy(t->metrics, bytes, len);
	t->metrics_len = len;
}

static void decode_routes(struct wire_reader *r, struct agent_interface *i)
{
	i->routes = get_list(r, ROUTE_MIN, sizeof(*i->routes), &i->num_routes);
	for (size_t n = 0; n < i->num_routes; n++) {
		struct agent_route *t = &i->routes[n];

		t->family = wire_get_u8(r);
		t->type = wire_get_u8(r);
		get_ip(r, &t->destination);
		get_ip(r, &t->gateway);
		get_ip(r, &t->source);
		t->prefix = wire_get_u8(r);
		t->protocol = wire_get_u8(r);
		t->scope = wire_get_u8(r);
		t->flags = wire_get_u32(r);
		t->priority = wire_get_u32(r);
		t->order = wire_get_u32(r);
		decode_metrics(r, t);
	}
}

static void decode_interface(struct wire_reader *r, struct agent_interface *i)
{
	get_raw(r, i->device_mac, AGENT_MAC_LEN);
	get_raw(r, i->mac, AGENT_MAC_LEN);
	i->name = wire_get_str(r);
	i->mtu = wire_get_u32(r);
	i->flags = wire_get_u32(r);
	decode_addresses(r, i);
	decode_routes(r, i);
	i->neighbours = get_list(r, NEIGHBOUR_MIN, sizeof(*i->neighbours), &i->num_neighbours);
	for (size_t n = 0; n < i->num_neighbours; n++) {
		get_ip(r, &i->neighbours[n].ip);
		get_raw(r, i->neighbours[n].mac, AGENT_MAC_LEN);
	}
	i->sysctls = get_list(r, SYSCTL_MIN, sizeof(*i->sysctls), &i->num_sysctls);
	for (size_t n = 0; n < i->num_sysctls; n++) {
		i->sysctls[n].key = wire_get_str(r);
		i->sysctls[n].value = wire_get_str(r);
	}
}

struct agent_interface *agent_interfaces_decode(struct wire_reader *r, size_t *count)
{
	struct agent_interface *v = get_list(r, INTERFACE_MIN, sizeof(*v), count);

	for (size_t i = 0; i < *count; i++)
		decode_interface(r, &v[i]);
	if (!r->failed)
		return v;
	agent_interfaces_release(v, *count);
	*count = 0;
	return NULL;
}

void agent_interface_reset(struct agent_interface *i)
{
	free(i->name);
	free(i->addresses);
	for (size_t n = 0; n < i->num_routes; n++)
		free(i->routes[n].metrics);
	free(i->routes);
	free(i->neighbours);
	for (size_t n = 0; n < i->num_sysctls; n++) {
		free(i->sysctls[n].key);
		free(i->sysctls[n].value);
	}
	free(i->sysctls);
	memset(i, 0, sizeof(*i));
}

void agent_interfaces_release(struct agent_interface *v, size_t count)
{
	for (size_t i = 0; v && i < count; i++)
		agent_interface_reset(&v[i]);
	free(v);
}
