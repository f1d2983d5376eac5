/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef EXEC_OPTIONS_H
#define EXEC_OPTIONS_H

#include <stdbool.h>

#include "oci/oci_spec.h"

struct error;

#define EXEC_LIST_MAX 256

/** struct exec_options - what `exec` was told; all borrowed from its arguments */
struct exec_options {
	const char *id;
	const char *process_file, *console_socket, *pid_file, *cwd, *user;
	char *env[EXEC_LIST_MAX];
	size_t num_env;
	const char *caps[EXEC_LIST_MAX];
	size_t num_caps;
	uint32_t gids[EXEC_LIST_MAX];
	size_t num_gids;
	bool tty, detach, no_new_privs;
	char **args; /* NULL-terminated; empty with a process file */
};

/** exec_options_parse() - 1; 0 when --help was answered; -1 */
int exec_options_parse(struct exec_options *o, int argc, char **argv, struct error **err);

/**
 * exec_options_process() - the process to execute
 * @spec: the container's: what was not asked for is as its first process has it
 * @p:    out, in @spec's arena
 */
int exec_options_process(const struct exec_options *o, struct oci_spec *spec,
			 struct oci_process *p, struct error **err);

#endif
