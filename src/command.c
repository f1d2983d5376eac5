/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/error.h"

static void command_help(const struct command *cmd)
{
	printf("Usage: krun-gpu [GLOBAL OPTION]… %s [OPTION]… %s\n\n%s\n\n", cmd->name,
	       cmd->arguments, cmd->summary);
	for (const struct command_option *o = cmd->options; o && o->name; o++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? "=" : "",
			 o->value ? o->value : "");
		if (o->key < 256)
			printf("  -%c, %-24s %s\n", o->key, left, o->help);
		else
			printf("      %-24s %s\n", left, o->help);
	}
	printf("  -h, %-24s show this help\n", "--help");
}

static void command_tables(const struct command *cmd, struct option *longs, char *shorts)
{
	size_t n = 0;

	*shorts++ = '+';
	*shorts++ = ':';
	for (const struct command_option *o = cmd->options; o && o->name; o++) {
		longs[n++] = (struct option){ o->name, o->value ? 1 : 0, NULL, o->key };
		if (o->key >= 256)
			continue;
		*shorts++ = (char)o->key;
		if (o->value)
			*shorts++ = ':';
	}
	longs[n++] = (struct option){ "help", 0, NULL, 'h' };
	longs[n] = (struct option){ NULL, 0, NULL, 0 };
	*shorts++ = 'h';
	*shorts = 0;
}

static int command_check_count(const struct command *cmd, int count, struct error **err)
{
	if (count < cmd->min_args)
		return error_set(err, 0, "%s: too few arguments, expected %s", cmd->name,
				 cmd->arguments);
	if (cmd->max_args >= 0 && count > cmd->max_args)
		return error_set(err, 0, "%s: too many arguments, expected %s", cmd->name,
				 *cmd->arguments ? cmd->arguments : "none");
	return 0;
}

int command_parse(const struct command *cmd, int argc, char **argv, option_fn set, void *data,
		  struct error **err)
{
	struct option longs[COMMAND_OPTIONS_MAX + 2];
	char shorts[2 * COMMAND_OPTIONS_MAX + 4];
	int key;

	command_tables(cmd, longs, shorts);
	opterr = 0;
	optind = 0; /* also makes glibc forget the options before the command */
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		switch (key) {
		case 'h':
			command_help(cmd);
			return 0;
		case ':':
			return error_set(err, 0, "%s: option %s needs a value", cmd->name,
					 argv[optind - 1]);
		case '?':
			return error_set(err, 0, "%s: unknown option %s", cmd->name,
					 argv[optind - 1]);
		default:
			if (set(data, key, optarg, err) < 0)
				return error_wrap(err, "%s", cmd->name);
		}
	}
	return command_check_count(cmd, argc - optind, err) < 0 ? -1 : optind;
}

int option_number(const char *name, const char *value, long min, long max, long *out,
		  struct error **err)
{
	char *end;

	errno = 0;
	*out = strtol(value, &end, 10);
	if (errno || end == value || *end || *out < min || *out > max)
		return error_set(err, 0, "--%s: expected a whole number from %ld to %ld, not %s",
				 name, min, max, value);
	return 0;
}
