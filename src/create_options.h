/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CREATE_OPTIONS_H
#define CREATE_OPTIONS_H

#include <stdbool.h>

#include "app.h"
#include "launch.h"

/* What `create` and `run` are told alike. */
#define CREATE_OPTIONS                                                                         \
	{ "bundle", 'b', "DIR", "directory of the container's bundle (default: .)" },          \
	{ "config", 'f', "FILE", "configuration in the bundle (default: config.json)" },       \
	{ "console-socket", 256, "SOCKET", "send the terminal's master there" },               \
	{ "pid-file", 257, "FILE", "write the container's pid there" },                        \
	{ "preserve-fds", 258, "N", "only 0: no file of the host's reaches the microVM" },     \
	{ "no-pivot", 259, NULL, "accepted: the microVM's root is pivoted to in any case" },   \
	{ "no-new-keyring", 260, NULL, "accepted: the microVM has keyrings of its own" },      \
	{ "no-subreaper", 261, NULL, "accepted: nothing is reparented to krun-gpu" }

struct create_options {
	struct launch_options launch;
	bool detach; /* run only */
	bool keep;   /* likewise */
};

/** create_options_init() - the defaults */
void create_options_init(struct create_options *o);

/** create_option_set() - option_fn for CREATE_OPTIONS and run's --detach ('d') and --keep ('k') */
int create_option_set(void *data, int key, const char *value, struct error **err);

#endif
