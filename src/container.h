/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_H
#define CONTAINER_H

#include <stdbool.h>

#include "oci/oci_spec.h"
#include "oci/oci_state.h"

struct app;
struct error;

/** struct container - one that exists, as a later command line finds it; release it */
struct container {
	const char *root, *id; /* borrowed */
	int dirfd;	       /* state directory */
	struct oci_state state;
	struct oci_spec spec; /* zero until container_load_spec() */
};

/** container_open() - find it and read its state; @c is set up whatever the answer */
int container_open(const struct app *app, const char *id, struct container *c, struct error **err);

/** container_load_spec() - read the configuration as it was at create */
int container_load_spec(struct container *c, struct error **err);

/** container_refresh() - read the state again, and ask the VMM whether the process runs */
int container_refresh(struct container *c, struct error **err);

/** container_goes_on() - the same, for who follows it: false when it has ended, or is no more */
bool container_goes_on(struct container *c);

/** container_run_hooks() - the hooks of @point, told the present state */
int container_run_hooks(struct container *c, enum oci_hook_point point, struct error **err);

/** container_not_running() - the error, in the words that engines look for, with ESRCH; answers -1 */
int container_not_running(const char *id, struct error **err);

/**
 * container_kill() - send a signal to the container's process, or to @all of its processes
 *
 * An agent that does not answer SIGKILL within 2 s loses its VMM. Return: 0, or -1, with
 * container_not_running() for one that ends just now.
 */
int container_kill(struct container *c, int signo, bool all, struct error **err);

/**
 * container_destroy() - end every process of the container and remove all that is left of it
 *
 * Goes on after a failure, and reports the first one. Return: 0 or -1.
 */
int container_destroy(struct container *c, struct error **err);

void container_release(struct container *c);

#define cleanup_container __attribute__((cleanup(container_release)))

#endif
