/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "rootless.h"

static const struct {
	const char *name;
	command_fn run;
	const char *help;
} commands[] = {
	{ "create", cmd_create, "boot a container's microVM and set the container up" },
	{ "delete", cmd_delete, "remove what is left of a container that has stopped" },
	{ "doctor", cmd_doctor, "say what containers need that this host lacks" },
	{ "events", cmd_events, "show what a container uses, and when memory was too little" },
	{ "exec", cmd_exec, "run one more process in a running container" },
	{ "features", cmd_features, "list what this runtime supports, as JSON" },
	{ "gpus", cmd_gpus, "list the host's GPUs" },
	{ "kill", cmd_kill, "send a signal to a container's process" },
	{ "list", cmd_list, "list containers" },
	{ "pause", cmd_pause, "stop a container's virtual CPUs" },
	{ "ps", cmd_ps, "list the host's processes of a container" },
	{ "resume", cmd_resume, "continue a paused container" },
	{ "run", cmd_run, "create and start a container, and wait for its end" },
	{ "spec", cmd_spec, "write a config.json to begin with" },
	{ "start", cmd_start, "start the process of a created container" },
	{ "state", cmd_state, "show a container's state, as JSON" },
	{ "stats", cmd_stats, "show what a container uses, of the GPU too, as it runs" },
	{ "update", cmd_update, "change the limits of a container" },
	{ "checkpoint", cmd_unsupported, NULL },
	{ "restore", cmd_unsupported, NULL },
};

#define NUM_COMMANDS (sizeof(commands) / sizeof(*commands))

enum { OPT_ROOT = 256, OPT_LOG, OPT_LOG_FORMAT, OPT_LOG_LEVEL, OPT_DEBUG, OPT_CGROUP_MANAGER,
       OPT_SYSTEMD_CGROUP, OPT_ROOTLESS };

static const struct option global_options[] = {
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "debug", no_argument, NULL, OPT_DEBUG },
	{ "cgroup-manager", required_argument, NULL, OPT_CGROUP_MANAGER },
	{ "systemd-cgroup", no_argument, NULL, OPT_SYSTEMD_CGROUP },
	{ "rootless", required_argument, NULL, OPT_ROOTLESS },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int cmd_unsupported(const struct app *app, int argc, char **argv, struct error **err)
{
	(void)app;
	(void)argc;
	return error_set(err, 0, "%s is not supported: the state of a microVM and of what it has "
			 "open on the host cannot be saved", argv[0]);
}

static void show_version(void)
{
	printf("krun-gpu version %s\n", PACKAGE_VERSION);
	printf("spec: 1.2.0\n");
	printf("+SECCOMP +CAP +YAJL +KVM%s\n",
#ifdef HAVE_GPU
	       " +VENUS"
#else
	       ""
#endif
	);
}

static void show_help(void)
{
	puts("Usage: krun-gpu [GLOBAL OPTION]… COMMAND [OPTION]… [ARGUMENT]…\n\n"
	     "An OCI runtime that runs every container in a microVM of its own.\n\nCommands:");
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		if (commands[i].help)
			printf("  %-10s %s\n", commands[i].name, commands[i].help);
	puts("\nGlobal options:\n"
	     "  --root=DIR             where the state of containers is kept\n"
	     "  --log=FILE             log there instead of standard error\n"
	     "  --log-format=FORMAT    text or json\n"
	     "  --log-level=LEVEL      error, warning, info or debug\n"
	     "  --debug                the same as --log-level=debug\n"
	     "  --cgroup-manager=NAME  cgroupfs, systemd or disabled\n"
	     "  --systemd-cgroup       the same as --cgroup-manager=systemd\n"
	     "  --rootless=BOOL        true, false or auto; whether it is so is found out\n"
	     "  --version, --help\n\n"
	     "krun-gpu COMMAND --help shows the options of a command.");
}

static int set_cgroup_manager(struct app *app, const char *name, struct error **err)
{
	if (!strcmp(name, "cgroupfs"))
		app->cgroup_manager = CGROUP_MANAGER_CGROUPFS;
	else if (!strcmp(name, "systemd"))
		app->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
	else if (!strcmp(name, "disabled"))
		app->cgroup_manager = CGROUP_MANAGER_DISABLED;
	else
		return error_set(err, 0, "--cgroup-manager: expected cgroupfs, systemd or disabled, "
				 "not %s", name);
	return 0;
}

static int set_log_format(struct app *app, const char *name, struct error **err)
{
	if (!strcmp(name, "json"))
		app->log_format = LOG_FORMAT_JSON;
	else if (!strcmp(name, "text"))
		app->log_format = LOG_FORMAT_TEXT;
	else
		return error_set(err, 0, "--log-format: expected text or json, not %s", name);
	return 0;
}

static int set_log_level(struct app *app, const char *name, struct error **err)
{
	int level = log_level_parse(name);

	if (level < 0)
		return error_set(err, 0, "--log-level: expected error, warning, info or debug, "
				 "not %s", name);
	app->log_level = (enum log_level)level;
	return 0;
}

/* crun's prefixes. */
static int set_log(struct app *app, const char *value, struct error **err)
{
	static const char *const others[] = { "journald:", "syslog:" };

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strncmp(value, others[i], strlen(others[i])))
			return error_set(err, 0, "--log: expected a file, not %s", value);
	app->log_path = !strncmp(value, "file:", 5) ? value + 5 : value;
	return 0;
}

/* Whether it is so is found out; but what is no answer to the question is a mistake. */
static int check_rootless(const char *value, struct error **err)
{
	if (!strcmp(value, "true") || !strcmp(value, "false") || !strcmp(value, "auto"))
		return 0;
	return error_set(err, 0, "--rootless: expected true, false or auto, not %s", value);
}

static int set_global_option(struct app *app, int key, const char *value, struct error **err)
{
	switch (key) {
	case OPT_ROOT:
		app->root = value;
		return *value == '/' ? 0 : error_set(err, 0, "--root: expected an absolute path, "
						     "not %s", value);
	case OPT_LOG:
		return set_log(app, value, err);
	case OPT_LOG_FORMAT:
		return set_log_format(app, value, err);
	case OPT_LOG_LEVEL:
		return set_log_level(app, value, err);
	case OPT_DEBUG:
		app->log_level = LOG_LEVEL_DEBUG;
		return 0;
	case OPT_CGROUP_MANAGER:
		return set_cgroup_manager(app, value, err);
	case OPT_SYSTEMD_CGROUP:
		app->cgroup_manager = CGROUP_MANAGER_SYSTEMD;
		return 0;
	case OPT_ROOTLESS:
		return check_rootless(value, err);
	default:
		return error_set(err, 0, "unknown option");
	}
}

/* The index of the command in @argv; 0 when all was answered already; -1 */
static int parse_global_options(struct app *app, int argc, char **argv, struct error **err)
{
	int key;

	opterr = 0;
	while ((key = getopt_long(argc, argv, "+:vh", global_options, NULL)) != -1) {
		if (key == 'v' || key == 'h') {
			key == 'v' ? show_version() : show_help();
			return 0;
		}
		if (key == ':')
			return error_set(err, 0, "option %s needs a value", argv[optind - 1]);
		if (key == '?')
			return error_set(err, 0, "unknown option %s", argv[optind - 1]);
		if (set_global_option(app, key, optarg, err) < 0)
			return -1;
	}
	if (optind < argc)
		return optind;
	return error_set(err, 0, "no command was given: krun-gpu --help lists them");
}

/* Root keeps its state in /run; others where their session does. */
static int choose_root(struct app *app, char *buf, size_t size, struct error **err)
{
	const char *runtime_dir = getenv("XDG_RUNTIME_DIR");

	if (app->root)
		return 0;
	app->root = buf;
	if (rootless_is_host_root() || (!geteuid() && !runtime_dir)) {
		snprintf(buf, size, "/run/krun-gpu");
		return 0;
	}
	if (!runtime_dir || *runtime_dir != '/')
		return error_set(err, 0, "XDG_RUNTIME_DIR is not set: use --root to say where state "
				 "is kept");
	if (snprintf(buf, size, "%s/krun-gpu", runtime_dir) >= (int)size)
		return error_set(err, 0, "XDG_RUNTIME_DIR is too long");
	return 0;
}

static int open_log(struct app *app, struct error **err)
{
	app->log_fd = STDERR_FILENO;
	if (app->log_path) {
		app->log_fd = open(app->log_path,
				   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
		if (app->log_fd < 0) {
			app->log_fd = STDERR_FILENO;
			return error_set(err, errno, "cannot open the log %s", app->log_path);
		}
	}
	log_init("krun-gpu", app->log_fd, app->log_format, app->log_level);
	return 0;
}

static int run_command(const struct app *app, int argc, char **argv, struct error **err)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		if (!strcmp(argv[0], commands[i].name))
			return commands[i].run(app, argc, argv, err);
	return error_set(err, 0, "unknown command %s: krun-gpu --help lists them", argv[0]);
}

/* 0, 1 and 2 are somebody's: a file of ours must never become one of them. */
static int open_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	return fd < 0 ? -1 : 0;
}

/* Where podman shows the reason from: the log, and standard error as crun does. */
static void report(const struct app *app, const struct error *why)
{
	log_error("%s", error_msg(why));
	if (app->log_fd == STDERR_FILENO)
		return;
	log_init("krun-gpu", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	log_error("%s", error_msg(why));
}

int main(int argc, char **argv)
{
	struct app app = { .log_fd = STDERR_FILENO, .log_level = LOG_LEVEL_WARNING };
	cleanup_error struct error *err = NULL;
	char root[4096];
	int first, code = -1;

	if (open_standard_fds() < 0)
		return EXIT_FAILURE;
	signal(SIGPIPE, SIG_IGN);
	first = parse_global_options(&app, argc, argv, &err);
	if (!first)
		return EXIT_SUCCESS;
	if (open_log(&app, first < 0 ? NULL : &err) == 0 && first > 0 &&
	    choose_root(&app, root, sizeof(root), &err) == 0 &&
	    host_config_load(HOST_CONFIG_FILE, &app.host, &err) == 0)
		code = run_command(&app, argc - first, argv + first, &err);
	if (code < 0)
		report(&app, err);
	host_config_release(&app.host);
	return code < 0 ? EXIT_FAILURE : code;
}
