/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_MOUNTS_H
#define OCI_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct oci_id_mappings;
struct oci_mount;

enum oci_mount_where {
	OCI_MOUNT_GUEST,   /* a file system of the guest kernel's */
	OCI_MOUNT_BIND,	   /* a file or directory of the host, served by the fs worker */
	OCI_MOUNT_OVERLAY, /* an overlay that the host assembles and the fs worker serves */
};

/**
 * struct oci_mount_plan - what an entry of mounts comes to
 *
 * @flags and @clear_flags hold MS_* options asked to be on and off, the last mention winning.
 * @attr_set and @attr_clear hold MOUNT_ATTR_* for a whole tree (rro, rnosuid, …), as
 * mount_setattr(AT_RECURSIVE) takes them: for the host's copy of the tree. They are in the flags,
 * too, for the mount in the guest.
 */
struct oci_mount_plan {
	enum oci_mount_where where;
	uint64_t flags, clear_flags;
	uint64_t propagation; /* MS_*, with MS_REC; 0: not asked */
	bool recursive;	      /* rbind */
	bool tmpcopyup;
	uint64_t attr_set, attr_clear;
	const struct oci_id_mappings *uids, *gids; /* of an idmapped mount; NULL: it is none */
	bool idmap_recursive;			   /* ridmap: what is mounted below, too */
	const char *type;	 /* of a guest file system */
	const char *source;	 /* as written */
	const char *destination; /* absolute */
	char *data;		 /* options for the file system, comma separated; "" for none */
};

/**
 * oci_mount_plan() - read one entry of mounts
 * @mount: the entry; @plan borrows from it
 * @index: its place, for the error
 * @arena: where plan->data lives
 *
 * Return: 0, or -1 when an option is unknown or cannot be honoured.
 */
int oci_mount_plan(const struct oci_mount *mount, size_t index, struct arena *arena,
		   struct oci_mount_plan *plan, struct error **err);

/** oci_mount_propagation() - "rslave" and its like to MS_* flags; 0, or -1 for an unknown word */
int oci_mount_propagation(const char *word, uint64_t *flags);

/** oci_mount_option_names() - all option words there are, for `features`; NULL-terminated */
const char *const *oci_mount_option_names(void);

#endif
