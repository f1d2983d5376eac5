/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_CONTAINER_FIXTURE_H
#define TESTS_UNIT_CONTAINER_FIXTURE_H

/*
 * The container's state machine between scripted peers: an agent, command lines, and a vsock
 * device that only notes what it is offered.
 */
#include "unit.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/msg.h"
#include "vmm/container.h"
#include "vmm/virtio/vsock.h"

#define MAX_OFFERS 640

/* The vsock device's place. A stream is closed when the test says so, or when it is finished. */
struct vsock {
	struct vsock_offer offers[MAX_OFFERS];
	bool used[MAX_OFFERS], finished[MAX_OFFERS];
	bool hold; /* finished streams still have bytes to deliver */
};

struct fixture {
	struct event_loop *loop;
	struct vsock vs;
	struct vmm_config cfg;
	struct container *c;
	int setup, agent, worker; /* our ends; the last is the worker's for sockets */
	struct sockaddr_un addr;
	socklen_t addr_len;
	bool ended, failed;
	int wait_status;
	char why[256];
	int paused;
	int stdio[3]; /* our ends of the container's streams */
	char oom_dir[32]; /* where it marks that memory was too little */
};

/** fake_vsock_close() - the guest has closed a stream */
void fake_vsock_close(struct vsock *vs, uint32_t port);

/** fixture_new() - a container that boots; @terminal is its terminal, or -1 for three pipes */
struct fixture *fixture_new(int terminal);

/** fixture_setup(), fixture_teardown() - cmocka's, for a container with pipes */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/** agent_say() - the agent sends a message; the other three have its usual payloads */
void agent_say(struct fixture *f, uint32_t type, const void *payload, size_t len);
void agent_say_numbers(struct fixture *f, uint32_t type, uint32_t a, uint32_t b);
void agent_say_error(struct fixture *f, uint32_t id, uint32_t code, const char *text);
void agent_hello(struct fixture *f);

/** expect_msg() - the next message on a socket, for msg_release(); type 0: end of file */
struct msg expect_msg(struct fixture *f, int sock, uint32_t type);
void expect(struct fixture *f, int sock, uint32_t type);
void expect_error(struct fixture *f, int sock, uint32_t code, const char *text);

/** connect_control() - another command line */
int connect_control(struct fixture *f);
void request(struct fixture *f, int sock, uint32_t type, const void *payload, size_t len);

/** expect_state() - as a command line that asks is told */
void expect_state(struct fixture *f, enum vmm_container_state state);

/** make_created(), make_running() - so far without a fault */
void make_created(struct fixture *f);
void make_running(struct fixture *f);

#endif
