/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GUEST_AGENT_HARNESS_H
#define TESTS_GUEST_AGENT_HARNESS_H

/*
 * Runs the real agent without a machine: as PID 1 of a pid namespace, in a mount namespace whose
 * root is an empty tmpfs, with unix sockets for vsock and a busybox root for the export. Needs
 * root; harness_available() says whether this is possible, and tests skip otherwise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/agent_proto.h"
#include "base/msg.h"

#define HARNESS_IDS 4 /* processes 0 to 3 may have streams */

struct harness {
	char dir[64];	/* the export: rootfs/, mounts/ */
	char name[64];	/* prefix of the sockets */
	char cgroup[256];
	pid_t agent; /* as this process sees it */
	int control;
	int listener[HARNESS_IDS][4];
};

/** struct harness_result - what a container did, start to end */
struct harness_result {
	int status; /* wait status; -1: the agent said ERROR */
	char *out, *err; /* malloc'ed, NUL-terminated; @err is the ERROR's text when there was one */
	size_t out_len;
	uint32_t code; /* ERROR's errno */
};

bool harness_available(void);
/** harness_group_setup(), harness_group_teardown() - for cmocka_run_group_tests: the shared root */
int harness_group_setup(void **state);
int harness_group_teardown(void **state);
/** harness_setup(), harness_teardown() - for each test: an agent that waits for a container */
int harness_setup(void **state);
int harness_teardown(void **state);

/** harness_spec() - a container as podman asks for it by default; args is borrowed */
struct agent_container *harness_spec(char **args);
/** harness_sh_spec() - the same, of `sh -c script` */
struct agent_container *harness_sh_spec(const char *script);
/** harness_path() - a path below the export, in a static buffer */
const char *harness_path(struct harness *h, const char *path);

void harness_send_container(struct harness *h, const struct agent_container *c);
void harness_send_exec(struct harness *h, uint32_t id, const struct agent_process *p);
void harness_send_u32s(struct harness *h, uint32_t type, const uint32_t *v, size_t count);
void harness_signal(struct harness *h, uint32_t id, uint32_t signo, bool all);
void harness_send_cgroup(struct harness *h, const struct agent_pair *files, size_t count);
/** harness_expect() - receive the next message but LOG, which must be of @type */
struct msg harness_expect(struct harness *h, uint32_t type);
/** harness_expect_u32s() - as harness_expect(), for a message of @count words */
void harness_expect_u32s(struct harness *h, uint32_t type, uint32_t *v, size_t count);
/** harness_accept() - the host's end of stream @n of process @id */
int harness_accept(struct harness *h, uint32_t id, int n);

/** harness_create(), harness_start() - up to READY, then up to STARTED */
void harness_create(struct harness *h, const struct agent_container *c);
void harness_start(struct harness *h);

/** harness_run() - run a container from beginning to end, feeding @in if stdin is open */
struct harness_result harness_run(struct harness *h, const struct agent_container *c,
				  const char *in);
void harness_result_free(struct harness_result *r);
/** harness_sh() - run `sh -c script` with the default specification; checks for exit status 0 */
char *harness_sh(struct harness *h, const char *script);

/** harness_expect_output() - run a container that has to print exactly this, and end with 0 */
void harness_expect_output(struct harness *h, const struct agent_container *c, const char *out);
/** harness_expect_refused() - run one that has to be refused with exactly this sentence */
void harness_expect_refused(struct harness *h, const struct agent_container *c, const char *text);

/* The first statement of a test: without root there is no agent to test. */
#define NEED(h)           \
	if (!(h)->dir[0]) \
	skip()

#define cleanup_result __attribute__((cleanup(harness_result_free)))

#endif
