/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_idmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "oci/oci_mounts.h"
#include "oci/oci_spec.h"

/* What a map in /proc may hold; user_namespaces(7) */
#define IDMAP_MAX 340

/* A whole number; @end gets what follows it. NULL where there is none. */
static const char *idmap_number(const char *text, uint32_t *out)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || n >= UINT32_MAX)
		return NULL;
	*out = (uint32_t)n;
	return end;
}

/* The host's ids of the container's from m->host on; they have to be neighbours there, too. */
static bool idmap_relative(const struct oci_id_mappings *container, struct oci_id_mapping *m)
{
	for (size_t i = 0; i < container->count; i++) {
		const struct oci_id_mapping *c = &container->items[i];

		if (m->host < c->container || m->host - c->container >= c->size)
			continue;
		if (m->size > c->size - (m->host - c->container))
			return false;
		m->host = c->host + (m->host - c->container);
		return true;
	}
	return !container->count;
}

/* "FROM-TO-SIZE", up to @end */
static int idmap_one(const char *at, const char *end, const struct oci_id_mappings *container,
		     struct oci_id_mapping *m, struct error **err)
{
	const bool relative = *at == '@';
	const char *p = idmap_number(at + relative, &m->container);

	p = p && *p == '-' ? idmap_number(p + 1, &m->host) : NULL;
	p = p && *p == '-' ? idmap_number(p + 1, &m->size) : NULL;
	if (p != end || !m->size || m->container > UINT32_MAX - m->size ||
	    m->host > UINT32_MAX - m->size)
		return error_set(err, 0, "idmap: expected FROM-TO-SIZE, not %.*s", (int)(end - at), at);
	if (relative && !idmap_relative(container, m))
		return error_set(err, 0, "idmap: %.*s is not in the container's user namespace",
				 (int)(end - at), at);
	return 0;
}

static int idmap_list(const char *text, size_t len, const struct oci_id_mappings *container,
		      struct arena *arena, const struct oci_id_mappings **out, struct error **err)
{
	struct oci_id_mappings *v = arena_alloc(arena, 1, sizeof(*v));
	const char *const end = text + len;
	size_t count = 1;

	for (const char *p = text; p < end; p++)
		count += *p == '#';
	if (count > IDMAP_MAX)
		return error_set(err, 0, "idmap: expected %d mappings at most", IDMAP_MAX);
	if (v)
		v->items = arena_alloc(arena, count, sizeof(*v->items));
	if (!v || !v->items)
		return error_set(err, ENOMEM, "idmap");
	for (const char *at = text; v->count < count; v->count++) {
		const char *to = memchr(at, '#', (size_t)(end - at));

		if (idmap_one(at, to ? to : end, container, &v->items[v->count], err) < 0)
			return -1;
		at = to ? to + 1 : end;
	}
	*out = v;
	return 0;
}

int oci_idmap_parse(const char *text, const struct oci_mount *mount, struct arena *arena,
		    struct oci_mount_plan *plan, struct error **err)
{
	plan->uids = plan->gids = NULL;
	for (const char *at = text; *at; at += strcspn(at, ";"), at += *at ? 1 : 0) {
		const size_t len = strcspn(at, ";");
		int r;

		if (!strncmp(at, "uids=", 5))
			r = idmap_list(at + 5, len - 5, &mount->uids, arena, &plan->uids, err);
		else if (!strncmp(at, "gids=", 5))
			r = idmap_list(at + 5, len - 5, &mount->gids, arena, &plan->gids, err);
		else
			r = error_set(err, 0, "idmap: expected uids= or gids=, not %.*s", (int)len, at);
		if (r < 0)
			return -1;
	}
	if (!plan->uids || !plan->gids)
		return error_set(err, 0, "idmap: both uids= and gids= are needed");
	return 0;
}
