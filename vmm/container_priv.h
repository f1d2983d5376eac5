/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_CONTAINER_PRIV_H
#define VMM_CONTAINER_PRIV_H

/*
 * What the container's files share: container.c (life and end, the agent's messages),
 * container_process.c (processes and their streams), container_control.c (command lines' requests)
 * container_signal.c (signals to this process, the terminal), container_socket.c (sockets of the
 * host's) and container_local.c (connections from the container's network namespace).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/agent_proto.h"
#include "vmm/agent_link.h"
#include "vmm/container.h"
#include "vmm/control.h"
#include "vmm/event_loop.h"
#include "vmm/virtio/vsock.h"

#define CONTAINER_MAX_EXECS 64
#define CONTAINER_MAX_PROCESSES (1 + CONTAINER_MAX_EXECS)
/* Signals sent to the agent and not answered. */
#define CONTAINER_MAX_SIGNALS 128

/** struct container_process - the container's own process (the first of the array), or an exec */
struct container_process {
	struct container *c;
	bool used;
	uint32_t id; /* as the agent knows it; its streams' ports follow from it */
	bool started;
	bool exited;
	int wait_status;
	struct control_conn *conn; /* who is told of its start and, of an exec, its end; or NULL */
	bool abandoned; /* its conn has gone, and it has not been sent SIGKILL yet */
};

struct container_signal {
	struct control_conn *conn; /* who waits for the answer; NULL: nobody */
	uint32_t id;
};

/** struct container_socket - a connection to a unix socket of the host's, or to the name server */
struct container_socket {
	bool used;
	bool waiting;	     /* for the worker, or */
	bool dns;	     /* for krun-gpu-net: to the name server */
	uint32_t connection; /* the agent's number for it */
};

struct container {
	struct event_loop *loop; /* borrowed */
	struct vsock *vs;	 /* borrowed */
	const struct vmm_config *cfg; /* borrowed */
	struct container_host host;
	struct agent_link *link;
	struct control *control; /* NULL: there is no control socket */
	enum vmm_container_state state;
	bool over; /* the machine has been told of the end */
	bool creator_told; /* VMM_ERROR went to the set-up socket */
	int setup; /* owned; -1 after VMM_CREATED or VMM_ERROR */
	struct event_source setup_src;
	int signal_fd; /* owned */
	struct event_source signal_src;
	int terminal; /* owned duplicate of the terminal, for its size; -1: none */
	bool start_sent;
	bool settling; /* AGENT_START waits for container_net_settled() */
	struct container_process processes[CONTAINER_MAX_PROCESSES];
	uint32_t next_id;
	/* A queue: the agent answers signals in their order. */
	struct container_signal signals[CONTAINER_MAX_SIGNALS];
	size_t num_signals;
	struct proc_view *proc; /* NULL: there is none */
	int oom_fd;	/* owned: VMM_FD_OOM */
	int connect_fd; /* owned: the worker for sockets; -1: there are none */
	struct event_source connect_src;
	struct container_socket sockets[AGENT_SOCKET_CONNS_MAX];
	/* By slot: the connection, which is the vsock device's; -1: none. */
	int locals[AGENT_LOCAL_CONNS_MAX];
	struct container_net net; /* zero: there is nobody */
	bool cgroup_asked;		  /* AGENT_CGROUP is sent and not answered */
	struct control_conn *cgroup_conn; /* who waits for the answer; NULL: nobody any more */
};

/* container.c */

/** container_fail() - the container cannot go on: tell everyone who waits, and the machine */
void container_fail(struct container *c, int code, const char *why);
/** container_end() - the container's process has ended and its output is delivered */
void container_end(struct container *c, int wait_status);

/* container_process.c */

struct container_process *container_process_find(struct container *c, uint32_t id);
/** container_process_new() - NULL when there are too many */
struct container_process *container_process_new(struct container *c);
/**
 * container_process_offer() - offer its streams to the guest
 * @fds:   stdin, stdout, stderr (-1: none), or the terminal alone; accepted ones become -1
 *
 * Return: 0 or -errno; the fds that were not accepted stay the caller's.
 */
int container_process_offer(struct container_process *p, bool terminal, int fds[3]);
/** container_process_exit() - the agent said EXITED; what follows waits for the streams */
void container_process_exit(struct container_process *p, int wait_status);
/** container_process_drop() - forget an exec that never started; its fds are closed */
void container_process_drop(struct container_process *p);

/* container_control.c */

extern const struct control_ops container_control_ops;
/** container_signal_send() - pass a signal on; @conn (or NULL) gets the answer; 0 or -errno */
int container_signal_send(struct container *c, uint32_t id, uint32_t signo, bool all,
			  struct control_conn *conn);
/** container_signal_answered() - the agent's answer to the oldest signal */
void container_signal_answered(struct container *c, uint32_t id, int code);
/** container_cgroup_answered() - the agent's answer to AGENT_CGROUP */
void container_cgroup_answered(struct container *c, const char *payload, size_t len);
/** container_resize() - tell the agent a terminal's size */
void container_resize(struct container *c, uint32_t id, uint32_t rows, uint32_t columns);

/* container_socket.c */

/** container_socket_open() - begin to serve the agent's requests; @fd is taken over, -1 for none */
int container_socket_open(struct container *c, int fd, struct error **err);
/** container_socket_connect() - the agent asks for a connection to socket @number, as AGENT_CONNECT has it */
void container_socket_connect(struct container *c, uint32_t connection, uint32_t number);
/** container_socket_dns_lost() - nobody answers any more who was asked to connect to the name server */
void container_socket_dns_lost(struct container *c);
void container_socket_close(struct container *c);

/* container_local.c */

void container_local_init(struct container *c);
/** container_local_failed() - the agent could not connect to the container; void where none waits */
void container_local_failed(struct container *c, uint32_t host_port);
void container_local_close(struct container *c);

/* container_signal.c */

/** container_signal_open() - receive the blocked signals from now on */
int container_signal_open(struct container *c, struct error **err);
/** container_terminal_open() - make @fd this process's controlling terminal and follow its size */
int container_terminal_open(struct container *c, int fd, struct error **err);
/** container_terminal_resize() - tell the agent the terminal's present size, if it has one */
void container_terminal_resize(struct container *c);

#endif
