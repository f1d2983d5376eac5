/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_AGENT_NET_PROTO_H
#define BASE_AGENT_NET_PROTO_H

/*
 * A network interface as the agent has to set it up: what the container engine had made of the
 * interface on the host that it stands for. Numbers are as rtnetlink has them, addresses in network
 * byte order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_MAC_LEN 6
/* Interfaces of a container. */
#define AGENT_INTERFACES_MAX 4
/* A lifetime that does not end, as struct ifa_cacheinfo has it. */
#define AGENT_FOREVER UINT32_MAX

struct agent_pair;

/** struct agent_ip - an address; family 0: none */
struct agent_ip {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
};

struct agent_address {
	struct agent_ip local;
	struct agent_ip peer;	   /* the other end of a point-to-point link; family 0: none */
	struct agent_ip broadcast; /* IPv4 only */
	uint8_t prefix, scope;
	uint32_t flags;		   /* IFA_F_NOPREFIXROUTE and IFA_F_MANAGETEMPADDR, or 0 */
	uint32_t priority;	   /* metric of the route that comes with it; 0: the kernel's own */
	uint32_t preferred, valid; /* seconds; AGENT_FOREVER */
};

/**
 * struct agent_route - a route of the main table
 *
 * One that leads nowhere (RTN_BLACKHOLE, …) belongs to no interface: that of any one has it.
 */
struct agent_route {
	uint8_t family, type; /* RTN_UNICAST, RTN_BLACKHOLE, … */
	struct agent_ip destination; /* family 0: the default route */
	struct agent_ip gateway, source;
	uint8_t prefix, protocol, scope;
	uint32_t flags;	   /* RTNH_F_ONLINK or 0 */
	uint32_t priority; /* metric */
	uint32_t order;	   /* how many of the container's with its destination and metric come before */
	char *metrics;	   /* RTA_METRICS, as the kernel gave it; NULL: none */
	size_t metrics_len;
};

/** struct agent_neighbour - a permanent entry of the ARP or NDP table */
struct agent_neighbour {
	struct agent_ip ip;
	uint8_t mac[AGENT_MAC_LEN];
};

/**
 * struct agent_interface - one interface
 * @device_mac: the address that the virtio-net device says it has: finds it in the guest
 * @mac:	the address to give it
 * @flags:	IFF_NOARP or 0
 * @sysctls:	paths below /proc/sys/net, and their values
 */
struct agent_interface {
	uint8_t device_mac[AGENT_MAC_LEN], mac[AGENT_MAC_LEN];
	char *name;
	uint32_t mtu, flags;
	struct agent_address *addresses;
	size_t num_addresses;
	struct agent_route *routes;
	size_t num_routes;
	struct agent_neighbour *neighbours;
	size_t num_neighbours;
	struct agent_pair *sysctls;
	size_t num_sysctls;
};

struct wire_reader;
struct wire_writer;

/** agent_interfaces_encode() - a list of them */
void agent_interfaces_encode(struct wire_writer *w, const struct agent_interface *v, size_t count);

/**
 * agent_interfaces_decode() - a malloc'ed list, one element at least, or NULL with @r failed
 *
 * What was read before it failed is released.
 */
struct agent_interface *agent_interfaces_decode(struct wire_reader *r, size_t *count);

/** agent_interfaces_release() - free the list and all that is in it; harmless on NULL */
void agent_interfaces_release(struct agent_interface *v, size_t count);

/** agent_interface_reset() - free what is in one of them, and zero it */
void agent_interface_reset(struct agent_interface *i);

#endif
