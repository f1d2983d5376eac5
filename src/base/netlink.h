/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_NETLINK_H
#define BASE_NETLINK_H

/*
 * Netlink requests, as few of them as containers need. A socket belongs to the network namespace
 * in which it was opened, whatever namespace its user moves to.
 */

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct netlink {
	int fd; /* owned */
	uint32_t seq;
};

/** netlink_open() - rtnetlink of this thread's network namespace; 0 or -1 */
int netlink_open(struct netlink *nl, struct error **err);

/** netlink_open_protocol() - another of netlink's protocols (NETLINK_NETFILTER, …); 0 or -1 */
int netlink_open_protocol(struct netlink *nl, int protocol, struct error **err);

/** netlink_close() - harmless when it is not open (fd -1) */
void netlink_close(struct netlink *nl);

/** struct netlink_request - one message being written; errors are sticky until it is sent */
struct netlink_request {
	union {
		struct nlmsghdr header;
		char data[4096];
	};
	bool failed; /* too long */
};

/**
 * netlink_begin() - start a message
 * @type:  RTM_*
 * @flags: NLM_F_* beside NLM_F_REQUEST
 * @body:  the family's header (struct ifinfomsg, …), @len bytes
 */
void netlink_begin(struct netlink_request *req, uint16_t type, uint16_t flags, const void *body,
		   size_t len);

void netlink_put(struct netlink_request *req, uint16_t type, const void *data, size_t len);
void netlink_put_u8(struct netlink_request *req, uint16_t type, uint8_t v);
void netlink_put_u32(struct netlink_request *req, uint16_t type, uint32_t v);
void netlink_put_str(struct netlink_request *req, uint16_t type, const char *s);

/** netlink_nest() - begin an attribute of attributes; what netlink_nest_end() wants */
size_t netlink_nest(struct netlink_request *req, uint16_t type);
void netlink_nest_end(struct netlink_request *req, size_t nest);

/** netlink_do() - send a request and wait for its acknowledgement; 0 or -errno */
int netlink_do(struct netlink *nl, struct netlink_request *req);

/**
 * netlink_batch() - send several requests as one datagram, of which all or none is done
 * @reqs: for a protocol with batches, its messages for their begin and end included
 *
 * Return: 0 when the last but one (the last that does something) is acknowledged, or -errno.
 */
int netlink_batch(struct netlink *nl, struct netlink_request *reqs, size_t count);

/** typedef netlink_fn - one message of a dump; 0, or a negative number that ends it */
typedef int (*netlink_fn)(void *data, const struct nlmsghdr *h);

/**
 * netlink_dump() - send a request with NLM_F_DUMP and hand out what comes
 *
 * Return: 0, -errno, or what @fn answered. -EINTR: what was dumped changed meanwhile.
 */
int netlink_dump(struct netlink *nl, struct netlink_request *req, netlink_fn fn, void *data);

/**
 * netlink_attrs() - the attributes of a message
 * @body: size of the family's header
 * @tb:   out: by type, up to @max; the others are left out. NULL: absent
 */
void netlink_attrs(const struct nlmsghdr *h, size_t body, const struct rtattr **tb, size_t max);

/** netlink_u32() - a number of an attribute; 0 when it is absent or too short */
uint32_t netlink_u32(const struct rtattr *a);

/** netlink_str() - a string of an attribute; NULL when it is absent or not terminated */
const char *netlink_str(const struct rtattr *a);

#define cleanup_netlink __attribute__((cleanup(netlink_close)))

#endif
