/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/json_out.h"
#include "oci/oci_json.h"
#include "oci/oci_spec.h"

static const char *const status_names[] = {
	[OCI_STATUS_CREATING] = "creating", [OCI_STATUS_CREATED] = "created",
	[OCI_STATUS_RUNNING] = "running",   [OCI_STATUS_PAUSED] = "paused",
	[OCI_STATUS_STOPPED] = "stopped",
};

#define NUM_STATUS (sizeof(status_names) / sizeof(*status_names))

const char *oci_status_name(enum oci_status status)
{
	return status_names[status];
}

static void state_put_process(struct json_out *out, const struct process_ref *ref)
{
	json_out_open(out, NULL);
	json_out_int(out, "pid", ref->pid);
	json_out_int(out, "start", (long long)ref->start);
	json_out_close(out);
}

static char *state_render(const struct oci_state *s)
{
	struct json_out out;

	json_out_begin(&out, true);
	json_out_open(&out, NULL);
	json_out_string(&out, "id", s->id);
	json_out_string(&out, "status", oci_status_name(s->status));
	json_out_string(&out, "bundle", s->bundle);
	json_out_string(&out, "rootfs", s->rootfs);
	json_out_string(&out, "created", s->created);
	json_out_string(&out, "owner", s->owner);
	if (s->cgroup)
		json_out_string(&out, "cgroup", s->cgroup);
	if (s->gpu_driver)
		json_out_string(&out, "gpuDriver", s->gpu_driver);
	json_out_int(&out, "vcpus", s->vcpus);
	json_out_int(&out, "ram", (long long)s->ram);
	json_out_int(&out, "room", (long long)s->room);
	json_out_open_list(&out, "processes");
	state_put_process(&out, &s->vmm);
	for (size_t i = 0; i < s->num_workers; i++)
		state_put_process(&out, &s->workers[i]);
	json_out_close_list(&out);
	json_out_close(&out);
	return json_out_end(&out);
}

int oci_state_write(int dirfd, const struct oci_state *state, struct error **err)
{
	const char *tmp = OCI_STATUS_FILE ".new";
	cleanup_free char *text = state_render(state);
	cleanup_close int fd = -1;
	int r;

	if (!text)
		return error_set(err, ENOMEM, "cannot write %s", OCI_STATUS_FILE);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, errno, "cannot write %s", OCI_STATUS_FILE);
	r = fd_write_full(fd, text, strlen(text));
	if (r < 0)
		return error_set(err, -r, "cannot write %s", OCI_STATUS_FILE);
	if (renameat(dirfd, tmp, dirfd, OCI_STATUS_FILE) < 0)
		return error_set(err, errno, "cannot write %s", OCI_STATUS_FILE);
	return 0;
}

static int state_get_processes(const struct json *obj, struct oci_state *s, struct error **err)
{
	struct json list;
	int r = json_array(obj, "processes", &list, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < json_len(&list) && i <= OCI_STATE_WORKERS_MAX; i++) {
		const struct json item = json_at(&list, i);
		struct process_ref *ref = i ? &s->workers[s->num_workers++] : &s->vmm;
		int64_t pid = 0;

		if (json_expect_object(&item, err) < 0 || json_i64(&item, "pid", &pid, err) < 0 ||
		    json_u64(&item, "start", &ref->start, err) < 0)
			return -1;
		ref->pid = (pid_t)pid;
	}
	return 0;
}

static int state_get_status(const struct json *obj, struct oci_state *s, struct error **err)
{
	char *name = NULL;

	if (json_string(obj, "status", &s->arena, &name, err) < 0)
		return -1;
	for (unsigned int i = 0; name && i < NUM_STATUS; i++)
		if (!strcmp(name, status_names[i])) {
			s->status = i;
			return 0;
		}
	return json_member_error(obj, "status", err, "not a status");
}

static int state_parse(const struct json *obj, struct oci_state *s, struct error **err)
{
	struct arena *a = &s->arena;

	if (json_string(obj, "bundle", a, &s->bundle, err) < 0 ||
	    json_string(obj, "rootfs", a, &s->rootfs, err) < 0 ||
	    json_string(obj, "created", a, &s->created, err) < 0 ||
	    json_string(obj, "owner", a, &s->owner, err) < 0 ||
	    json_string(obj, "cgroup", a, &s->cgroup, err) < 0 ||
	    json_string(obj, "gpuDriver", a, &s->gpu_driver, err) < 0 ||
	    json_u32(obj, "vcpus", &s->vcpus, err) < 0 ||
	    json_u64(obj, "ram", &s->ram, err) < 0 || json_u64(obj, "room", &s->room, err) < 0)
		return -1;
	return state_get_status(obj, s, err) < 0 ? -1 : state_get_processes(obj, s, err);
}

int oci_state_read(int dirfd, const char *id, struct oci_state *s, struct error **err)
{
	cleanup_yajl yajl_val tree = NULL;
	struct json root;

	s->id = arena_strdup(&s->arena, id);
	s->bundle = s->rootfs = s->created = s->owner = arena_strdup(&s->arena, "");
	if (!s->id || !s->owner)
		return error_set(err, ENOMEM, "cannot read %s", OCI_STATUS_FILE);
	s->status = OCI_STATUS_CREATING;
	if (faccessat(dirfd, OCI_STATUS_FILE, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	tree = json_file(dirfd, OCI_STATUS_FILE, err);
	root = (struct json){ .value = tree };
	if (!tree || state_parse(&root, s, err) < 0)
		return error_wrap(err, "container %s", id);
	if (s->status != OCI_STATUS_CREATING && !process_ref_alive(&s->vmm))
		s->status = OCI_STATUS_STOPPED;
	return 0;
}

void oci_state_release(struct oci_state *state)
{
	arena_release(&state->arena);
	memset(state, 0, sizeof(*state));
}

char *oci_state_json(const struct oci_state *s, const struct oci_spec *spec)
{
	struct json_out out;

	json_out_begin(&out, true);
	json_out_open(&out, NULL);
	json_out_string(&out, "ociVersion", spec && spec->version ? spec->version : "1.0.2");
	json_out_string(&out, "id", s->id);
	json_out_int(&out, "pid", s->status == OCI_STATUS_STOPPED ? 0 : s->vmm.pid);
	json_out_string(&out, "status", oci_status_name(s->status));
	json_out_string(&out, "bundle", s->bundle);
	json_out_string(&out, "rootfs", s->rootfs);
	json_out_string(&out, "created", s->created);
	json_out_string(&out, "owner", s->owner);
	json_out_open(&out, "annotations");
	for (size_t i = 0; spec && i < spec->num_annotations; i++)
		json_out_string(&out, spec->annotations[i].key, spec->annotations[i].value);
	json_out_close(&out);
	json_out_close(&out);
	return json_out_end(&out);
}
