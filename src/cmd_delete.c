/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "container.h"
#include "container_match.h"
#include "container_start.h"
#include "launch_net.h"

#define END_TIMEOUT_MS 10000

static int delete_end_vmm(const struct container *c, struct error **err)
{
	if (process_ref_end(&c->state.vmm, END_TIMEOUT_MS) < 0)
		return error_set(err, 0, "the VMM of container %s does not end", c->id);
	return 0;
}

static int delete_refuse(const struct container *c, struct error **err)
{
	return error_set(err, 0, "container %s is %s, not stopped: use --force", c->id,
			 oci_status_name(c->state.status));
}

/* Its process has not begun to run, and with the lock held no `start` has it do so. */
static int delete_check_created(struct container *c, struct error **err)
{
	if (oci_state_lock(c->dirfd, err) < 0 || container_refresh(c, err) < 0)
		return -1;
	if (c->state.status != OCI_STATUS_CREATED && c->state.status != OCI_STATUS_STOPPED)
		return delete_refuse(c, err);
	return delete_end_vmm(c, err);
}

/* Whether the state allows it; ends the VMM when forced. */
static int delete_check(struct container *c, bool force, struct error **err)
{
	int locked;

	if (c->state.status == OCI_STATUS_CREATING) {
		locked = oci_state_trylock(c->dirfd, err);
		if (locked)
			return locked < 0 ? -1 : 0;
		return error_set(err, 0, "container %s is being created", c->id);
	}
	if (c->state.status == OCI_STATUS_CREATED && !force)
		return delete_check_created(c, err);
	if (c->state.status != OCI_STATUS_STOPPED && !force)
		return delete_refuse(c, err);
	/* Before the lock: a `start` that waits for this VMM holds it. */
	if (delete_end_vmm(c, err) < 0)
		return -1;
	return oci_state_lock(c->dirfd, err);
}

/* `run` removes its container itself, possibly while somebody else does. */
static bool delete_is_done(const struct app *app, const char *id)
{
	cleanup_close int dirfd = oci_state_open(app->root, id, NULL);

	return dirfd < 0;
}

int container_delete(const struct app *app, const char *id, bool force, struct error **err)
{
	cleanup_container struct container c = { .dirfd = -1 };
	cleanup_error struct error *why = NULL;
	bool hooks;

	if (oci_id_check(id, err) < 0)
		return -1;
	c.dirfd = oci_state_open(app->root, id, force ? NULL : err);
	if (c.dirfd < 0)
		return force ? 0 : -1;
	close(steal_fd(&c.dirfd));
	if (container_open(app, id, &c, &why) < 0 && !force)
		return error_move(err, &why);
	error_free(&why);
	if (delete_check(&c, force, &why) < 0)
		return force && delete_is_done(app, id) ? 0 : error_move(err, &why);
	hooks = !container_load_spec(&c, &why);
	if (!hooks)
		log_debug("%s", error_msg(why));
	c.state.status = OCI_STATUS_STOPPED;
	if (container_destroy(&c, err) < 0)
		return -1;
	if (hooks)
		launch_net_remove(&c.spec);
	if (hooks)
		container_run_hooks(&c, OCI_HOOK_POSTSTOP, NULL);
	return 0;
}

struct delete_options {
	bool force, regex;
};

static int delete_option(void *data, int key, const char *value, struct error **err)
{
	struct delete_options *o = data;

	(void)value;
	(void)err;
	if (key == 'r')
		o->regex = true;
	else
		o->force = true;
	return 0;
}

static int delete_one(const struct app *app, const char *id, void *data, struct error **err)
{
	const struct delete_options *o = data;

	return container_delete(app, id, o->force, err);
}

int cmd_delete(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "force", 'f', NULL, "end it first if it runs" },
		{ "regex", 'r', NULL, "ID is a regular expression: every container that it matches" },
		{ 0 },
	};
	static const struct command cmd = {
		"delete", "ID", "Remove what is left of container ID, which has stopped, or was never "
		"started.", options, 1, 1,
	};
	struct delete_options o = { false, false };
	int first = command_parse(&cmd, argc, argv, delete_option, &o, err);

	if (first <= 0)
		return first;
	return o.regex ? container_match(app, argv[first], delete_one, &o, err) :
			 delete_one(app, argv[first], &o, err);
}
