/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_CONTAINER_H
#define VMM_CONTAINER_H

/*
 * The container's state machine in the VMM: between the command lines (set-up socket, control
 * socket), the signals that reach the VMM's own process, and the guest agent.
 */

#include <stdbool.h>

#include "base/vmm_proto.h"

struct container;
struct error;
struct event_loop;
struct vsock;

/** struct container_host - what the container asks of the machine; all run with its lock held */
struct container_host {
	/*
	 * The container's process has ended with @wait_status (as from waitpid()) and all its output
	 * has been delivered. The VMM ends in the same way.
	 */
	void (*ended)(void *data, int wait_status);
	/* The container cannot go on. Whoever waits for an answer has been told @why. */
	void (*failed)(void *data, const char *why);
	/* Stop and continue the vCPUs; 0 or -errno. */
	int (*pause)(void *data);
	int (*resume)(void *data);
	void *data;
};

/**
 * container_block_signals() - make the signals that the container is to get pending for signalfd
 *
 * Call early in main(), before any thread exists. Signals that say that this process itself is
 * broken, SIGCHLD and SIGRTMIN (the vCPUs' kick) stay as they are; SIGPIPE is ignored.
 */
void container_block_signals(void);

/**
 * container_create() - begin: offer the streams, listen to the agent and on the control socket
 * @cfg:  borrowed; its guest payload is sent to the agent when that says HELLO
 * @fds:  by enum vmm_fd, -1 where absent. CONTROL, STDIN, STDOUT, STDERR, CONNECT, OOM and
 *        PROC are taken over and set to -1.
 * @setup: VMM_SETUP_FD, owned from now on, also when this fails: VMM_ERROR has then been sent;
 *         otherwise it gets VMM_CREATED or VMM_ERROR later
 * @host: copied
 *
 * With cfg->terminal the process becomes a session leader whose terminal is STDIN.
 */
struct container *container_create(struct event_loop *loop, struct vsock *vs,
				   const struct vmm_config *cfg, int fds[VMM_FD_COUNT], int setup,
				   const struct container_host *host, struct error **err);

/** container_tell_agent() - pass on what needs no answer (enum agent_msg); 0 or -errno */
int container_tell_agent(struct container *c, uint32_t type, const void *payload, size_t len);

/**
 * container_local_connect() - a connection that is meant for the guest, to an address of its own
 * @fd:      taken over, also on failure: it is reset then
 * @port:    TCP
 * @address: 4 or 16 bytes, in network byte order
 *
 * Return: 0 or -errno.
 */
int container_local_connect(struct container *c, int fd, uint32_t port, const void *address,
			    size_t len);

/**
 * struct container_net - who looks after the container's network namespace, and is asked about names
 * @ask:     by UDP: @question is @len bytes, 1 to AGENT_DNS_MAX, of the guest's making, as @cookie is. An
 *	     answer goes to the agent as AGENT_DNS_IS. What cannot be asked now is dropped: who asked asks
 *	     again.
 * @connect: by TCP: 0 when container_dns_connected() will be called for @slot, or -errno
 * @settle:  what has changed is to be told before the container's process begins: 0 when
 *	     container_net_settled() will be called, or -errno. @name_server: see VMM_NET_SETTLE
 */
struct container_net {
	void (*ask)(void *data, uint32_t cookie, const char *question, size_t len);
	int (*connect)(void *data, uint32_t slot);
	int (*settle)(void *data, uint32_t name_server);
	void *data; /* borrowed */
};

/**
 * container_set_net() - from now on
 * @net: copied; NULL: nobody is asked, as at the beginning: questions are dropped, connections refused, and
 *	 a process that waits begins
 */
void container_set_net(struct container *c, const struct container_net *net);

/**
 * container_net_settled() - the answer to container_net.settle, after all that there was to tell
 * @name_server: see VMM_NET_SETTLED
 *
 * Return: 0, or -EPROTO when it is the answer to nothing.
 */
int container_net_settled(struct container *c, uint32_t name_server);

/**
 * container_dns_connected() - the answer to container_net.connect
 * @code: errno, or 0 with a connection as @fd, which is taken over, also on failure
 *
 * Return: 0, or -EPROTO when it is the answer to nothing.
 */
int container_dns_connected(struct container *c, uint32_t slot, uint32_t code, int fd);

/**
 * container_machine_failed() - the machine is about to end for a reason of its own
 *
 * Tells everyone who waits for an answer. host->failed is not called.
 */
void container_machine_failed(struct container *c, const char *why);

/** container_creator_told() - the command that creates the container has been told why it failed */
bool container_creator_told(const struct container *c);

void container_free(struct container *c);

#endif
