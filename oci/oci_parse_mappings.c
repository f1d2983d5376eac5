/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

#include "base/error.h"

/* What a map in /proc may hold; user_namespaces(7) */
#define MAPPINGS_MAX 340

static int mapping_member(const struct json *at, const char *key, uint32_t *out, struct error **err)
{
	if (!json_has(at, key))
		return json_member_error(at, key, err, "missing");
	return json_u32(at, key, out, err);
}

static bool ranges_overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
	return (uint64_t)a < (uint64_t)b + b_size && (uint64_t)b < (uint64_t)a + a_size;
}

static int mapping_check(const struct json *at, const struct oci_id_mappings *have,
			 const struct oci_id_mapping *m, struct error **err)
{
	/* The last id there is, 2^32-1, means "none". */
	if (!m->size || (uint64_t)m->container + m->size > UINT32_MAX ||
	    (uint64_t)m->host + m->size > UINT32_MAX)
		return json_member_error(at, "size", err, "the range is empty, or ends above 2^32-2");
	for (size_t i = 0; i < have->count; i++) {
		const struct oci_id_mapping *other = &have->items[i];

		if (ranges_overlap(m->container, m->size, other->container, other->size) ||
		    ranges_overlap(m->host, m->size, other->host, other->size))
			return json_error(at, err, "overlaps an earlier mapping");
	}
	return 0;
}

int oci_parse_mappings(const struct json *obj, const char *key, struct arena *arena,
		       struct oci_id_mappings *out, struct error **err)
{
	struct json array;
	int r = oci_parse_list(obj, key, arena, sizeof(*out->items), &array, (void **)&out->items,
			       err);

	if (r > 0 && json_len(&array) > MAPPINGS_MAX)
		return json_error(&array, err, "expected %d mappings at most", MAPPINGS_MAX);
	for (size_t i = 0; r > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);
		struct oci_id_mapping *m = &out->items[i];

		if (json_expect_object(&item, err) < 0 ||
		    mapping_member(&item, "containerID", &m->container, err) < 0 ||
		    mapping_member(&item, "hostID", &m->host, err) < 0 ||
		    mapping_member(&item, "size", &m->size, err) < 0 ||
		    mapping_check(&item, out, m, err) < 0)
			return -1;
		out->count++;
	}
	return r < 0 ? -1 : 0;
}
