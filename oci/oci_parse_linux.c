/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

#include <sched.h>
#include <string.h>

#include "base/error.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
	const char *type;
	uint64_t flag;
} namespace_types[] = {
	{ "pid", CLONE_NEWPID },   { "network", CLONE_NEWNET }, { "mount", CLONE_NEWNS },
	{ "ipc", CLONE_NEWIPC },   { "uts", CLONE_NEWUTS },	{ "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },
};

static int oci_parse_namespace(const struct json *at, struct oci_spec *spec, struct error **err)
{
	struct oci_namespace *ns = &spec->namespaces[spec->num_namespaces];

	if (json_expect_object(at, err) < 0 ||
	    json_string(at, "type", &spec->arena, &ns->type, err) < 0 ||
	    json_string(at, "path", &spec->arena, &ns->path, err) < 0)
		return -1;
	if (!ns->type)
		return json_member_error(at, "type", err, "missing");
	if (ns->path && !*ns->path)
		ns->path = NULL;
	for (size_t i = 0; i < sizeof(namespace_types) / sizeof(*namespace_types); i++)
		if (!strcmp(ns->type, namespace_types[i].type))
			ns->flag = namespace_types[i].flag;
	if (!ns->flag)
		return json_member_error(at, "type", err, "unknown namespace %s", ns->type);
	if (ns->path && *ns->path != '/')
		return json_member_error(at, "path", err, "expected an absolute path");
	if (oci_spec_namespace(spec, ns->flag))
		return json_member_error(at, "type", err, "%s is given twice", ns->type);
	spec->num_namespaces++;
	return 0;
}

static int oci_parse_device_number(const struct json *at, const char *key, uint32_t *out,
				   struct error **err)
{
	int64_t v = 0;

	if (json_i64(at, key, &v, err) < 0)
		return -1;
	if (v < 0 || v > UINT32_MAX)
		return json_member_error(at, key, err, "expected a device number");
	*out = (uint32_t)v;
	return 0;
}

static int oci_parse_device(const struct json *at, struct oci_spec *spec, struct error **err)
{
	struct oci_device *d = &spec->devices[spec->num_devices];
	char *type = NULL;

	d->mode = 0666;
	if (json_expect_object(at, err) < 0 ||
	    json_string(at, "type", &spec->arena, &type, err) < 0 ||
	    json_string(at, "path", &spec->arena, &d->path, err) < 0 ||
	    oci_parse_device_number(at, "major", &d->major, err) < 0 ||
	    oci_parse_device_number(at, "minor", &d->minor, err) < 0 ||
	    json_u32(at, "fileMode", &d->mode, err) < 0 ||
	    json_u32(at, "uid", &d->uid, err) < 0 || json_u32(at, "gid", &d->gid, err) < 0)
		return -1;
	if (!d->path || *d->path != '/')
		return json_member_error(at, "path", err, "expected an absolute path");
	if (!type || strlen(type) != 1 || !strchr("cubp", *type))
		return json_member_error(at, "type", err, "expected c, b, u or p");
	d->type = *type == 'u' ? 'c' : *type;
	d->mode &= 07777;
	spec->num_devices++;
	return 0;
}

typedef int (*oci_element_fn)(const struct json *at, struct oci_spec *spec, struct error **err);

static int oci_parse_elements(const struct json *obj, const char *key, struct oci_spec *spec,
			      size_t size, void **out, oci_element_fn parse, struct error **err)
{
	struct json array;
	int r = oci_parse_list(obj, key, &spec->arena, size, &array, out, err);

	for (size_t i = 0; r > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);

		if (parse(&item, spec, err) < 0)
			return -1;
	}
	return r < 0 ? -1 : 0;
}

/* Several of these are written by engines as empty objects or lists. */
static bool oci_parse_is_empty(const struct json *obj, const char *key)
{
	struct json v;
	cleanup_error struct error *ignored = NULL;

	if (!json_has(obj, key))
		return true;
	if (json_array(obj, key, &v, &ignored) > 0)
		return !json_len(&v);
	return json_object(obj, key, &v, &ignored) > 0 && !v.value->u.object.len;
}

static int oci_parse_linux_refused(const struct json *obj, struct error **err)
{
	static const char *const refused[] = { "intelRdt", "netDevices", "memoryPolicy" };

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (!oci_parse_is_empty(obj, refused[i]))
			return json_member_error(obj, refused[i], err,
						 "not supported for a container in a microVM");
	return 0;
}

static int oci_parse_time_offset(const struct json *obj, const char *clock,
				 struct oci_time_offset *out, struct error **err)
{
	struct json offset;
	int r = json_object(obj, clock, &offset, err);

	if (r <= 0)
		return r;
	if (json_i64(&offset, "secs", &out->secs, err) < 0 ||
	    json_u32(&offset, "nanosecs", &out->nanosecs, err) < 0)
		return -1;
	return out->nanosecs < 1000000000 ? 0 : json_member_error(&offset, "nanosecs", err,
								 "is a second or more");
}

static int oci_parse_time_offsets(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	static const char *const clocks[] = { [OCI_CLOCK_MONOTONIC] = "monotonic",
					      [OCI_CLOCK_BOOTTIME] = "boottime" };
	struct json offsets;
	int r = json_object(obj, "timeOffsets", &offsets, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < offsets.value->u.object.len; i++) {
		const char *key = offsets.value->u.object.keys[i];

		if (strcmp(key, clocks[0]) && strcmp(key, clocks[1]))
			return json_member_error(&offsets, key, err, "no clock that a time namespace has");
		spec->has_time_offsets = true;
	}
	for (size_t i = 0; i < OCI_CLOCKS; i++)
		if (oci_parse_time_offset(&offsets, clocks[i], &spec->time_offsets[i], err) < 0)
			return -1;
	return 0;
}

int oci_parse_linux(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	struct arena *a = &spec->arena;
	struct json part;
	int r;

	if (oci_parse_elements(obj, "namespaces", spec, sizeof(*spec->namespaces),
			       (void **)&spec->namespaces, oci_parse_namespace, err) < 0 ||
	    oci_parse_elements(obj, "devices", spec, sizeof(*spec->devices),
			       (void **)&spec->devices, oci_parse_device, err) < 0 ||
	    json_string(obj, "cgroupsPath", a, &spec->cgroups_path, err) < 0 ||
	    json_string(obj, "mountLabel", a, &spec->mount_label, err) < 0 ||
	    json_string(obj, "rootfsPropagation", a, &spec->rootfs_propagation, err) < 0 ||
	    json_strv(obj, "maskedPaths", a, &spec->masked_paths, err) < 0 ||
	    json_strv(obj, "readonlyPaths", a, &spec->readonly_paths, err) < 0 ||
	    oci_parse_pairs(obj, "sysctl", a, &spec->sysctls, &spec->num_sysctls, err) < 0 ||
	    oci_parse_mappings(obj, "uidMappings", a, &spec->uids, err) < 0 ||
	    oci_parse_mappings(obj, "gidMappings", a, &spec->gids, err) < 0 ||
	    oci_parse_time_offsets(obj, spec, err) < 0 ||
	    oci_parse_personality(obj, spec, err) < 0 || oci_parse_linux_refused(obj, err) < 0)
		return -1;
	r = json_object(obj, "resources", &part, err);
	if (r < 0 || (r && oci_parse_resources(&part, a, &spec->resources, err) < 0))
		return -1;
	r = json_object(obj, "seccomp", &part, err);
	if (r <= 0)
		return r;
	spec->seccomp = arena_alloc(a, 1, sizeof(*spec->seccomp));
	if (!spec->seccomp)
		return json_error(&part, err, "out of memory");
	return oci_parse_seccomp(&part, a, spec->seccomp, err);
}
