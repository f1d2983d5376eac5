/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "exec_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "app.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/oci_validate.h"

enum { OPT_CONSOLE_SOCKET = 256, OPT_PID_FILE, OPT_CWD, OPT_PRESERVE_FDS, OPT_NO_NEW_PRIVS,
       OPT_APPARMOR, OPT_PROCESS_LABEL, OPT_CGROUP };

static int exec_add_env(struct exec_options *o, const char *value, struct error **err)
{
	if (!strchr(value, '=') || *value == '=')
		return error_set(err, 0, "--env: expected NAME=VALUE, not %s", value);
	if (o->num_env == EXEC_LIST_MAX)
		return error_set(err, 0, "--env: given too often");
	o->env[o->num_env++] = (char *)value;
	return 0;
}

static int exec_add_cap(struct exec_options *o, const char *value, struct error **err)
{
	if (o->num_caps == EXEC_LIST_MAX)
		return error_set(err, 0, "--cap: given too often");
	o->caps[o->num_caps++] = value;
	return 0;
}

static int exec_add_gid(struct exec_options *o, const char *value, struct error **err)
{
	long gid;

	if (option_number("additional-gids", value, 0, UINT32_MAX, &gid, err) < 0)
		return -1;
	if (o->num_gids == EXEC_LIST_MAX)
		return error_set(err, 0, "--additional-gids: given too often");
	o->gids[o->num_gids++] = (uint32_t)gid;
	return 0;
}

/* What other runtimes apply to a process of the host's. */
static int exec_refuse(int key, struct error **err)
{
	if (key == OPT_CGROUP)
		return error_set(err, 0, "--cgroup: the process runs in the microVM, in its container's "
				 "cgroup there");
	return error_set(err, 0, "%s: the process runs in the microVM, whose kernel has no such labels",
			 key == OPT_APPARMOR ? "--apparmor" : "--process-label");
}

static int exec_option_set(void *data, int key, const char *value, struct error **err)
{
	struct exec_options *o = data;
	long n;

	switch (key) {
	case 'p':
		o->process_file = value;
		return 0;
	case 't':
		o->tty = true;
		return 0;
	case 'd':
		o->detach = true;
		return 0;
	case 'e':
		return exec_add_env(o, value, err);
	case 'u':
		o->user = value;
		return 0;
	case 'c':
		return exec_add_cap(o, value, err);
	case 'g':
		return exec_add_gid(o, value, err);
	case OPT_APPARMOR:
	case OPT_PROCESS_LABEL:
	case OPT_CGROUP:
		return exec_refuse(key, err);
	case OPT_CONSOLE_SOCKET:
		o->console_socket = value;
		return 0;
	case OPT_PID_FILE:
		o->pid_file = value;
		return 0;
	case OPT_CWD:
		o->cwd = value;
		return 0;
	case OPT_NO_NEW_PRIVS:
		o->no_new_privs = true;
		return 0;
	case OPT_PRESERVE_FDS:
		if (option_number("preserve-fds", value, 0, 65535, &n, err) < 0)
			return -1;
		return n ? error_set(err, 0, "--preserve-fds: a file descriptor of the host cannot "
				     "be passed into a microVM") : 0;
	default:
		return error_set(err, 0, "unknown option");
	}
}

/* The file describes all of the process: what an option said beside it would be lost. */
static int exec_check_process_file(const struct exec_options *o, struct error **err)
{
	const struct {
		const char *name;
		bool given;
	} options[] = {
		{ "cwd", o->cwd }, { "env", o->num_env }, { "user", o->user }, { "cap", o->num_caps },
		{ "additional-gids", o->num_gids }, { "no-new-privs", o->no_new_privs },
	};

	for (size_t i = 0; o->process_file && i < sizeof(options) / sizeof(*options); i++)
		if (options[i].given)
			return error_set(err, 0, "exec: --process and --%s exclude each other",
					 options[i].name);
	return 0;
}

int exec_options_parse(struct exec_options *o, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "process", 'p', "FILE", "read the process from FILE (JSON)" },
		{ "tty", 't', NULL, "give it a terminal" },
		{ "detach", 'd', NULL, "do not wait for its end" },
		{ "env", 'e', "NAME=VALUE", "add to its environment" },
		{ "user", 'u', "UID[:GID]", "run it as this user" },
		{ "cap", 'c', "CAP", "add a capability" },
		{ "additional-gids", 'g', "GID", "add a group" },
		{ "cwd", OPT_CWD, "DIR", "its working directory" },
		{ "console-socket", OPT_CONSOLE_SOCKET, "SOCKET",
		  "send the terminal's master there" },
		{ "pid-file", OPT_PID_FILE, "FILE", "write the pid of the process's proxy there" },
		{ "no-new-privs", OPT_NO_NEW_PRIVS, NULL, "set no_new_privs" },
		{ "preserve-fds", OPT_PRESERVE_FDS, "N",
		  "only 0: no file of the host's reaches the microVM" },
		{ "apparmor", OPT_APPARMOR, "PROFILE", "refused: the microVM has no AppArmor" },
		{ "process-label", OPT_PROCESS_LABEL, "LABEL", "refused: the microVM has no SELinux" },
		{ "cgroup", OPT_CGROUP, "PATH", "refused: it joins its container's" },
		{ 0 },
	};
	static const struct command cmd = {
		"exec", "ID [COMMAND [ARGUMENT]…]",
		"Run one more process in the running container ID. On the host a proxy stands for "
		"it, and ends as it ends.", options, 1, -1,
	};
	int first = command_parse(&cmd, argc, argv, exec_option_set, o, err);

	if (first <= 0)
		return first;
	o->id = argv[first];
	o->args = argv + first + 1;
	if (!o->process_file && !*o->args)
		return error_set(err, 0, "exec: a command or --process is needed");
	if (o->process_file && *o->args)
		return error_set(err, 0, "exec: --process and a command exclude each other");
	return exec_check_process_file(o, err) < 0 ? -1 : 1;
}

static int exec_set_user(const char *user, struct oci_process *p, struct error **err)
{
	unsigned long uid, gid = p->gid;
	char *end;

	errno = 0;
	uid = strtoul(user, &end, 10);
	if (end != user && *end == ':' && end[1])
		gid = strtoul(end + 1, &end, 10);
	if (errno || end == user || *end || *user == '-' || uid > UINT32_MAX || gid > UINT32_MAX)
		return error_set(err, 0, "--user: expected UID[:GID] in numbers, not %s", user);
	p->uid = (uint32_t)uid;
	p->gid = (uint32_t)gid;
	return 0;
}

static int exec_add_env_to(const struct exec_options *o, struct arena *arena,
			   struct oci_process *p, struct error **err)
{
	size_t have = 0, n = 0;
	char **env;

	while (p->env && p->env[have])
		have++;
	env = arena_alloc(arena, have + o->num_env + 1, sizeof(*env));
	if (!env)
		return error_set(err, ENOMEM, "--env");
	/* What is named again is replaced, as the last one wins everywhere. */
	for (size_t i = 0; i < have; i++) {
		size_t len = strcspn(p->env[i], "=") + 1;
		bool again = false;

		for (size_t j = 0; j < o->num_env; j++)
			again = again || !strncmp(p->env[i], o->env[j], len);
		if (!again)
			env[n++] = p->env[i];
	}
	memcpy(env + n, o->env, o->num_env * sizeof(*env));
	p->env = env;
	return 0;
}

static int exec_add_caps(const struct exec_options *o, struct oci_process *p, struct error **err)
{
	for (size_t i = 0; i < o->num_caps; i++) {
		cap_value_t cap;

		if (cap_from_name(o->caps[i], &cap) < 0 || cap > 63)
			return error_set(err, 0, "--cap: unknown capability %s", o->caps[i]);
		for (int set = 0; set < OCI_CAP_SETS; set++)
			p->capabilities[set] |= 1ull << cap;
		p->has_capabilities = true;
	}
	return 0;
}

static int exec_add_gids(const struct exec_options *o, struct arena *arena, struct oci_process *p,
			 struct error **err)
{
	const size_t have = p->num_additional_gids;
	uint32_t *gids;

	if (!o->num_gids)
		return 0;
	gids = arena_alloc(arena, have + o->num_gids, sizeof(*gids));
	if (!gids)
		return error_set(err, ENOMEM, "--additional-gids");
	if (have)
		memcpy(gids, p->additional_gids, have * sizeof(*gids));
	memcpy(gids + have, o->gids, o->num_gids * sizeof(*gids));
	p->additional_gids = gids;
	p->num_additional_gids = have + o->num_gids;
	return 0;
}

/*
 * Engines copy the container's own labels into each process: the VMM has those, and what runs in the
 * microVM with it. Others cannot be had.
 */
static int exec_check_label(const char *field, const char *label, const char *own,
			    struct error **err)
{
	if (!label || !*label || (own && !strcmp(label, own)))
		return 0;
	return error_set(err, 0, "process.%s: %s is not the container's own, and the process runs in "
			 "its microVM, whose kernel has no such labels", field, label);
}

static int exec_load_process(const struct exec_options *o, struct oci_spec *spec,
			     struct oci_process *p, struct error **err)
{
	const struct oci_process *own = &spec->process;

	if (oci_process_load(AT_FDCWD, o->process_file, &spec->arena, p, err) < 0 ||
	    exec_check_label("apparmorProfile", p->apparmor_profile, own->apparmor_profile, err) < 0 ||
	    exec_check_label("selinuxLabel", p->selinux_label, own->selinux_label, err) < 0)
		return -1;
	for (char **w = p->warnings; w && *w; w++)
		log_warning("%s", *w);
	p->terminal = p->terminal || o->tty;
	return 0;
}

int exec_options_process(const struct exec_options *o, struct oci_spec *spec,
			 struct oci_process *p, struct error **err)
{
	if (o->process_file)
		return exec_load_process(o, spec, p, err);
	*p = spec->process;
	p->args = o->args;
	p->terminal = o->tty;
	p->rows = p->columns = 0;
	if (o->cwd)
		p->cwd = (char *)o->cwd;
	if (o->no_new_privs)
		p->no_new_privileges = true;
	if ((o->user && exec_set_user(o->user, p, err) < 0) ||
	    exec_add_env_to(o, &spec->arena, p, err) < 0 || exec_add_caps(o, p, err) < 0 ||
	    exec_add_gids(o, &spec->arena, p, err) < 0)
		return -1;
	return oci_process_validate(p, err);
}
