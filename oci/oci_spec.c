/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_spec.h"

#include <string.h>

#include "base/error.h"
#include "oci/oci_parse.h"
#include "oci/oci_validate.h"

int oci_parse_refuse(const struct json *obj, const char *const *keys, const char *why,
		     struct error **err)
{
	for (; *keys; keys++)
		if (json_has(obj, *keys))
			return json_member_error(obj, *keys, err, "%s", why);
	return 0;
}

int oci_parse_list(const struct json *obj, const char *key, struct arena *arena, size_t size,
		   struct json *array, void **out, struct error **err)
{
	int r = json_array(obj, key, array, err);

	if (r <= 0)
		return r;
	*out = arena_alloc(arena, json_len(array), size);
	return *out ? 1 : json_error(array, err, "out of memory");
}

int oci_parse_pairs(const struct json *obj, const char *key, struct arena *arena,
		    struct oci_pair **pairs, size_t *count, struct error **err)
{
	struct json map;
	struct oci_pair *v;
	size_t n;
	int r = json_object(obj, key, &map, err);

	if (r <= 0)
		return r;
	n = map.value->u.object.len;
	v = arena_alloc(arena, n, sizeof(*v));
	if (!v)
		return json_error(&map, err, "out of memory");
	for (size_t i = 0; i < n; i++) {
		const char *name = map.value->u.object.keys[i];
		const struct json item = { map.value->u.object.values[i], &map, name, 0 };
		const char *text = json_text(&item, err);

		if (!text)
			return -1;
		v[i].key = arena_strdup(arena, name);
		v[i].value = arena_strdup(arena, text);
		if (!v[i].key || !v[i].value)
			return json_error(&item, err, "out of memory");
	}
	*pairs = v;
	*count = n;
	return 0;
}

static int oci_parse_root(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	struct json root;
	int r = json_object(obj, "root", &root, err);

	if (r < 0)
		return -1;
	if (!r)
		return json_member_error(obj, "root", err, "missing");
	if (json_string(&root, "path", &spec->arena, &spec->root_path, err) < 0 ||
	    json_bool(&root, "readonly", &spec->root_readonly, err) < 0)
		return -1;
	if (!spec->root_path || !*spec->root_path)
		return json_member_error(&root, "path", err, "missing");
	return 0;
}

static int oci_parse_mount(const struct json *at, struct arena *arena, struct oci_mount *m,
			   struct error **err)
{
	m->type = m->source = arena_strdup(arena, "");
	m->options = arena_alloc(arena, 1, sizeof(*m->options));
	if (!m->source || !m->options)
		return json_error(at, err, "out of memory");
	if (json_expect_object(at, err) < 0 ||
	    json_string(at, "destination", arena, &m->destination, err) < 0 ||
	    json_string(at, "type", arena, &m->type, err) < 0 ||
	    json_string(at, "source", arena, &m->source, err) < 0 ||
	    json_strv(at, "options", arena, &m->options, err) < 0)
		return -1;
	if (!m->destination || !*m->destination)
		return json_member_error(at, "destination", err, "missing");
	/* Since version 1.1 a relative one is taken from the container's root. */
	if (*m->destination != '/')
		m->destination = arena_printf(arena, "/%s", m->destination);
	if (!m->destination)
		return json_error(at, err, "out of memory");
	if (oci_parse_mappings(at, "uidMappings", arena, &m->uids, err) < 0 ||
	    oci_parse_mappings(at, "gidMappings", arena, &m->gids, err) < 0)
		return -1;
	m->has_mappings = m->uids.count || m->gids.count;
	return 0;
}

static int oci_parse_mounts(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	struct json array;
	int r = oci_parse_list(obj, "mounts", &spec->arena, sizeof(*spec->mounts), &array,
			       (void **)&spec->mounts, err);

	for (size_t i = 0; r > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);

		if (oci_parse_mount(&item, &spec->arena, &spec->mounts[i], err) < 0)
			return -1;
		spec->num_mounts++;
	}
	return r < 0 ? -1 : 0;
}

/* Kernel, hypervisor and image of a virtual machine: no configuration names those here. */
static int oci_parse_no_vm(const struct json *obj, struct error **err)
{
	struct json vm;
	int r = json_object(obj, "vm", &vm, err);

	if (r < 0 || (r && vm.value->u.object.len))
		return r < 0 ? -1 : json_error(&vm, err, "not supported: the host's configuration "
					       "says what the microVM is made of");
	return 0;
}

static int oci_parse_root_object(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	struct json part;
	int r;

	if (json_string(obj, "ociVersion", &spec->arena, &spec->version, err) < 0 ||
	    json_string(obj, "hostname", &spec->arena, &spec->hostname, err) < 0 ||
	    json_string(obj, "domainname", &spec->arena, &spec->domainname, err) < 0 ||
	    oci_parse_no_vm(obj, err) < 0 ||
	    oci_parse_root(obj, spec, err) < 0 || oci_parse_mounts(obj, spec, err) < 0 ||
	    oci_parse_pairs(obj, "annotations", &spec->arena, &spec->annotations,
			    &spec->num_annotations, err) < 0)
		return -1;
	r = json_object(obj, "process", &part, err);
	if (r < 0 || (r && oci_parse_process(&part, &spec->arena, &spec->process, err) < 0))
		return -1;
	spec->has_process = r;
	r = json_object(obj, "hooks", &part, err);
	if (r < 0 || (r && oci_parse_hooks(&part, spec, err) < 0))
		return -1;
	r = json_object(obj, "linux", &part, err);
	if (r < 0 || (r && oci_parse_linux(&part, spec, err) < 0))
		return -1;
	return 0;
}

/* An idmapped mount without mappings has those of the container's user namespace. */
static void oci_spec_default_mappings(struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->num_mounts; i++) {
		struct oci_mount *m = &spec->mounts[i];

		if (m->has_mappings)
			continue;
		m->uids = spec->uids;
		m->gids = spec->gids;
	}
}

int oci_spec_load(int dirfd, const char *name, struct oci_spec *spec, struct error **err)
{
	cleanup_yajl yajl_val tree = json_file(dirfd, name, err);
	const struct json root = { .value = tree };

	if (!tree)
		return -1;
	if (oci_parse_root_object(&root, spec, err) < 0)
		return error_wrap(err, "%s", name);
	oci_spec_default_mappings(spec);
	return oci_spec_validate(spec, err) < 0 ? error_wrap(err, "%s", name) : 0;
}

int oci_process_load(int dirfd, const char *name, struct arena *arena, struct oci_process *process,
		     struct error **err)
{
	cleanup_yajl yajl_val tree = json_file(dirfd, name, err);
	const struct json root = { .value = tree };

	if (!tree)
		return -1;
	if (oci_parse_process(&root, arena, process, err) < 0 ||
	    oci_process_validate(process, err) < 0)
		return error_wrap(err, "%s", name);
	return 0;
}

int oci_resources_load(int fd, const char *name, struct arena *arena, struct oci_resources *r,
		       struct error **err)
{
	cleanup_yajl yajl_val tree = json_fd(fd, name, err);
	const struct json root = { .value = tree };

	if (!tree)
		return -1;
	if (json_expect_object(&root, err) < 0 || oci_parse_resources(&root, arena, r, err) < 0)
		return error_wrap(err, "%s", name);
	return 0;
}

void oci_spec_release(struct oci_spec *spec)
{
	arena_release(&spec->arena);
	memset(spec, 0, sizeof(*spec));
}

const char *oci_spec_annotation(const struct oci_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->num_annotations; i++)
		if (!strcmp(spec->annotations[i].key, key))
			return spec->annotations[i].value;
	return NULL;
}

const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, uint64_t flag)
{
	for (size_t i = 0; i < spec->num_namespaces; i++)
		if (spec->namespaces[i].flag == flag)
			return &spec->namespaces[i];
	return NULL;
}
