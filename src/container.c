/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "cgroup.h"
#include "control_client.h"
#include "net_namespace.h"
#include "oci/oci_hooks.h"
#include "oom_link.h"

#define STATE_TIMEOUT_MS 1000
#define SIGNAL_TIMEOUT_MS 10000
#define SIGKILL_TIMEOUT_MS 2000
#define END_TIMEOUT_MS 10000

int container_open(const struct app *app, const char *id, struct container *c, struct error **err)
{
	*c = (struct container){ .root = app->root, .id = id, .dirfd = -1 };
	c->dirfd = oci_state_open(app->root, id, err);
	if (c->dirfd < 0)
		return -1;
	return container_refresh(c, err);
}

int container_load_spec(struct container *c, struct error **err)
{
	return oci_spec_load(c->dirfd, OCI_CONFIG_FILE, &c->spec, err);
}

/* Whose start was killed after the VMM had obeyed is recorded as created, and runs. */
static void container_ask_vmm(struct container *c)
{
	cleanup_close int sock = control_connect(c->dirfd, NULL);
	cleanup_msg struct msg msg = { 0 };
	struct wire_reader r;

	if (sock < 0 || msg_send(sock, VMM_STATE, NULL, 0, NULL, 0) < 0 ||
	    control_receive(sock, STATE_TIMEOUT_MS, &msg, NULL) < 0 || msg.type != VMM_STATE_IS)
		return;
	r = WIRE_READER(msg.payload, msg.len);
	if (wire_get_u8(&r) >= VMM_STATE_RUNNING && !r.failed)
		c->state.status = OCI_STATUS_RUNNING;
}

int container_refresh(struct container *c, struct error **err)
{
	oci_state_release(&c->state);
	if (oci_state_read(c->dirfd, c->id, &c->state, err) < 0)
		return -1;
	if (c->state.status == OCI_STATUS_CREATED)
		container_ask_vmm(c);
	return 0;
}

bool container_goes_on(struct container *c)
{
	/* One without a state is being created; one that had it has been deleted. */
	return container_refresh(c, NULL) == 0 && c->state.status != OCI_STATUS_CREATING &&
	       c->state.status != OCI_STATUS_STOPPED;
}

struct hooks_call {
	const struct oci_spec *spec;
	enum oci_hook_point point;
	const char *json;
};

static int container_call_hooks(void *data, struct error **err)
{
	const struct hooks_call *call = data;

	return oci_hooks_run(call->spec, call->point, call->json, err);
}

/* In the container's network namespace: of its namespaces the one that is the host's. */
static int container_run_inside(const struct container *c, enum oci_hook_point point,
				const char *json, struct error **err)
{
	struct hooks_call call = { &c->spec, point, json };
	cleanup_close int netns = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", c->state.vmm.pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return error_set(err, errno, "cannot open the container's network namespace");
	return net_namespace_run(netns, container_call_hooks, &call, err);
}

int container_run_hooks(struct container *c, enum oci_hook_point point, struct error **err)
{
	cleanup_free char *json = NULL;

	if (!c->spec.hooks[point].count)
		return 0;
	json = oci_state_json(&c->state, &c->spec);
	if (!json)
		return error_set(err, ENOMEM, "cannot write the state for hooks");
	if (point == OCI_HOOK_CREATE_CONTAINER && oci_spec_namespace(&c->spec, CLONE_NEWNET))
		return container_run_inside(c, point, json, err);
	return oci_hooks_run(&c->spec, point, json, err);
}

static int container_signal_agent(struct container *c, int signo, bool all, struct error **err)
{
	cleanup_wire struct wire_writer w = { 0 };

	wire_put_u32(&w, (uint32_t)signo);
	wire_put_u8(&w, all);
	if (w.failed)
		return error_set(err, ENOMEM, "cannot send a signal");
	return control_request(c->dirfd, VMM_SIGNAL, w.data, w.len,
			       signo == SIGKILL ? SIGKILL_TIMEOUT_MS : SIGNAL_TIMEOUT_MS, err);
}

/* What a VMM that ends, or has ended, answers, and the agent of one whose process has. */
static bool container_is_over(const struct error *why)
{
	static const int codes[] = { ECONNREFUSED, ECONNRESET, ENOENT, EPIPE, ESRCH };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (why->code == codes[i])
			return true;
	return false;
}

int container_not_running(const char *id, struct error **err)
{
	return error_set(err, ESRCH, "container not running: %s", id);
}

int container_kill(struct container *c, int signo, bool all, struct error **err)
{
	cleanup_error struct error *why = NULL;

	if (!container_signal_agent(c, signo, all, &why))
		return 0;
	/* A machine whose virtual CPUs stand still cannot obey; SIGKILL does not wait for it. */
	if (signo == SIGKILL && process_ref_end(&c->state.vmm, END_TIMEOUT_MS) == 0)
		return 0;
	return container_is_over(why) ? container_not_running(c->id, err) : error_move(err, &why);
}

static void destroy_keep_first(struct error **first, struct error **why)
{
	if (*why && first && !*first)
		error_move(first, why);
	error_free(why);
}

int container_destroy(struct container *c, struct error **err)
{
	cleanup_error struct error *first = NULL, *why = NULL;
	const struct process_ref *all[OCI_STATE_WORKERS_MAX + 1] = { &c->state.vmm };
	size_t count = 1;

	for (size_t i = 0; i < c->state.num_workers; i++)
		all[count++] = &c->state.workers[i];
	for (size_t i = 0; i < count; i++)
		process_ref_kill(all[i], SIGKILL);
	for (size_t i = 0; i < count; i++)
		if (process_ref_end(all[i], END_TIMEOUT_MS) < 0)
			error_set(&why, 0, "process %d does not end", all[i]->pid);
	destroy_keep_first(&first, &why);
	oom_link_remove(c);
	if (c->state.cgroup)
		cgroup_remove(c->state.cgroup, &why);
	destroy_keep_first(&first, &why);
	oci_state_remove(c->root, c->id, c->dirfd, &why);
	destroy_keep_first(&first, &why);
	return first ? error_move(err, &first) : 0;
}

void container_release(struct container *c)
{
	oci_state_release(&c->state);
	oci_spec_release(&c->spec);
	if (c->dirfd >= 0)
		close(c->dirfd);
	c->dirfd = -1;
}
