/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_H
#define LAUNCH_H

#include <sys/types.h>

struct app;
struct error;

/** struct launch_options - what `create` and `run` were told */
struct launch_options {
	const char *id;
	const char *bundle;	    /* directory */
	const char *config;	    /* file name, below the bundle unless absolute */
	const char *console_socket; /* NULL: none */
	const char *pid_file;	    /* NULL: none */
	int terminal;		    /* a pty slave to be the container's terminal, or -1 */
};

/**
 * launch_create() - boot a container's microVM and set the container up, short of its process
 * @vmm_pid: out, may be NULL: the VMM, a child of ours
 *
 * On failure nothing is left behind: no process, cgroup, mount or file. Return: 0 or -1.
 */
int launch_create(const struct app *app, const struct launch_options *opts, pid_t *vmm_pid,
		  struct error **err);

#endif
