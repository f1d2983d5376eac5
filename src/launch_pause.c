/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pods. An engine makes a container first that does nothing but hold the pod's namespaces: it gets a
 * process of the host's (vmm/pause_main.c), and no microVM. Containers that follow name namespaces of
 * it by path. Its network namespace they join as any other; of its UTS namespace there is a name to
 * take over; System V objects cannot be shared by two machines, so that each has its own. A container
 * whose configuration has no process gets the same, and is refused when it is to be started.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/msg.h"
#include "base/wire.h"
#include "control_client.h"
#include "launch_internal.h"
#include "oci/arena.h"
#include "spawn.h"

#define PAUSE_PROGRAM LIBEXECDIR "/krun-gpu-pause"
#define PAUSE_TIMEOUT_MS 20000

/* podman's, which has no annotation. */
static bool is_catatonit(char *const *args)
{
	const char *slash = args && args[0] ? strrchr(args[0], '/') : NULL;

	return slash && !strcmp(slash, "/catatonit") && args[1] && !strcmp(args[1], "-P") && !args[2];
}

bool launch_is_pause(const struct oci_spec *spec)
{
	/* CRI-O; containerd */
	static const char *const keys[] = { "io.kubernetes.cri-o.ContainerType",
					    "io.kubernetes.cri.container-type" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *type = oci_spec_annotation(spec, keys[i]);

		if (type && !strcmp(type, "sandbox"))
			return true;
	}
	return is_catatonit(spec->process.args);
}

/* Runs in the forked child that becomes the pause process. */
static int pause_prepare(void *data, struct error **err)
{
	const struct launch *l = data;
	const struct oci_spec *spec = &l->c.spec;
	int flags = 0;

	for (size_t i = 0; i < spec->num_namespaces; i++)
		flags |= (int)(spec->namespaces[i].flag & (CLONE_NEWUTS | CLONE_NEWIPC));
	if (flags && unshare(flags) < 0)
		return error_set(err, errno, "cannot make the pod's namespaces");
	if ((flags & CLONE_NEWUTS) && spec->hostname && *spec->hostname &&
	    sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return error_set(err, errno, "hostname: %s", spec->hostname);
	return launch_root(data, err);
}

int launch_pause(struct launch *l, struct error **err)
{
	static const char *const argv[] = { PAUSE_PROGRAM, NULL };
	struct spawn s = {
		.argv = argv, .netns_fd = l->netns, .new_netns = l->new_netns, .new_session = true,
		.apparmor_profile = l->c.spec.process.apparmor_profile,
		.prepare = pause_prepare, .data = l,
	};

	return launch_spawn_machine(l, &s, err);
}

int launch_pause_begin(struct launch *l, struct error **err)
{
	cleanup_msg struct msg msg = { 0 };
	const uint8_t process = l->c.spec.has_process;
	int r = msg_send(l->setup, VMM_CONFIG, &process, sizeof(process),
			 &l->vmm_fds[VMM_FD_CONTROL], 1);

	if (r < 0)
		return error_set(err, -r, "cannot configure the pod's first container");
	if (control_receive(l->setup, PAUSE_TIMEOUT_MS, &msg, err) < 0)
		return -1;
	return msg.type == VMM_CREATED ? 0 : error_set(err, EPROTO, "the pod's first container answered "
						       "out of turn");
}

/* The pod's first container, if @path is a namespace of its process; the caller releases @found. */
static bool find_pause(const struct app *app, const char *path, struct container *found)
{
	char **ids = oci_state_list(app->root, NULL);
	bool is = false;
	int pid = 0, end = 0;

	if (!ids || sscanf(path, "/proc/%d/ns/%n", &pid, &end) != 1 || !end || pid <= 0)
		pid = -1;
	for (char **id = ids; id && *id && pid > 0 && !is; id++) {
		if (container_open(app, *id, found, NULL) == 0 && found->state.vmm.pid == pid &&
		    process_ref_alive(&found->state.vmm) && container_load_spec(found, NULL) == 0)
			is = launch_is_pause(&found->spec);
		if (!is)
			container_release(found);
	}
	if (ids)
		wire_strv_free(ids);
	return is;
}

static int join_pod(struct launch *l, size_t index, struct error **err)
{
	struct oci_namespace *ns = &l->c.spec.namespaces[index];
	cleanup_container struct container pod = { .dirfd = -1 };
	char *own;

	if (!find_pause(l->app, ns->path, &pod))
		return error_set(err, 0, "linux.namespaces[%zu].path: the process runs in a microVM and "
				 "cannot join the %s namespace %s, which is not that of a pod's first "
				 "container", index, ns->type, ns->path);
	ns->path = NULL;
	if (ns->flag == CLONE_NEWIPC)
		log_info("the container's System V objects are its own: its pod's are not in its microVM");
	if (ns->flag != CLONE_NEWUTS || (l->c.spec.hostname && *l->c.spec.hostname))
		return 0;
	own = arena_strdup(&l->c.spec.arena, pod.spec.hostname ? pod.spec.hostname : "");
	if (!own)
		return error_set(err, ENOMEM, "hostname");
	l->c.spec.hostname = own;
	return 0;
}

int launch_join_pod(struct launch *l, struct error **err)
{
	for (size_t i = 0; i < l->c.spec.num_namespaces; i++) {
		const struct oci_namespace *ns = &l->c.spec.namespaces[i];

		if (ns->path && (ns->flag & (CLONE_NEWIPC | CLONE_NEWUTS)) &&
		    join_pod(l, i, err) < 0)
			return -1;
	}
	return 0;
}
