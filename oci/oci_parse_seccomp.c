/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

static int oci_parse_seccomp_arg(const struct json *at, struct arena *arena,
				 struct oci_seccomp_arg *arg, struct error **err)
{
	if (json_expect_object(at, err) < 0 || json_u32(at, "index", &arg->index, err) < 0 ||
	    json_u64(at, "value", &arg->value, err) < 0 ||
	    json_u64(at, "valueTwo", &arg->value_two, err) < 0 ||
	    json_string(at, "op", arena, &arg->op, err) < 0)
		return -1;
	if (arg->index > 5)
		return json_member_error(at, "index", err, "expected a number from 0 to 5");
	if (!arg->op)
		return json_member_error(at, "op", err, "missing");
	return 0;
}

static int oci_parse_seccomp_rule(const struct json *at, struct arena *arena,
				  struct oci_seccomp_rule *rule, struct error **err)
{
	struct json args;
	int r;

	if (json_expect_object(at, err) < 0 ||
	    json_strv(at, "names", arena, &rule->names, err) < 0 ||
	    json_string(at, "action", arena, &rule->action, err) < 0 ||
	    json_u32(at, "errnoRet", &rule->errno_ret, err) < 0)
		return -1;
	rule->has_errno = json_has(at, "errnoRet");
	if (!rule->names || !*rule->names)
		return json_member_error(at, "names", err, "missing or empty");
	if (!rule->action)
		return json_member_error(at, "action", err, "missing");
	r = oci_parse_list(at, "args", arena, sizeof(*rule->args), &args, (void **)&rule->args,
			   err);
	for (size_t i = 0; r > 0 && i < json_len(&args); i++) {
		const struct json item = json_at(&args, i);

		if (oci_parse_seccomp_arg(&item, arena, &rule->args[i], err) < 0)
			return -1;
		rule->num_args++;
	}
	return r < 0 ? -1 : 0;
}

int oci_parse_seccomp(const struct json *obj, struct arena *arena, struct oci_seccomp *s,
		      struct error **err)
{
	struct json rules;
	int r;

	if (json_string(obj, "defaultAction", arena, &s->default_action, err) < 0 ||
	    json_u32(obj, "defaultErrnoRet", &s->default_errno, err) < 0 ||
	    json_strv(obj, "architectures", arena, &s->architectures, err) < 0 ||
	    json_strv(obj, "flags", arena, &s->flags, err) < 0 ||
	    json_string(obj, "listenerPath", arena, &s->listener_path, err) < 0)
		return -1;
	s->has_default_errno = json_has(obj, "defaultErrnoRet");
	if (!s->default_action)
		return json_member_error(obj, "defaultAction", err, "missing");
	r = oci_parse_list(obj, "syscalls", arena, sizeof(*s->rules), &rules, (void **)&s->rules,
			   err);
	for (size_t i = 0; r > 0 && i < json_len(&rules); i++) {
		const struct json item = json_at(&rules, i);

		if (oci_parse_seccomp_rule(&item, arena, &s->rules[i], err) < 0)
			return -1;
		s->num_rules++;
	}
	return r < 0 ? -1 : 0;
}
