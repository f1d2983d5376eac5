/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_NAMES_H
#define GUEST_AGENT_AGENT_NAMES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-agent/agent_loop.h"

struct control;
struct error;
struct sockets;

/* Questions that are not answered yet; who asks one more takes the place of the oldest. */
#define NAMES_CLIENTS_MAX 64

/** struct names_client - who asked, and waits */
struct names_client {
	bool waiting;
	uint32_t cookie;
	struct sockaddr_in address;
};

/**
 * struct names - a name server of the engine's, which listens in the container's network namespace on the
 *		  host, as the container finds it: at the same address
 * @source: of UDP; its fd is owned; -1: there is none
 * @steering: owned: what brings TCP connections to the listener that is among @sockets; -1: nothing does
 * @clients: that of a cookie is at its remainder
 */
struct names {
	struct agent_loop *loop; /* borrowed */
	struct control *control; /* borrowed */
	struct sockets *sockets; /* borrowed */
	struct loop_source source;
	int steering;
	struct names_client clients[NAMES_CLIENTS_MAX];
	uint32_t next; /* cookie */
};

/**
 * names_serve() - answer at an address of the loopback interface's, which is up
 * @address: agent_container.name_server; 0: nowhere
 *
 * Others may have the port at every address, if they ask for SO_REUSEADDR as this does: what is sent to
 * this one comes here. Who takes the very same address so has asked to answer himself. That is UDP; of TCP
 * others may have the port at any address: connections to this one come here. After sockets_listen().
 */
int names_serve(struct names *n, uint32_t address, struct error **err);

/** names_answer() - AGENT_DNS_IS; void where nobody waits for it */
void names_answer(struct names *n, uint32_t cookie, const void *answer, size_t len);

#endif
