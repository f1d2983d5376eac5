/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_DNS_H
#define NET_DNS_H

/*
 * A container engine may answer questions about names at an address of the loopback interface's, in the
 * container's network namespace on the host. The guest's questions are asked there in its stead: at
 * that one address and port, by UDP. By TCP, the VMM is given connections to it.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"

struct pollfd;

/* Questions that are not answered yet; one more takes the place of the oldest. */
#define NET_DNS_MAX 64
/* For how long one is waited for: longer than who asked will. */
#define NET_DNS_PATIENCE_MS 10000

/** struct net_dns_question - a socket of its own for each, connected, on a port of the kernel's choosing */
struct net_dns_question {
	int fd; /* owned; -1: there is none */
	uint32_t cookie; /* the guest's */
	int64_t deadline; /* CLOCK_MONOTONIC, ms */
};

struct net_dns {
	struct sockaddr_in server; /* family 0: there is none, and nothing is asked */
	struct net_dns_question questions[NET_DNS_MAX];
	struct msg_buffer in; /* what the VMM says */
	bool settle; /* VMM_NET_SETTLE has come; who answers it makes this false */
	bool settled; /* it has come, and does not come again: a process begins once */
	uint32_t settle_address;
};

/**
 * net_dns_is_served() - does somebody listen for questions in this thread's network namespace?
 * @address: IPv4, as a number
 *
 * The loopback interface says at once when nobody does. Waits for 50 ms at most.
 */
bool net_dns_is_served(uint32_t address);

/** net_dns_open() - begin without questions; @address as above, or 0: none will be asked */
void net_dns_open(struct net_dns *d, uint32_t address);

/** net_dns_serve() - from now on there is a server; @address as above */
void net_dns_serve(struct net_dns *d, uint32_t address);

/** net_dns_asks() - is there a server to ask? */
bool net_dns_asks(const struct net_dns *d);

/** net_dns_close() - give all questions up */
void net_dns_close(struct net_dns *d);

/**
 * net_dns_receive() - take what the VMM has said, which is the guest's: VMM_NET_DNS, and nothing else but
 *		       VMM_NET_DNS_CONNECT, which is answered, and VMM_NET_SETTLE, which is noted
 * @vmm: readable; is read once, and not waited for
 *
 * Return: 0; -EPIPE: it has ended; -EPROTO and others: it has broken the protocol.
 */
int net_dns_receive(struct net_dns *d, int vmm);

/** net_dns_watch() - what to poll() for: NET_DNS_MAX of them, some of which are none */
void net_dns_watch(const struct net_dns *d, struct pollfd *pfds);

/** net_dns_timeout() - how many ms until net_dns_answer() is wanted even if nothing came; -1: never */
int net_dns_timeout(const struct net_dns *d);

/**
 * net_dns_answer() - pass answers on, and give up what was waited for long enough
 * @pfds: of net_dns_watch(), since when nothing was received from the VMM
 * @vmm:  gets VMM_NET_DNS_IS; one that does not read goes without
 */
void net_dns_answer(struct net_dns *d, const struct pollfd *pfds, int vmm);

#endif
