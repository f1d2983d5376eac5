/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_PROCESS_H
#define GUEST_AGENT_AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest-agent/agent_loop.h"
#include "guest-agent/agent_streams.h"

struct agent_container;
struct agent_mappings;
struct agent_process;
struct error;
struct process;

enum process_state {
	PROCESS_PREPARING, /* cloned, sets itself up */
	PROCESS_WAITING,   /* ready, waits for process_go() */
	PROCESS_STARTING,  /* on its way to execve() */
	PROCESS_RUNNING,
	PROCESS_FAILED, /* never ran; the reason has been told */
};

/** struct process_events - what becomes of a process, told to its owner */
struct process_events {
	void (*ready)(void *data, struct process *p);
	void (*started)(void *data, struct process *p);
	void (*failed)(void *data, struct process *p, uint32_t code, const char *why);
	/* Ended, reaped, and all output written; p->status is as waitpid() gave it. May free @p. */
	void (*ended)(void *data, struct process *p);
};

/** struct process_spawn - how to make one; all borrowed for the call but @loop and @events */
struct process_spawn {
	struct agent_loop *loop;
	const struct process_events *events;
	void *data; /* for the events */
	uint32_t id;
	const struct agent_process *process;
	const struct agent_container *container; /* NULL: an exec */
	uint64_t namespaces;			 /* CLONE_NEW* of the container */
	const struct agent_mappings *uids;	 /* with CLONE_NEWUSER */
	const struct process *init;		 /* for an exec: whose namespaces to join */
	int cgroup;				 /* directory fd of the container's cgroup */
};

struct process {
	uint32_t id;
	enum process_state state;
	pid_t pid;  /* in the agent's pid namespace; valid until reaped */
	int pidfd;  /* owned */
	int status; /* valid once reaped */
	bool reaped;
	int ended_by; /* signal that ended it before it was started; 0: none */
	struct agent_loop *loop;
	struct loop_source sync; /* the agent's end of the socket pair, owned; -1: closed */
	struct streams streams;
	const struct process_events *events;
	void *data;
	struct process *next; /* for the owner's list */
};

/** process_spawn() - open the streams and clone; events follow later, never from within */
struct process *process_spawn(const struct process_spawn *ps, struct error **err);

/** process_go() - let a waiting process execute its program; 0 or -errno */
int process_go(struct process *p);

/**
 * process_signal() - signal a process
 *
 * One that waits to be started has no program yet whose handlers could run; there a signal whose
 * default is to end a process ends it.
 *
 * Return: 0 or -errno, -ESRCH when it is gone.
 */
int process_signal(struct process *p, int signo);

/** process_pid_inside() - its pid as its own pid namespace sees it (proc_pid_status(5), NSpid) */
pid_t process_pid_inside(const struct process *p);

/** process_reaped() - waitpid() has answered for it; may call events, and so free @p */
void process_reaped(struct process *p, int status);

void process_free(struct process *p);

#endif
