/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_mounts.h"

#include <errno.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "base/error.h"
#include "oci/arena.h"
#include "oci/oci_idmap.h"
#include "oci/oci_spec.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#define ATIME_ATTRS ((uint64_t)MOUNT_ATTR__ATIME)
#define ATIME_FLAGS ((uint64_t)(MS_NOATIME | MS_STRICTATIME | MS_RELATIME))

enum option_kind {
	OPTION_SET,	    /* MS_* flags on */
	OPTION_CLEAR,	    /* MS_* flags off */
	OPTION_BIND,	    /* value: 1 for rbind */
	OPTION_PROPAGATION, /* MS_* */
	OPTION_ATTR_SET,    /* MOUNT_ATTR_*, for the whole tree */
	OPTION_ATTR_CLEAR,
	OPTION_ATTR_ATIME, /* likewise: one of MOUNT_ATTR__ATIME, in place of what it is */
	OPTION_TMPCOPYUP,
	OPTION_NOTHING, /* the default, spelled out */
	OPTION_IDMAP, /* value: 1 for ridmap */
	OPTION_REFUSED,
};

/* Linux' words, as mount(8) and the runtime specification list them. */
static const struct mount_option {
	const char *word;
	enum option_kind kind;
	uint64_t value;
} mount_options[] = {
	{ "async", OPTION_CLEAR, MS_SYNCHRONOUS },
	{ "atime", OPTION_CLEAR, MS_NOATIME },
	{ "bind", OPTION_BIND, 0 },
	{ "defaults", OPTION_NOTHING, 0 },
	{ "dev", OPTION_CLEAR, MS_NODEV },
	{ "diratime", OPTION_CLEAR, MS_NODIRATIME },
	{ "dirsync", OPTION_SET, MS_DIRSYNC },
	{ "exec", OPTION_CLEAR, MS_NOEXEC },
	{ "idmap", OPTION_IDMAP, 0 },
	{ "iversion", OPTION_REFUSED, 0 },
	{ "lazytime", OPTION_SET, MS_LAZYTIME },
	{ "loud", OPTION_CLEAR, MS_SILENT },
	{ "mand", OPTION_SET, MS_MANDLOCK },
	{ "noatime", OPTION_SET, MS_NOATIME },
	{ "nodev", OPTION_SET, MS_NODEV },
	{ "nodiratime", OPTION_SET, MS_NODIRATIME },
	{ "noexec", OPTION_SET, MS_NOEXEC },
	{ "noiversion", OPTION_NOTHING, 0 },
	{ "nolazytime", OPTION_CLEAR, MS_LAZYTIME },
	{ "nomand", OPTION_CLEAR, MS_MANDLOCK },
	{ "norelatime", OPTION_CLEAR, MS_RELATIME },
	{ "nostrictatime", OPTION_CLEAR, MS_STRICTATIME },
	{ "nosuid", OPTION_SET, MS_NOSUID },
	{ "nosymfollow", OPTION_SET, MS_NOSYMFOLLOW },
	{ "notmpcopyup", OPTION_NOTHING, 0 },
	{ "private", OPTION_PROPAGATION, MS_PRIVATE },
	{ "ratime", OPTION_ATTR_CLEAR, MOUNT_ATTR_NOATIME },
	{ "rbind", OPTION_BIND, 1 },
	{ "rdev", OPTION_ATTR_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", OPTION_ATTR_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", OPTION_SET, MS_RELATIME },
	{ "rexec", OPTION_ATTR_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", OPTION_IDMAP, 1 },
	{ "rnoatime", OPTION_ATTR_ATIME, MOUNT_ATTR_NOATIME },
	{ "rnodev", OPTION_ATTR_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", OPTION_ATTR_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", OPTION_ATTR_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", OPTION_ATTR_CLEAR, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", OPTION_ATTR_CLEAR, MOUNT_ATTR_STRICTATIME },
	{ "rnosuid", OPTION_ATTR_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", OPTION_ATTR_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", OPTION_SET, MS_RDONLY },
	{ "rprivate", OPTION_PROPAGATION, MS_PRIVATE | MS_REC },
	{ "rrelatime", OPTION_ATTR_ATIME, MOUNT_ATTR_RELATIME },
	{ "rro", OPTION_ATTR_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", OPTION_ATTR_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", OPTION_PROPAGATION, MS_SHARED | MS_REC },
	{ "rslave", OPTION_PROPAGATION, MS_SLAVE | MS_REC },
	{ "rstrictatime", OPTION_ATTR_ATIME, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", OPTION_ATTR_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", OPTION_ATTR_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", OPTION_PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "rw", OPTION_CLEAR, MS_RDONLY },
	{ "shared", OPTION_PROPAGATION, MS_SHARED },
	{ "silent", OPTION_SET, MS_SILENT },
	{ "slave", OPTION_PROPAGATION, MS_SLAVE },
	{ "strictatime", OPTION_SET, MS_STRICTATIME },
	{ "suid", OPTION_CLEAR, MS_NOSUID },
	{ "symfollow", OPTION_CLEAR, MS_NOSYMFOLLOW },
	{ "sync", OPTION_SET, MS_SYNCHRONOUS },
	{ "tmpcopyup", OPTION_TMPCOPYUP, 0 },
	{ "unbindable", OPTION_PROPAGATION, MS_UNBINDABLE },
};

#define NUM_MOUNT_OPTIONS (sizeof(mount_options) / sizeof(*mount_options))

/* File systems that need no device and no file of the host's. */
static const char *const guest_filesystems[] = {
	"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "ramfs", "devtmpfs",
	"securityfs", "debugfs", "tracefs", "configfs", "fusectl", "bpf", "hugetlbfs", "binfmt_misc",
};

static const struct mount_option *mount_option_find(const char *word)
{
	for (size_t i = 0; i < NUM_MOUNT_OPTIONS; i++)
		if (!strcmp(word, mount_options[i].word))
			return &mount_options[i];
	return NULL;
}

const char *const *oci_mount_option_names(void)
{
	static const char *names[NUM_MOUNT_OPTIONS + 1];
	size_t n = 0;

	for (size_t i = 0; i < NUM_MOUNT_OPTIONS; i++)
		if (mount_options[i].kind != OPTION_REFUSED)
			names[n++] = mount_options[i].word;
	return names;
}

int oci_mount_propagation(const char *word, uint64_t *flags)
{
	const struct mount_option *o = mount_option_find(word);

	if (!o || o->kind != OPTION_PROPAGATION)
		return -1;
	*flags = o->value;
	return 0;
}

static void mount_option_apply(const struct mount_option *o, const struct oci_mount *m, bool *bind,
			       struct oci_mount_plan *plan)
{
	switch (o->kind) {
	case OPTION_SET:
		plan->flags |= o->value;
		plan->clear_flags &= ~o->value;
		break;
	case OPTION_CLEAR:
		plan->flags &= ~o->value;
		plan->clear_flags |= o->value;
		break;
	case OPTION_BIND:
		*bind = true;
		plan->recursive = o->value;
		break;
	case OPTION_PROPAGATION:
		plan->propagation = o->value;
		break;
	case OPTION_ATTR_SET:
		plan->attr_set |= o->value;
		plan->attr_clear &= ~o->value;
		break;
	case OPTION_ATTR_CLEAR:
		plan->attr_set &= ~o->value;
		/* Of these the kernel clears all or none, and the default is MOUNT_ATTR_RELATIME, 0. */
		plan->attr_clear |= o->value & ~ATIME_ATTRS ? o->value : ATIME_ATTRS;
		break;
	case OPTION_ATTR_ATIME:
		plan->attr_set = (plan->attr_set & ~ATIME_ATTRS) | o->value;
		plan->attr_clear |= ATIME_ATTRS;
		break;
	case OPTION_TMPCOPYUP:
		plan->tmpcopyup = true;
		break;
	case OPTION_NOTHING:
	case OPTION_REFUSED:
		break;
	case OPTION_IDMAP:
		plan->uids = &m->uids;
		plan->gids = &m->gids;
		plan->idmap_recursive = o->value;
		break;
	}
}

/* mount_setattr(2)'s attributes as mount(2)'s flags; those of access times are apart. */
static const struct {
	uint64_t attr, flag;
} attr_flags[] = {
	{ MOUNT_ATTR_RDONLY, MS_RDONLY },
	{ MOUNT_ATTR_NOSUID, MS_NOSUID },
	{ MOUNT_ATTR_NODEV, MS_NODEV },
	{ MOUNT_ATTR_NOEXEC, MS_NOEXEC },
	{ MOUNT_ATTR_NODIRATIME, MS_NODIRATIME },
	{ MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW },
};

/*
 * What is asked of the whole tree is asked of its top, whatever else was asked of that. In the guest
 * there is only the top: what lies below is mounted when it is looked into, with the flags of the
 * mount above it.
 */
static void mount_plan_tree(struct oci_mount_plan *plan)
{
	uint64_t set = 0, clear = 0;

	for (size_t i = 0; i < sizeof(attr_flags) / sizeof(*attr_flags); i++) {
		if (plan->attr_set & attr_flags[i].attr)
			set |= attr_flags[i].flag;
		if (plan->attr_clear & attr_flags[i].attr)
			clear |= attr_flags[i].flag;
	}
	if (plan->attr_clear & ATIME_ATTRS) {
		clear |= ATIME_FLAGS;
		set |= plan->attr_set & MOUNT_ATTR_NOATIME     ? MS_NOATIME :
		       plan->attr_set & MOUNT_ATTR_STRICTATIME ? MS_STRICTATIME :
								 MS_RELATIME;
	}
	clear &= ~set;
	plan->flags = (plan->flags & ~clear) | set;
	plan->clear_flags = (plan->clear_flags & ~set) | clear;
}

/* SELinux labels of guest file systems mean nothing: the guest kernel has no policy. */
static bool mount_data_is_label(const char *word)
{
	return !strncmp(word, "context=", 8) || !strncmp(word, "fscontext=", 10) ||
	       !strncmp(word, "defcontext=", 11) || !strncmp(word, "rootcontext=", 12);
}

static int mount_plan_options(const struct oci_mount *m, size_t index, struct arena *arena,
			      bool *bind, struct oci_mount_plan *plan, struct error **err)
{
	plan->data = arena_strdup(arena, "");
	for (size_t i = 0; plan->data && m->options[i]; i++) {
		const char *word = m->options[i];
		const struct mount_option *o = mount_option_find(word);

		if (o && o->kind == OPTION_REFUSED)
			return error_set(err, 0, "mounts[%zu].options: %s cannot be honoured in a "
					 "microVM", index, word);
		if (o) {
			mount_option_apply(o, m, bind, plan);
		} else if (!strncmp(word, "idmap=", 6)) {
			if (oci_idmap_parse(word + 6, m, arena, plan, err) < 0)
				return error_wrap(err, "mounts[%zu].options", index);
		} else if (*word && !mount_data_is_label(word)) {
			plan->data = arena_printf(arena, "%s%s%s", plan->data,
						  *plan->data ? "," : "", word);
		}
	}
	return plan->data ? 0 : error_set(err, ENOMEM, "mounts[%zu]", index);
}

/*
 * Options of a file system mean nothing to a bind mount of it (mount(2): "data is ignored"); engines
 * and bundles have them there all the same. A word that no file system has is a mistake.
 */
static int mount_data_check(size_t index, struct oci_mount_plan *plan, struct error **err)
{
	static const char *const words[] = { "mode=", "size=", "uid=", "gid=", "nr_inodes=",
					     "nr_blocks=", "huge=", "ptmxmode=", "newinstance" };

	for (const char *at = plan->data; *at; at += strcspn(at, ","), at += *at ? 1 : 0) {
		size_t i = 0;

		while (i < sizeof(words) / sizeof(*words) && strncmp(at, words[i], strlen(words[i])))
			i++;
		if (i == sizeof(words) / sizeof(*words))
			return error_set(err, 0, "mounts[%zu].options: %.*s is not an option of a bind "
					 "mount", index, (int)strcspn(at, ","), at);
	}
	*plan->data = 0;
	return 0;
}

/* What a mount of the host's needs: a source, and no unknown words. */
static int mount_plan_host(size_t index, struct oci_mount_plan *plan, struct error **err)
{
	if (!*plan->source && plan->where == OCI_MOUNT_BIND)
		return error_set(err, 0, "mounts[%zu].source: missing", index);
	if (plan->where == OCI_MOUNT_BIND && mount_data_check(index, plan, err) < 0)
		return -1;
	if (plan->tmpcopyup)
		return error_set(err, 0, "mounts[%zu].options: tmpcopyup is for tmpfs", index);
	if (plan->uids && plan->where != OCI_MOUNT_BIND)
		return error_set(err, 0, "mounts[%zu].options: idmap is for bind mounts", index);
	if (plan->uids && (!plan->uids->count || !plan->gids->count))
		return error_set(err, 0, "mounts[%zu]: an idmapped mount needs uidMappings and "
				 "gidMappings, its own or those of a user namespace", index);
	return 0;
}

static int mount_plan_guest(size_t index, struct oci_mount_plan *plan, struct error **err)
{
	size_t i;

	for (i = 0; i < sizeof(guest_filesystems) / sizeof(*guest_filesystems); i++)
		if (!strcmp(plan->type, guest_filesystems[i]))
			break;
	if (i == sizeof(guest_filesystems) / sizeof(*guest_filesystems))
		return error_set(err, 0, "mounts[%zu].type: a file system of type \"%s\" cannot be "
				 "mounted in the microVM", index, plan->type);
	if (plan->tmpcopyup && strcmp(plan->type, "tmpfs"))
		return error_set(err, 0, "mounts[%zu].options: tmpcopyup is for tmpfs", index);
	if (plan->uids)
		return error_set(err, 0, "mounts[%zu].options: idmap is for bind mounts", index);
	if (plan->attr_set || plan->attr_clear)
		return error_set(err, 0, "mounts[%zu].options: recursive options are for bind mounts",
				 index);
	if (!strcmp(plan->type, "cgroup"))
		plan->type = "cgroup2"; /* the guest has no other */
	if (!strcmp(plan->type, "cgroup2"))
		*plan->data = 0; /* controllers of a v1 hierarchy */
	return 0;
}

int oci_mount_plan(const struct oci_mount *mount, size_t index, struct arena *arena,
		   struct oci_mount_plan *plan, struct error **err)
{
	bool bind = !strcmp(mount->type, "bind");

	memset(plan, 0, sizeof(*plan));
	plan->type = mount->type;
	plan->source = mount->source;
	plan->destination = mount->destination;
	/* Mappings without the option mean the option. */
	if (mount->has_mappings) {
		plan->uids = &mount->uids;
		plan->gids = &mount->gids;
	}
	if (mount_plan_options(mount, index, arena, &bind, plan, err) < 0)
		return -1;
	if (bind || !strcmp(mount->type, "overlay")) {
		plan->where = bind ? OCI_MOUNT_BIND : OCI_MOUNT_OVERLAY;
		mount_plan_tree(plan);
		return mount_plan_host(index, plan, err);
	}
	plan->where = OCI_MOUNT_GUEST;
	return mount_plan_guest(index, plan, err);
}
