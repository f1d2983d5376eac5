/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_AGENT_LINK_H
#define VMM_AGENT_LINK_H

/*
 * The host's end of the conversation with the guest agent (base/agent_proto.h) over vsock port
 * AGENT_PORT_CONTROL. What arrives is hostile data: it is bounded, parsed and handed on by value;
 * the first violation of the protocol ends the link.
 */

#include <stddef.h>
#include <stdint.h>

struct error;
struct event_loop;
struct vsock;
struct agent_link;

/* The longest text of the agent's that is passed on; the rest is cut off. */
#define AGENT_LINK_TEXT_MAX 4096

/** struct agent_link_ops - what the agent said. Texts are NUL-terminated, of any bytes. */
struct agent_link_ops {
	/* HELLO with our version: time to send AGENT_CONTAINER */
	void (*hello)(void *data);
	void (*ready)(void *data);
	void (*started)(void *data, uint32_t id, uint32_t pid);
	void (*exited)(void *data, uint32_t id, int wait_status);
	void (*error)(void *data, uint32_t id, int code, const char *text);
	void (*signaled)(void *data, uint32_t id, int code);
	/* AGENT_CGROUP_IS, well-formed, as it came */
	void (*cgroup)(void *data, const char *payload, size_t len);
	/* CONNECT: a process of the container's wants a connection to a socket of the host's */
	void (*connect)(void *data, uint32_t connection, uint32_t number);
	/* LOCAL_FAILED: what was offered at @port could not be connected in the guest */
	void (*local_failed)(void *data, uint32_t port);
	/* OOM: as many processes have been ended for want of memory */
	void (*oom)(void *data, uint32_t kills);
	/* PROC_IS: what the container's /proc holds, any bytes, or an errno */
	void (*proc)(void *data, uint32_t cookie, int code, const char *text, size_t len);
	/* DNS: a question about names, of 1 to AGENT_DNS_MAX bytes */
	void (*dns)(void *data, uint32_t cookie, const char *question, size_t len);
	/* The link ended: the agent went away or broke the protocol. Called once, nothing after it. */
	void (*lost)(void *data, const char *why);
};

/** agent_link_create() - offer the control port to the guest; @ops is borrowed */
struct agent_link *agent_link_create(struct event_loop *loop, struct vsock *vs,
				     const struct agent_link_ops *ops, void *data,
				     struct error **err);
void agent_link_free(struct agent_link *link);

/**
 * agent_link_send() - queue a message for the agent
 *
 * Return: 0; -EPIPE when the link is lost; -ENOBUFS when the agent has let too much pile up;
 * -ENOMEM.
 */
int agent_link_send(struct agent_link *link, uint32_t type, const void *payload, size_t len);

#endif
