/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: as "nft" would be told
 *
 *	table ip krun-gpu {
 *		flags owner
 *		chain local {
 *			type nat hook output priority -100
 *			meta l4proto tcp mark != MARK fib daddr type local redirect to :PORT
 *		}
 *	}
 *
 * A table with an owner cannot be changed by others, and goes with its owner's socket.
 */
#include "net_nft.h"

#include <netinet/in.h> /* before the kernel's */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define TABLE "krun-gpu"
#define CHAIN "local"
#define PRIORITY_DSTNAT (-100)

static void begin(struct netlink_request *req, uint16_t subsystem, uint16_t type, uint16_t flags,
		  uint8_t family)
{
	/* Of a batch the resource is the subsystem that it is for. */
	const struct nfgenmsg body = {
		.nfgen_family = family, .version = NFNETLINK_V0,
		.res_id = htons(subsystem == NFNL_SUBSYS_NONE ? NFNL_SUBSYS_NFTABLES : 0),
	};

	netlink_begin(req, (uint16_t)(subsystem << 8 | type), flags, &body, sizeof(body));
}

/* nf_tables has its numbers in network byte order, and those of the kernel's registers in its own. */
static void put_be32(struct netlink_request *req, uint16_t type, uint32_t v)
{
	netlink_put_u32(req, type, htonl(v));
}

static void put_data(struct netlink_request *req, uint16_t type, const void *value, size_t len)
{
	const size_t nest = netlink_nest(req, type | NLA_F_NESTED);

	netlink_put(req, NFTA_DATA_VALUE, value, len);
	netlink_nest_end(req, nest);
}

struct expression {
	size_t element, data;
};

static struct expression expression_begin(struct netlink_request *req, const char *name)
{
	struct expression e = { .element = netlink_nest(req, NFTA_LIST_ELEM | NLA_F_NESTED) };

	netlink_put_str(req, NFTA_EXPR_NAME, name);
	e.data = netlink_nest(req, NFTA_EXPR_DATA | NLA_F_NESTED);
	return e;
}

static void expression_end(struct netlink_request *req, struct expression e)
{
	netlink_nest_end(req, e.data);
	netlink_nest_end(req, e.element);
}

static void put_meta(struct netlink_request *req, uint32_t key)
{
	const struct expression e = expression_begin(req, "meta");

	put_be32(req, NFTA_META_DREG, NFT_REG_1);
	put_be32(req, NFTA_META_KEY, key);
	expression_end(req, e);
}

static void put_compare(struct netlink_request *req, uint32_t op, const void *value, size_t len)
{
	const struct expression e = expression_begin(req, "cmp");

	put_be32(req, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(req, NFTA_CMP_OP, op);
	put_data(req, NFTA_CMP_DATA, value, len);
	expression_end(req, e);
}

static void put_address_type(struct netlink_request *req)
{
	const struct expression e = expression_begin(req, "fib");

	put_be32(req, NFTA_FIB_DREG, NFT_REG_1);
	put_be32(req, NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
	put_be32(req, NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
	expression_end(req, e);
}

static void put_redirect(struct netlink_request *req, uint16_t port)
{
	const uint16_t value = htons(port);
	struct expression e = expression_begin(req, "immediate");

	put_be32(req, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_data(req, NFTA_IMMEDIATE_DATA, &value, sizeof(value));
	expression_end(req, e);
	e = expression_begin(req, "redir");
	put_be32(req, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
	expression_end(req, e);
}

static void put_table(struct netlink_request *req, uint8_t family)
{
	begin(req, NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, family);
	netlink_put_str(req, NFTA_TABLE_NAME, TABLE);
	put_be32(req, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
}

static void put_chain(struct netlink_request *req, uint8_t family)
{
	size_t hook;

	begin(req, NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family);
	netlink_put_str(req, NFTA_CHAIN_TABLE, TABLE);
	netlink_put_str(req, NFTA_CHAIN_NAME, CHAIN);
	hook = netlink_nest(req, NFTA_CHAIN_HOOK | NLA_F_NESTED);
	put_be32(req, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	put_be32(req, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_DSTNAT);
	netlink_nest_end(req, hook);
	netlink_put_str(req, NFTA_CHAIN_TYPE, "nat");
}

static void put_rule(struct netlink_request *req, uint8_t family, uint16_t port, uint32_t mark)
{
	const uint32_t local = RTN_LOCAL;
	const uint8_t tcp = IPPROTO_TCP;
	size_t expressions;

	begin(req, NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
	netlink_put_str(req, NFTA_RULE_TABLE, TABLE);
	netlink_put_str(req, NFTA_RULE_CHAIN, CHAIN);
	expressions = netlink_nest(req, NFTA_RULE_EXPRESSIONS | NLA_F_NESTED);
	put_meta(req, NFT_META_L4PROTO);
	put_compare(req, NFT_CMP_EQ, &tcp, sizeof(tcp));
	put_meta(req, NFT_META_MARK);
	put_compare(req, NFT_CMP_NEQ, &mark, sizeof(mark));
	put_address_type(req);
	put_compare(req, NFT_CMP_EQ, &local, sizeof(local));
	put_redirect(req, port);
	netlink_nest_end(req, expressions);
}

int net_nft_redirect(struct netlink *nl, uint8_t family, uint16_t port, uint32_t mark)
{
	struct netlink_request reqs[5];

	begin(&reqs[0], NFNL_SUBSYS_NONE, NFNL_MSG_BATCH_BEGIN, 0, NFPROTO_UNSPEC);
	put_table(&reqs[1], family);
	put_chain(&reqs[2], family);
	put_rule(&reqs[3], family, port, mark);
	begin(&reqs[4], NFNL_SUBSYS_NONE, NFNL_MSG_BATCH_END, 0, NFPROTO_UNSPEC);
	return netlink_batch(nl, reqs, sizeof(reqs) / sizeof(*reqs));
}
