/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_CONTROL_H
#define GUEST_AGENT_AGENT_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "base/msg.h"
#include "guest-agent/agent_loop.h"

struct agent_pair;
struct error;

/**
 * struct control - the connection that orders come by (agent_proto.h)
 * @message: called with each whole message
 * @lost:    the host has closed it: the machine is at its end
 */
struct control {
	struct agent_loop *loop; /* borrowed */
	struct loop_source source; /* its fd is owned */
	struct msg_buffer buffer;
	void (*message)(void *data, const struct msg *msg);
	void (*lost)(void *data);
	void *data;
};

/** control_connect() - connect to the host and say HELLO; the callbacks and data are set already */
int control_connect(struct control *c, struct agent_loop *loop, struct error **err);

void control_release(struct control *c);

/* One function for each message of the agent's. A host that is gone is noticed in the loop. */
void control_send_ready(struct control *c);
void control_send_started(struct control *c, uint32_t id, uint32_t pid);
void control_send_exited(struct control *c, uint32_t id, int status);
void control_send_error(struct control *c, uint32_t id, uint32_t code, const char *why);
void control_send_signaled(struct control *c, uint32_t id, uint32_t code);
/** control_send_cgroup() - @e: why it failed, or NULL */
void control_send_cgroup(struct control *c, const struct error *e, const struct agent_pair *files,
			 size_t count);
/** control_send_proc() - the answer to AGENT_PROC: an errno, or a text */
void control_send_proc(struct control *c, uint32_t cookie, int code, const void *text, size_t len);
/** control_send_oom() - @kills processes have been ended for want of memory until now */
void control_send_oom(struct control *c, uint32_t kills);
void control_send_connect(struct control *c, uint32_t connection, uint32_t socket);
void control_send_local_failed(struct control *c, uint32_t port, uint32_t code);
void control_send_dns(struct control *c, uint32_t cookie, const void *question, size_t len);
/** control_send_log() - @level: enum log_level */
void control_send_log(struct control *c, uint32_t level, const char *text);

#endif
