/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

static const char *const hook_names[OCI_HOOK_POINTS] = {
	[OCI_HOOK_PRESTART] = "prestart",
	[OCI_HOOK_CREATE_RUNTIME] = "createRuntime",
	[OCI_HOOK_CREATE_CONTAINER] = "createContainer",
	[OCI_HOOK_START_CONTAINER] = "startContainer",
	[OCI_HOOK_POSTSTART] = "poststart",
	[OCI_HOOK_POSTSTOP] = "poststop",
};

const char *oci_hook_point_name(enum oci_hook_point point)
{
	return hook_names[point];
}

static int oci_parse_hook(const struct json *at, struct arena *arena, struct oci_hook *h,
			  struct error **err)
{
	if (json_expect_object(at, err) < 0 ||
	    json_string(at, "path", arena, &h->path, err) < 0 ||
	    json_strv(at, "args", arena, &h->args, err) < 0 ||
	    json_strv(at, "env", arena, &h->env, err) < 0 ||
	    json_u32(at, "timeout", &h->timeout, err) < 0)
		return -1;
	if (!h->path || *h->path != '/')
		return json_member_error(at, "path", err, "expected an absolute path");
	if (json_has(at, "timeout") && !h->timeout)
		return json_member_error(at, "timeout", err, "expected a number above 0");
	return 0;
}

int oci_parse_hooks(const struct json *obj, struct oci_spec *spec, struct error **err)
{
	for (int point = 0; point < OCI_HOOK_POINTS; point++) {
		struct oci_hooks *hooks = &spec->hooks[point];
		struct json array;
		int r = oci_parse_list(obj, hook_names[point], &spec->arena, sizeof(*hooks->hooks),
				       &array, (void **)&hooks->hooks, err);

		if (r < 0)
			return -1;
		for (size_t i = 0; r && i < json_len(&array); i++) {
			const struct json item = json_at(&array, i);

			if (oci_parse_hook(&item, &spec->arena, &hooks->hooks[i], err) < 0)
				return -1;
			hooks->count++;
		}
	}
	return 0;
}
