/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <stdbool.h>
#include <string.h>

#include "base/netlink.h"

#define INGRESS_HANDLE 0xffff0000u
/* Of the qdisc ingress, and of clsact, which an interface may have instead of it. */
#define INGRESS_PARENT TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)

static struct tcmsg ingress_message(int ifindex)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex,
		.tcm_handle = INGRESS_HANDLE, .tcm_parent = TC_H_INGRESS,
	};
}

static int ingress_add(struct netlink *nl, int ifindex)
{
	const struct tcmsg tc = ingress_message(ifindex);
	struct netlink_request req;
	int r;

	netlink_begin(&req, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, "ingress");
	r = netlink_do(nl, &req);
	return r == -EEXIST ? 0 : r;
}

static struct tcmsg filter_message(int ifindex, uint32_t priority, uint16_t protocol)
{
	return (struct tcmsg){
		.tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = INGRESS_PARENT,
		.tcm_info = TC_H_MAKE(priority << 16, htons(protocol)),
	};
}

static void put_action(struct netlink_request *req, uint16_t type, const struct net_filter *f)
{
	const struct tc_mirred mirred = {
		.action = f->share ? TC_ACT_OK : TC_ACT_STOLEN,
		.eaction = f->share ? TCA_EGRESS_MIRROR : TCA_EGRESS_REDIR,
		.ifindex = (uint32_t)f->to,
	};
	const struct tc_gact drop = { .action = TC_ACT_SHOT };
	const size_t actions = netlink_nest(req, type), first = netlink_nest(req, 1);
	size_t options;

	netlink_put_str(req, TCA_ACT_KIND, f->to ? "mirred" : "gact");
	options = netlink_nest(req, TCA_ACT_OPTIONS);
	if (f->to)
		netlink_put(req, TCA_MIRRED_PARMS, &mirred, sizeof(mirred));
	else
		netlink_put(req, TCA_GACT_PARMS, &drop, sizeof(drop));
	netlink_nest_end(req, options);
	netlink_nest_end(req, first);
	netlink_nest_end(req, actions);
}

/* Keys go by the network header, before which is the Ethernet header. */
static uint8_t source_keys(const uint8_t *source, struct tc_u32_key *keys)
{
	keys[0] = (struct tc_u32_key){ .mask = UINT32_MAX, .off = ETH_ALEN - ETH_HLEN };
	keys[1] = (struct tc_u32_key){ .mask = htonl(0xffff0000u), .off = ETH_ALEN - ETH_HLEN + 4 };
	memcpy(&keys[0].val, source, 4);
	memcpy(&keys[1].val, source + 4, 2);
	return 2;
}

static uint8_t share_keys(const struct net_share *s, struct tc_u32_key *keys)
{
	for (uint8_t i = 0; i < s->num_keys; i++)
		keys[i] = (struct tc_u32_key){ .mask = htonl(s->keys[i].mask),
					       .val = htonl(s->keys[i].value),
					       .off = s->keys[i].off };
	return s->num_keys;
}

/* A key that is zero is met by all. */
static void put_u32(struct netlink_request *req, const struct net_filter *f)
{
	struct tc_u32_key keys[NET_SHARE_KEYS_MAX] = { 0 };
	struct tc_u32_sel sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
	uint8_t buf[sizeof(sel) + sizeof(keys)];

	if (f->source)
		sel.nkeys = source_keys(f->source, keys);
	else if (f->share)
		sel.nkeys = share_keys(f->share, keys);
	memcpy(buf, &sel, sizeof(sel));
	memcpy(buf + sizeof(sel), keys, sizeof(keys));
	netlink_put(req, TCA_U32_SEL, buf, sizeof(sel) + sel.nkeys * sizeof(keys[0]));
}

static void put_flower(struct netlink_request *req, const struct net_filter *f)
{
	uint8_t all[ETH_ALEN];

	if (!f->source)
		return;
	memset(all, 0xff, sizeof(all));
	netlink_put(req, TCA_FLOWER_KEY_ETH_SRC, f->source, ETH_ALEN);
	netlink_put(req, TCA_FLOWER_KEY_ETH_SRC_MASK, all, sizeof(all));
}

/* The first of these that the kernel has, and that can tell apart what the filter has to. */
static const struct classifier {
	const char *name;
	uint16_t action;
	bool sources, shares;
	void (*put)(struct netlink_request *req, const struct net_filter *f);
} classifiers[] = {
	{ "matchall", TCA_MATCHALL_ACT, false, false, NULL },
	{ "u32", TCA_U32_ACT, true, true, put_u32 },
	{ "flower", TCA_FLOWER_ACT, true, false, put_flower },
};

static uint16_t filter_protocol(const struct net_filter *f)
{
	return f->share ? f->share->protocol : ETH_P_ALL;
}

static int filter_add_as(struct netlink *nl, const struct net_filter *f, const struct classifier *c)
{
	const struct tcmsg tc = filter_message(f->at, f->priority, filter_protocol(f));
	struct netlink_request req;
	size_t options;

	netlink_begin(&req, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, c->name);
	options = netlink_nest(&req, TCA_OPTIONS);
	if (c->put)
		c->put(&req, f);
	/* What nothing is done with arrives, and is past the filters that come after this one. */
	if (f->to || !f->share)
		put_action(&req, c->action, f);
	netlink_nest_end(&req, options);
	return netlink_do(nl, &req);
}

int net_filter_delete(struct netlink *nl, int ifindex, uint32_t priority, uint16_t protocol)
{
	const struct tcmsg tc = filter_message(ifindex, priority, protocol);
	struct netlink_request req;

	netlink_begin(&req, RTM_DELTFILTER, 0, &tc, sizeof(tc));
	return netlink_do(nl, &req);
}

int net_filter_add(struct netlink *nl, const struct net_filter *f)
{
	int r = ingress_add(nl, f->at);

	if (r < 0)
		return r;
	net_filter_delete(nl, f->at, f->priority, filter_protocol(f));
	r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < sizeof(classifiers) / sizeof(*classifiers); i++) {
		const struct classifier *c = &classifiers[i];

		if ((!f->source || c->sources) && (!f->share || c->shares))
			r = filter_add_as(nl, f, c);
	}
	return r;
}

static int count_filter(void *data, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == RTM_NEWTFILTER)
		++*(unsigned int *)data;
	return 0;
}

void net_filter_remove_ingress(struct netlink *nl, int ifindex)
{
	struct tcmsg tc = filter_message(ifindex, 0, ETH_P_ALL);
	struct netlink_request req;
	unsigned int others = 0;

	tc.tcm_info = 0;
	netlink_begin(&req, RTM_GETTFILTER, 0, &tc, sizeof(tc));
	if (netlink_dump(nl, &req, count_filter, &others) < 0 || others)
		return;
	tc = ingress_message(ifindex);
	netlink_begin(&req, RTM_DELQDISC, 0, &tc, sizeof(tc));
	netlink_put_str(&req, TCA_KIND, "ingress");
	netlink_do(nl, &req);
}
