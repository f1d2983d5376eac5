/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef APP_H
#define APP_H

#include <getopt.h>
#include <stdbool.h>

#include "base/log.h"
#include "host_config.h"

struct error;

enum cgroup_manager {
	CGROUP_MANAGER_CGROUPFS,
	CGROUP_MANAGER_SYSTEMD,
	CGROUP_MANAGER_DISABLED,
};

/** struct app - the options that stand before the command, and the host's configuration */
struct app {
	const char *root; /* where the state directories are */
	const char *log_path;
	int log_fd;
	enum log_format log_format;
	enum log_level log_level;
	enum cgroup_manager cgroup_manager;
	struct host_config host;
};

/*
 * A command: @argv[0] is its name. Return: the exit code, or -1 with @err set, which main()
 * reports and turns into exit code 1.
 */
typedef int (*command_fn)(const struct app *app, int argc, char **argv, struct error **err);

int cmd_create(const struct app *app, int argc, char **argv, struct error **err);
int cmd_delete(const struct app *app, int argc, char **argv, struct error **err);
int cmd_doctor(const struct app *app, int argc, char **argv, struct error **err);
int cmd_events(const struct app *app, int argc, char **argv, struct error **err);
int cmd_exec(const struct app *app, int argc, char **argv, struct error **err);
int cmd_features(const struct app *app, int argc, char **argv, struct error **err);
int cmd_gpus(const struct app *app, int argc, char **argv, struct error **err);
int cmd_kill(const struct app *app, int argc, char **argv, struct error **err);
int cmd_list(const struct app *app, int argc, char **argv, struct error **err);
int cmd_pause(const struct app *app, int argc, char **argv, struct error **err);
int cmd_ps(const struct app *app, int argc, char **argv, struct error **err);
int cmd_resume(const struct app *app, int argc, char **argv, struct error **err);
int cmd_run(const struct app *app, int argc, char **argv, struct error **err);
int cmd_spec(const struct app *app, int argc, char **argv, struct error **err);
int cmd_start(const struct app *app, int argc, char **argv, struct error **err);
int cmd_state(const struct app *app, int argc, char **argv, struct error **err);
int cmd_stats(const struct app *app, int argc, char **argv, struct error **err);
int cmd_update(const struct app *app, int argc, char **argv, struct error **err);
int cmd_unsupported(const struct app *app, int argc, char **argv, struct error **err);

/** struct command_option - one option of a command, for getopt_long() and for --help */
struct command_option {
	const char *name;
	int key;	  /* the short option's letter, or a number above 255 */
	const char *value; /* what stands for the value in --help; NULL: takes none */
	const char *help;
};

#define COMMAND_OPTIONS_MAX 24

/** struct command - how a command is called; a table of options ends with a NULL name */
struct command {
	const char *name;
	const char *arguments; /* "ID [SIGNAL]" */
	const char *summary;
	const struct command_option *options;
	int min_args, max_args; /* max -1: any number */
};

typedef int (*option_fn)(void *data, int key, const char *value, struct error **err);

/**
 * command_parse() - read the options of a command and count its arguments
 * @set: called for every option; -1 with @err set ends the parsing
 *
 * Options end at the first argument. Return: the index of the first argument in @argv; 0 when
 * --help was asked for and has been answered; -1 with @err set.
 */
int command_parse(const struct command *cmd, int argc, char **argv, option_fn set, void *data,
		  struct error **err);

/** option_number() - a whole number from @min to @max; -1 with @err set */
int option_number(const char *name, const char *value, long min, long max, long *out,
		  struct error **err);

#endif
