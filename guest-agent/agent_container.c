/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Orders come in as messages, and what becomes of processes as events; both end in a message to
 * the host. EXITED for id 0 is the agent's last one: before it every other process of the
 * container is killed and theirs are told, so that the host may end the machine as soon as it reads
 * it. Files need no flush: FUSE without a write-back cache has written what write(2) was given, and
 * what was mapped when the mapping went, at the latest with its process. The host's own cache is the
 * host's matter, as it is for any process of its own.
 */
#include "guest-agent/agent_container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "guest-agent/agent_boot.h"
#include "guest-agent/agent_cgroup.h"
#include "guest-agent/agent_control.h"
#include "guest-agent/agent_net.h"
#include "guest-agent/agent_proc.h"
#include "guest-agent/agent_process.h"
#include "guest-agent/agent_userns.h"

/* How long the container's end may wait for somebody to read the output of an exec. */
#define EXEC_DRAIN_MS 5000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void container_fail(struct container *c, uint32_t id, const struct error *e)
{
	control_send_error(c->control, id, e ? (uint32_t)e->code : 0, error_msg(e));
}

/* A failed one is over for the host, which may use its id again before it is reaped. */
static struct process *process_by_id(const struct container *c, uint32_t id)
{
	for (struct process *p = c->processes; p; p = p->next)
		if (p->id == id && p->state != PROCESS_FAILED)
			return p;
	return NULL;
}

static void container_forget(struct container *c, struct process *p)
{
	struct process **at = &c->processes;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	if (c->init == p)
		c->init = NULL;
	process_free(p);
}

/*
 * What is mounted in the container stays so until the machine ends, even when its last process has
 * gone: see boot_pin_export(), which cannot know of submounts below submounts.
 */
static void container_pin_mounts(struct container *c)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)c->init->pid);
	c->mount_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (c->mount_ns < 0)
		log_warning("%s: %s", path, strerror(errno));
	c->proc = proc_open(c->init->pid);
}

static void on_ready(void *data, struct process *p)
{
	struct container *c = data;

	if (p == c->init) {
		container_pin_mounts(c);
		control_send_ready(c->control);
	} else {
		process_go(p); /* if it is gone already, its end is told as any other */
	}
}

static void on_started(void *data, struct process *p)
{
	struct container *c = data;

	control_send_started(c->control, p->id, (uint32_t)process_pid_inside(p));
}

static void on_failed(void *data, struct process *p, uint32_t code, const char *why)
{
	struct container *c = data;

	control_send_error(c->control, p->id, code, why);
}

static void on_ended(void *data, struct process *p)
{
	struct container *c = data;
	bool failed = p->state == PROCESS_FAILED;

	oom_look(&c->oom);
	if (p == c->init) {
		c->status = p->status;
		c->ended = !failed;
		c->deadline = now_ms() + EXEC_DRAIN_MS;
		cgroup_kill(c->cgroup);
	} else if (!failed) {
		control_send_exited(c->control, p->id, p->status);
	}
	container_forget(c, p);
	container_tick(c);
}

static const struct process_events container_events = {
	.ready = on_ready,
	.started = on_started,
	.failed = on_failed,
	.ended = on_ended,
};

static struct process *container_spawn(struct container *c, uint32_t id,
				       const struct agent_process *process,
				       const struct agent_container *container, struct error **err)
{
	const struct process_spawn ps = {
		.loop = c->loop,
		.events = &container_events,
		.data = c,
		.id = id,
		.process = process,
		.container = container,
		.namespaces = c->namespaces,
		.uids = &c->uids,
		.init = c->init,
		.cgroup = c->cgroup,
	};
	struct process *p = process_spawn(&ps, err);

	if (p) {
		p->next = c->processes;
		c->processes = p;
	}
	return p;
}

/* For execs, which come when the description of the container is gone. */
static int container_keep_mappings(struct container *c, const struct agent_mappings *uids,
				   struct error **err)
{
	c->uids.items = calloc(uids->count + 1, sizeof(*uids->items));
	if (!c->uids.items)
		return error_set(err, ENOMEM, "mappings");
	if (uids->count)
		memcpy(c->uids.items, uids->items, uids->count * sizeof(*uids->items));
	c->uids.count = uids->count;
	return 0;
}

/* What was told of the network before there was one. */
static void obey_early(struct container *c)
{
	for (bool more = true; more;) {
		cleanup_error struct error *err = NULL;

		more = net_early(&c->net, &err);
		if (err)
			control_send_log(c->control, LOG_LEVEL_WARNING, error_msg(err));
	}
}

static int container_create(struct container *c, struct agent_container *spec,
			    struct error **err)
{
	const uint64_t known = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			       CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWTIME |
			       CLONE_NEWUSER;

	if (spec->namespaces & ~known)
		return error_set(err, ENOTSUP, "namespaces 0x%llx",
				 (unsigned long long)(spec->namespaces & ~known));
	c->namespaces = spec->namespaces;
	if (container_keep_mappings(c, &spec->uids, err) < 0)
		return -1;
	if (((spec->namespaces & CLONE_NEWUSER) && userns_prepare(spec, err) < 0) ||
	    sockets_listen(&c->sockets, spec, err) < 0)
		return -1;
	if (boot_set_clock(spec->boot_time, err) < 0 ||
	    net_begin(&c->net, spec->interfaces, spec->num_interfaces, err) < 0 ||
	    names_serve(&c->names, spec->name_server, err) < 0)
		return -1;
	obey_early(c);
	boot_pin_export(spec);
	c->cgroup = cgroup_create(spec->cgroup, spec->num_cgroup, err);
	if (c->cgroup < 0 || cgroup_delegate(c->cgroup, spec, err) < 0)
		return -1;
	oom_watch(&c->oom, c->cgroup);
	c->init = container_spawn(c, 0, &spec->process, spec, err);
	return c->init ? 0 : -1;
}

static void obey_container(struct container *c, struct wire_reader *r)
{
	cleanup_error struct error *err = NULL;
	struct agent_container spec = { 0 };

	if (agent_container_decode(r, &spec) < 0)
		error_set(&err, EPROTO, "malformed container message");
	else if (c->cgroup >= 0)
		error_set(&err, EEXIST, "this machine has a container already");
	else
		container_create(c, &spec, &err);
	if (err)
		container_fail(c, 0, err);
	agent_container_release(&spec);
}

static void obey_start(struct container *c, struct wire_reader *msg)
{
	const uint32_t name_server = wire_get_u32(msg);
	cleanup_error struct error *names = NULL, *err = NULL;
	int r;

	if (!wire_done(msg)) {
		error_set(&err, EPROTO, "malformed start message");
		container_fail(c, 0, err);
		return;
	}
	if (c->names.source.fd < 0 && names_serve(&c->names, name_server, &names) < 0)
		control_send_log(c->control, LOG_LEVEL_WARNING, error_msg(names));
	r = c->init ? process_go(c->init) : -ESRCH;

	if (r == -EINVAL)
		error_set(&err, 0, "the container is not in the state `created`");
	else if (r == -ESRCH)
		error_set(&err, ESRCH, "start the container");
	if (err)
		container_fail(c, 0, err);
}

static int exec_begin(struct container *c, uint32_t id, const struct agent_process *process,
		      struct error **err)
{
	if (!c->init || c->init->reaped || c->init->state != PROCESS_RUNNING)
		return error_set(err, 0, "the container is not running");
	if (!id || process_by_id(c, id))
		return error_set(err, EEXIST, "exec id %u", id);
	return container_spawn(c, id, process, NULL, err) ? 0 : -1;
}

static void obey_exec(struct container *c, struct wire_reader *r)
{
	cleanup_error struct error *err = NULL;
	struct agent_process process = { 0 };
	uint32_t id = wire_get_u32(r);

	if (agent_process_decode(r, &process) < 0)
		error_set(&err, EPROTO, "malformed exec message");
	else
		exec_begin(c, id, &process, &err);
	if (err)
		container_fail(c, id, err);
	agent_process_release(&process);
}

static int signal_all(struct container *c, int signo)
{
	if (c->cgroup < 0 || !c->processes)
		return -ESRCH;
	if (signo != SIGKILL)
		return cgroup_signal(c->cgroup, signo);
	cgroup_kill(c->cgroup);
	return 0;
}

static void obey_signal(struct container *c, struct wire_reader *r)
{
	uint32_t id = wire_get_u32(r), signo = wire_get_u32(r);
	bool all = wire_get_u8(r);
	struct process *p = process_by_id(c, id);
	int result;

	if (!wire_done(r) || signo > (uint32_t)SIGRTMAX)
		result = -EINVAL;
	else if (all && (!p || p->state == PROCESS_RUNNING))
		result = signal_all(c, (int)signo);
	else
		result = p ? process_signal(p, (int)signo) : -ESRCH;
	control_send_signaled(c->control, id, (uint32_t)-result);
}

static void obey_resize(struct container *c, struct wire_reader *r)
{
	uint32_t id = wire_get_u32(r), rows = wire_get_u32(r), columns = wire_get_u32(r);
	struct process *p = process_by_id(c, id);

	/* A size that comes after the end is no mistake of anybody's. */
	if (wire_done(r) && p)
		streams_resize(&p->streams, rows, columns);
}

static void obey_cgroup(struct container *c, struct wire_reader *r)
{
	cleanup_error struct error *err = NULL;
	size_t count;
	struct agent_pair *files = agent_pairs_decode(r, &count);

	if (!wire_done(r))
		error_set(&err, EPROTO, "malformed cgroup message");
	else if (c->cgroup < 0)
		error_set(&err, ESRCH, "there is no container yet");
	else
		cgroup_access(c->cgroup, files, count, &err);
	control_send_cgroup(c->control, err, files, count);
	agent_pairs_release(files, count);
}

/* What the engine does to a running container's network. Nobody waits for an answer. */
static void obey_network(struct container *c, const struct msg *msg)
{
	cleanup_error struct error *err = NULL;

	if (net_message(&c->net, msg->type, msg->payload, msg->len, &err) < 0)
		control_send_log(c->control, LOG_LEVEL_WARNING, error_msg(err));
}

static void obey_proc(struct container *c, struct wire_reader *r)
{
	uint32_t cookie = wire_get_u32(r), what = wire_get_u32(r), pid = wire_get_u32(r);
	char text[AGENT_PROC_TEXT_MAX];
	size_t len = 0;
	int code = wire_done(r) ? proc_read(c->proc, what, pid, text, &len) : -EPROTO;

	control_send_proc(c->control, cookie, -code, text, code ? 0 : len);
}

static void obey_connected(struct container *c, struct wire_reader *r)
{
	uint32_t connection = wire_get_u32(r), code = wire_get_u32(r), port = wire_get_u32(r);

	if (wire_done(r))
		sockets_connected(&c->sockets, connection, code, port);
}

static void obey_local(struct container *c, struct wire_reader *r)
{
	uint32_t host_port = wire_get_u32(r), port = wire_get_u32(r);
	size_t len = 0;
	const char *address = wire_get_bytes(r, &len);

	if (wire_done(r) && address)
		local_connect(&c->local, host_port, port, address, len);
}

static void obey_dns_is(struct container *c, struct wire_reader *r)
{
	uint32_t cookie = wire_get_u32(r);
	size_t len = 0;
	const char *answer = wire_get_bytes(r, &len);

	if (wire_done(r) && answer)
		names_answer(&c->names, cookie, answer, len);
}

void container_init(struct container *c, struct agent_loop *loop, struct control *control)
{
	*c = (struct container){ .loop = loop, .control = control, .cgroup = -1,
				 .mount_ns = -1, .proc = -1, .net.spares = { .netns = -1, .own = -1 },
				 .sockets = { .loop = loop, .control = control },
				 .local = { .loop = loop, .control = control },
				 .names = { .loop = loop, .control = control, .sockets = &c->sockets,
					    .source.fd = -1, .steering = -1 },
				 .oom = { .loop = loop, .control = control, .source.fd = -1 } };
}

void container_message(struct container *c, const struct msg *msg)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);

	switch (msg->type) {
	case AGENT_CONTAINER:
		obey_container(c, &r);
		break;
	case AGENT_START:
		obey_start(c, &r);
		break;
	case AGENT_EXEC:
		obey_exec(c, &r);
		break;
	case AGENT_SIGNAL:
		obey_signal(c, &r);
		break;
	case AGENT_INTERFACE:
	case AGENT_INTERFACE_GONE:
		obey_network(c, msg);
		break;
	case AGENT_RESIZE:
		obey_resize(c, &r);
		break;
	case AGENT_CGROUP:
		obey_cgroup(c, &r);
		break;
	case AGENT_PROC:
		obey_proc(c, &r);
		break;
	case AGENT_CONNECTED:
		obey_connected(c, &r);
		break;
	case AGENT_LOCAL:
		obey_local(c, &r);
		break;
	case AGENT_DNS_IS:
		obey_dns_is(c, &r);
		break;
	default:
		control_send_log(c->control, LOG_LEVEL_WARNING, "message of an unknown type");
	}
}

void container_reaped(struct container *c, pid_t pid, int status)
{
	for (struct process *p = c->processes; p; p = p->next) {
		if (p->pid != pid || p->reaped)
			continue;
		process_reaped(p, status);
		return;
	}
}

int container_timeout(const struct container *c)
{
	int64_t left;

	if (!c->ended || c->told)
		return -1;
	left = c->deadline - now_ms();
	return left < 0 ? 0 : (int)left;
}

void container_tick(struct container *c)
{
	if (!c->ended || c->told || (c->processes && now_ms() < c->deadline))
		return;
	c->told = true;
	control_send_exited(c->control, 0, c->status);
}
