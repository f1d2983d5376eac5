/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "base/error.h"
#include "oci/arena.h"
#include "oci/oci_mounts.h"
#include "oci/oci_spec.h"

struct mount_case {
	const char *type, *source, *options; /* options: separated by commas */
	enum oci_mount_where where;
	uint64_t flags, clear, propagation, attr_set, attr_clear;
	bool recursive, tmpcopyup;
	const char *data;
	const char *refused; /* or the error */
};

/* One mode of access times for a whole tree, in place of any other. */
#define ATIME(a, f)                                                                               \
	.where = OCI_MOUNT_BIND, .attr_set = (a), .attr_clear = MOUNT_ATTR__ATIME, .flags = (f), \
	.clear = (MS_NOATIME | MS_STRICTATIME | MS_RELATIME) & ~(f), .data = ""

static const struct mount_case cases[] = {
	{ .type = "proc", .source = "proc", .data = "" },
	{ .type = "tmpfs", .options = "nosuid,noexec,size=64m,mode=1777,nodev,exec", .data =
	  "size=64m,mode=1777", .flags = MS_NOSUID | MS_NODEV, .clear = MS_NOEXEC },
	{ .type = "tmpfs", .options = "ro,rw", .clear = MS_RDONLY, .data = "" },
	{ .type = "tmpfs", .options = "rw,ro", .flags = MS_RDONLY, .data = "" },
	{ .type = "tmpfs", .options = "tmpcopyup,context=\"x\",rprivate", .tmpcopyup = true,
	  .propagation = MS_PRIVATE | MS_REC, .data = "" },
	{ .type = "tmpfs", .options = "notmpcopyup,defaults", .data = "" },
	{ .type = "cgroup", .options = "ro,cpu", .flags = MS_RDONLY, .data = "" },
	{ .type = "devpts", .options = "newinstance,gid=5", .data = "newinstance,gid=5" },
	{ .type = "sysfs", .options = "noatime,nostrictatime,async", .flags = MS_NOATIME,
	  .clear = MS_STRICTATIME | MS_SYNCHRONOUS, .data = "" },
	{ .type = "bind", .source = "/x", .where = OCI_MOUNT_BIND, .data = "" },
	{ .type = "", .source = "/x", .options = "rbind,ro,rslave", .where = OCI_MOUNT_BIND,
	  .recursive = true, .flags = MS_RDONLY, .propagation = MS_SLAVE | MS_REC, .data = "" },
	{ .type = "none", .source = "x", .options = "bind", .where = OCI_MOUNT_BIND, .data = "" },
	{ .type = "bind", .source = "/x", .options = "rbind,rro,rnosuid,rexec", .where =
	  OCI_MOUNT_BIND, .recursive = true, .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID,
	  .attr_clear = MOUNT_ATTR_NOEXEC, .flags = MS_RDONLY | MS_NOSUID, .clear = MS_NOEXEC,
	  .data = "" },
	{ .type = "bind", .source = "/x", .options = "rnodev,rnodiratime,rnosymfollow,rnoexec", .where =
	  OCI_MOUNT_BIND, .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOEXEC |
	  MOUNT_ATTR_NOSYMFOLLOW, .flags = MS_NODEV | MS_NODIRATIME | MS_NOEXEC | 256, .data = "" },
	/* the whole tree's word is the top's, in whatever order */
	{ .type = "bind", .source = "/x", .options = "rrw,ro,rsuid,nosuid,rdev,rdiratime", .where =
	  OCI_MOUNT_BIND, .attr_clear = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
	  MOUNT_ATTR_NODIRATIME, .clear = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NODIRATIME,
	  .data = "" },
	{ .type = "bind", .source = "/x", .options = "rw,rro", .where = OCI_MOUNT_BIND,
	  .attr_set = MOUNT_ATTR_RDONLY, .flags = MS_RDONLY, .data = "" },
	{ .type = "bind", .source = "/x", .options = "rnoatime", ATIME(MOUNT_ATTR_NOATIME, MS_NOATIME) },
	{ .type = "bind", .source = "/x", .options = "noatime,rnoatime,rstrictatime",
	  ATIME(MOUNT_ATTR_STRICTATIME, MS_STRICTATIME) },
	{ .type = "bind", .source = "/x", .options = "rstrictatime,rrelatime", ATIME(0, MS_RELATIME) },
	{ .type = "bind", .source = "/x", .options = "rnoatime,ratime", ATIME(0, MS_RELATIME) },
	{ .type = "bind", .source = "/x", .options = "rnoatime,rnostrictatime,rnorelatime",
	  ATIME(MOUNT_ATTR_NOATIME, MS_NOATIME) },
	{ .type = "bind", .source = "/x", .options = "strictatime,rnorelatime", ATIME(0, MS_RELATIME) },
	{ .type = "overlay", .options = "lowerdir=/a,rro,rnoexec", .where = OCI_MOUNT_OVERLAY,
	  .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, .flags = MS_RDONLY | MS_NOEXEC,
	  .data = "lowerdir=/a" },
	{ .type = "tmpfs", .options = "noiversion", .data = "" },
	{ .type = "tmpfs", .options = "iversion", .refused = "mounts[7].options: iversion cannot" },
	{ .type = "overlay", .options = "lowerdir=/a,upperdir=/b,workdir=/c,private", .where =
	  OCI_MOUNT_OVERLAY, .propagation = MS_PRIVATE,
	  .data = "lowerdir=/a,upperdir=/b,workdir=/c" },
	{ .type = "ext4", .source = "/dev/sda", .refused = "mounts[7].type" },
	{ .type = "", .source = "x", .refused = "mounts[7].type" },
	{ .type = "bind", .refused = "mounts[7].source: missing" },
	{ .type = "bind", .source = "/x", .options = "size=3,mode=1", .where = OCI_MOUNT_BIND, .data = "" },
	{ .type = "bind", .source = "/x", .options = "mode=1,sise=3", .refused = ": sise=3 is not an" },
	{ .type = "bind", .source = "/x", .options = "shared", .where = OCI_MOUNT_BIND,
	  .propagation = MS_SHARED, .data = "" },
	{ .type = "bind", .source = "/x", .options = "idmap", .refused = "mounts[7]: an idmapped" },
	{ .type = "tmpfs", .options = "ridmap", .refused = "idmap is for bind mounts" },
	{ .type = "overlay", .options = "idmap", .refused = "idmap is for bind mounts" },
	{ .type = "bind", .source = "/x", .options = "tmpcopyup", .refused = "tmpcopyup" },
	{ .type = "proc", .options = "tmpcopyup", .refused = "tmpcopyup" },
	{ .type = "tmpfs", .options = "rro", .refused = "recursive options" },
};

static char **split(struct arena *a, const char *options)
{
	char **v = arena_alloc(a, 16, sizeof(*v)), *save = NULL;
	char *text = arena_strdup(a, options ? options : "");
	size_t n = 0;

	for (char *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save))
		v[n++] = w;
	return v;
}

static void check(const struct mount_case *c, size_t i)
{
	cleanup_arena struct arena a = { NULL };
	cleanup_error struct error *err = NULL;
	struct oci_mount_plan p;
	const struct oci_mount m = {
		.destination = (char *)"/d", .type = (char *)c->type,
		.source = (char *)(c->source ? c->source : ""), .options = split(&a, c->options),
	};
	int r = oci_mount_plan(&m, 7, &a, &p, &err);

	if (c->refused) {
		if (r == 0 || !strstr(error_msg(err), c->refused))
			fail_msg("case %zu: %s", i, r ? error_msg(err) : "accepted");
		return;
	}
	if (r < 0)
		fail_msg("case %zu: %s", i, error_msg(err));
	if (p.where != c->where || p.flags != c->flags || p.clear_flags != c->clear ||
	    p.propagation != c->propagation || p.attr_set != c->attr_set ||
	    p.attr_clear != c->attr_clear || p.recursive != c->recursive ||
	    p.tmpcopyup != c->tmpcopyup || strcmp(p.data, c->data))
		fail_msg("case %zu: flags %lx, not %lx, data \"%s\"", i, (unsigned long)p.flags,
			 (unsigned long)c->flags, p.data);
}

static void options_mean_what_they_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check(&cases[i], i);
}

static void refused_options_are_no_features(void **state)
{
	const char *const *names = oci_mount_option_names();
	bool recursive = false;

	(void)state;
	for (; *names; names++) {
		assert_string_not_equal(*names, "iversion");
		recursive |= !strcmp(*names, "rrelatime");
	}
	assert_true(recursive);
}

static void idmapped_mounts_have_mappings(void **state)
{
	static struct oci_id_mapping ids = { 0, 1000, 5 };
	cleanup_arena struct arena a = { NULL };
	struct oci_mount m = { .destination = (char *)"/d", .type = (char *)"bind",
			       .source = (char *)"/x", .uids = { &ids, 1 }, .gids = { &ids, 1 } };
	struct oci_mount_plan p;

	(void)state;
	m.options = split(&a, "rbind,ro");
	assert_int_equal(oci_mount_plan(&m, 0, &a, &p, NULL), 0);
	assert_null(p.uids); /* the user namespace's, and nobody asked */
	m.options = split(&a, "rbind,ridmap");
	assert_int_equal(oci_mount_plan(&m, 0, &a, &p, NULL), 0);
	assert_ptr_equal(p.uids, &m.uids);
	assert_true(p.idmap_recursive);
	m.options = split(&a, "bind");
	m.has_mappings = true;
	assert_int_equal(oci_mount_plan(&m, 0, &a, &p, NULL), 0);
	assert_ptr_equal(p.gids, &m.gids);
	assert_false(p.idmap_recursive);
	m.gids.count = 0;
	assert_int_equal(oci_mount_plan(&m, 0, &a, &p, NULL), -1);
}

static void idmaps_in_an_option(void **state)
{
	static struct oci_id_mapping container[] = { { 0, 100000, 1000 }, { 1000, 5000, 10 } };
	static const struct {
		const char *option;
		uint32_t uid[3], gid[3]; /* the last mapping of each */
		const char *refused;
	} idmaps[] = {
		{ "idmap=uids=1-2-3;gids=4-5-6", { 1, 2, 3 }, { 4, 5, 6 }, NULL },
		{ "idmap=gids=0-0-1;uids=1-2-3#10-20-30", { 10, 20, 30 }, { 0, 0, 1 }, NULL },
		{ "idmap=uids=@7-10-5;gids=@0-1003-7", { 7, 100010, 5 }, { 0, 5003, 7 }, NULL },
		{ "idmap=uids=@7-990-11;gids=0-0-1", { 0 }, { 0 }, "not in the container's" },
		{ "idmap=uids=@7-2000-1;gids=0-0-1", { 0 }, { 0 }, "not in the container's" },
		{ "idmap=uids=1-2-3", { 0 }, { 0 }, "both uids= and gids=" },
		{ "idmap=", { 0 }, { 0 }, "both uids= and gids=" },
		{ "idmap=uids=;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=1-2;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=1-2-3#;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=1-2-0;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=1--2-3;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=1-2-3x;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=4294967290-2-10;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=uids=99999999999-2-1;gids=0-0-1", { 0 }, { 0 }, "FROM-TO-SIZE" },
		{ "idmap=x", { 0 }, { 0 }, "expected uids= or gids=, not x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(idmaps) / sizeof(*idmaps); i++) {
		cleanup_arena struct arena a = { NULL };
		cleanup_error struct error *err = NULL;
		struct oci_mount m = { .destination = (char *)"/d", .type = (char *)"bind",
				       .source = (char *)"/x", .uids = { container, 2 },
				       .gids = { container, 2 } };
		const struct oci_id_mapping *u, *g;
		struct oci_mount_plan p;
		int r;

		m.options = split(&a, idmaps[i].option);
		r = oci_mount_plan(&m, 3, &a, &p, &err);
		if (idmaps[i].refused) {
			if (!r || !strstr(error_msg(err), idmaps[i].refused))
				fail_msg("%s: %s", idmaps[i].option, r ? error_msg(err) : "accepted");
			continue;
		}
		if (r < 0)
			fail_msg("%s: %s", idmaps[i].option, error_msg(err));
		u = &p.uids->items[p.uids->count - 1];
		g = &p.gids->items[p.gids->count - 1];
		assert_memory_equal(u, idmaps[i].uid, sizeof(idmaps[i].uid));
		assert_memory_equal(g, idmaps[i].gid, sizeof(idmaps[i].gid));
	}
}

static void propagation_words(void **state)
{
	uint64_t flags = 0;

	(void)state;
	assert_int_equal(oci_mount_propagation("rshared", &flags), 0);
	assert_true(flags == (MS_SHARED | MS_REC));
	assert_int_equal(oci_mount_propagation("ro", &flags), -1);
	assert_int_equal(oci_mount_propagation("", &flags), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_mean_what_they_say),
		cmocka_unit_test(refused_options_are_no_features),
		cmocka_unit_test(idmapped_mounts_have_mappings),
		cmocka_unit_test(idmaps_in_an_option),
		cmocka_unit_test(propagation_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
