/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>

#include "base/error.h"

static const struct {
	const char *name;
	uint32_t resource;
} rlimit_names[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

static const char *const cap_set_names[OCI_CAP_SETS] = {
	[OCI_CAP_BOUNDING] = "bounding",
	[OCI_CAP_EFFECTIVE] = "effective",
	[OCI_CAP_PERMITTED] = "permitted",
	[OCI_CAP_INHERITABLE] = "inheritable",
	[OCI_CAP_AMBIENT] = "ambient",
};

static int oci_parse_rlimit(const struct json *at, struct arena *arena, struct oci_process *p,
			    struct error **err)
{
	struct oci_rlimit *l = &p->rlimits[p->num_rlimits];
	char *type = NULL;
	size_t i;

	if (json_expect_object(at, err) < 0 || json_string(at, "type", arena, &type, err) < 0 ||
	    json_u64(at, "soft", &l->soft, err) < 0 || json_u64(at, "hard", &l->hard, err) < 0)
		return -1;
	if (!type)
		return json_member_error(at, "type", err, "missing");
	for (i = 0; i < sizeof(rlimit_names) / sizeof(*rlimit_names); i++)
		if (!strcmp(type, rlimit_names[i].name))
			break;
	if (i == sizeof(rlimit_names) / sizeof(*rlimit_names))
		return json_member_error(at, "type", err, "unknown resource limit %s", type);
	l->resource = rlimit_names[i].resource;
	for (i = 0; i < p->num_rlimits; i++)
		if (p->rlimits[i].resource == l->resource)
			return json_member_error(at, "type", err, "%s is given twice", type);
	if (l->soft > l->hard)
		return json_member_error(at, "soft", err, "is above hard");
	p->num_rlimits++;
	return 0;
}

static int oci_parse_rlimits(const struct json *obj, struct arena *arena, struct oci_process *p,
			     struct error **err)
{
	struct json array;
	int r = oci_parse_list(obj, "rlimits", arena, sizeof(*p->rlimits), &array,
			       (void **)&p->rlimits, err);

	for (size_t i = 0; r > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);

		if (oci_parse_rlimit(&item, arena, p, err) < 0)
			return -1;
	}
	return r < 0 ? -1 : 0;
}

/* Whether to log it is the caller's affair: most who read a configuration are not the first. */
static int oci_warn(char **out, char *sentence, const struct json *at, struct error **err)
{
	if (!sentence)
		return json_error(at, err, "out of memory");
	*out = sentence;
	return 0;
}

/* capabilities(7): what is ambient is permitted and inheritable. */
static int oci_limit_ambient(const struct json *caps, struct arena *arena, struct oci_process *p,
			     char **warning, struct error **err)
{
	const uint64_t grantable = p->capabilities[OCI_CAP_PERMITTED] &
				   p->capabilities[OCI_CAP_INHERITABLE];
	const bool more = p->capabilities[OCI_CAP_AMBIENT] & ~grantable;

	p->capabilities[OCI_CAP_AMBIENT] &= grantable;
	return more ? oci_warn(warning, arena_strdup(arena, "process.capabilities.ambient: what is "
						     "not permitted and inheritable as well cannot "
						     "be granted"), caps, err) : 0;
}

/* Answers with how many warnings there are now, or -1. */
static ssize_t oci_parse_cap_set(const struct json *caps, enum oci_cap_set set, char *const *names,
				 struct arena *arena, struct oci_process *p, size_t warnings,
				 struct error **err)
{
	for (; names && *names; names++) {
		cap_value_t cap;

		if (cap_from_name(*names, &cap) == 0 && cap <= 63)
			p->capabilities[set] |= 1ull << cap;
		else if (oci_warn(&p->warnings[warnings++],
				  arena_printf(arena, "process.capabilities.%s: unknown capability %s",
					       cap_set_names[set], *names), caps, err) < 0)
			return -1;
	}
	return (ssize_t)warnings;
}

/*
 * The specification: a name that does not map to a capability is a warning, not an error, and so is
 * a capability that cannot be granted.
 */
static int oci_parse_capabilities(const struct json *obj, struct arena *arena,
				  struct oci_process *p, struct error **err)
{
	char **names[OCI_CAP_SETS] = { NULL };
	ssize_t warnings = 0;
	size_t most = 1;
	struct json caps;
	int r = json_object(obj, "capabilities", &caps, err);

	if (r <= 0)
		return r;
	p->has_capabilities = true;
	for (int set = 0; set < OCI_CAP_SETS; set++) {
		if (json_strv(&caps, cap_set_names[set], arena, &names[set], err) < 0)
			return -1;
		for (char **n = names[set]; n && *n; n++)
			most++;
	}
	p->warnings = arena_alloc(arena, most + 1, sizeof(*p->warnings));
	if (!p->warnings)
		return json_error(&caps, err, "out of memory");
	for (int set = 0; warnings >= 0 && set < OCI_CAP_SETS; set++)
		warnings = oci_parse_cap_set(&caps, set, names[set], arena, p, (size_t)warnings, err);
	return warnings < 0 ? -1 : oci_limit_ambient(&caps, arena, p, &p->warnings[warnings], err);
}

static int oci_parse_user(const struct json *obj, struct arena *arena, struct oci_process *p,
			  struct error **err)
{
	struct json user, gids;
	int r = json_object(obj, "user", &user, err);

	if (r <= 0)
		return r;
	p->has_umask = json_has(&user, "umask");
	if (json_u32(&user, "uid", &p->uid, err) < 0 || json_u32(&user, "gid", &p->gid, err) < 0 ||
	    json_u32(&user, "umask", &p->umask, err) < 0)
		return -1;
	if (p->umask > 0777)
		return json_member_error(&user, "umask", err, "expected a number up to 511 (0777)");
	r = oci_parse_list(&user, "additionalGids", arena, sizeof(*p->additional_gids), &gids,
			   (void **)&p->additional_gids, err);
	for (size_t i = 0; r > 0 && i < json_len(&gids); i++) {
		const struct json item = json_at(&gids, i);

		if (!YAJL_IS_INTEGER(item.value) || YAJL_GET_INTEGER(item.value) < 0 ||
		    YAJL_GET_INTEGER(item.value) > UINT32_MAX)
			return json_error(&item, err, "expected a group id");
		p->additional_gids[i] = (uint32_t)YAJL_GET_INTEGER(item.value);
		p->num_additional_gids++;
	}
	return r < 0 ? -1 : 0;
}

static int oci_parse_oom_score(const struct json *obj, struct oci_process *p, struct error **err)
{
	int64_t v = 0;

	p->has_oom_score_adj = json_has(obj, "oomScoreAdj");
	if (json_i64(obj, "oomScoreAdj", &v, err) < 0)
		return -1;
	if (v < -1000 || v > 1000)
		return json_member_error(obj, "oomScoreAdj", err,
					 "expected a number from -1000 to 1000");
	p->oom_score_adj = (int32_t)v;
	return 0;
}

int oci_parse_process(const struct json *obj, struct arena *arena, struct oci_process *p,
		      struct error **err)
{
	static const char *const refused[] = { "execCPUAffinity", NULL };
	struct json size;
	int r;

	if (json_strv(obj, "args", arena, &p->args, err) < 0 ||
	    json_strv(obj, "env", arena, &p->env, err) < 0 ||
	    json_string(obj, "cwd", arena, &p->cwd, err) < 0 ||
	    json_bool(obj, "terminal", &p->terminal, err) < 0 ||
	    json_bool(obj, "noNewPrivileges", &p->no_new_privileges, err) < 0 ||
	    json_string(obj, "apparmorProfile", arena, &p->apparmor_profile, err) < 0 ||
	    json_string(obj, "selinuxLabel", arena, &p->selinux_label, err) < 0 ||
	    oci_parse_user(obj, arena, p, err) < 0 || oci_parse_rlimits(obj, arena, p, err) < 0 ||
	    oci_parse_capabilities(obj, arena, p, err) < 0 || oci_parse_oom_score(obj, p, err) < 0 ||
	    oci_parse_scheduler(obj, arena, p, err) < 0 ||
	    oci_parse_io_priority(obj, arena, p, err) < 0)
		return -1;
	r = json_object(obj, "consoleSize", &size, err);
	if (r < 0 || (r && (json_u32(&size, "height", &p->rows, err) < 0 ||
			    json_u32(&size, "width", &p->columns, err) < 0)))
		return -1;
	return oci_parse_refuse(obj, refused, "not supported inside the microVM", err);
}
