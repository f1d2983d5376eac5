/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_IDMAP_H
#define OCI_IDMAP_H

struct arena;
struct error;
struct oci_mount;
struct oci_mount_plan;

/**
 * oci_idmap_parse() - the mount option idmap=…, as crun and podman have it
 * @text:  after "idmap=": "uids=FROM-TO-SIZE#…;gids=FROM-TO-SIZE#…"
 * @mount: its mappings are those of the container, which an "@" before FROM refers TO to
 * @plan:  gets the mappings, in @arena
 *
 * FROM is an id of the source's file system, TO the one that is shown for it. Return: 0, or -1 with
 * what is wrong with the text.
 */
int oci_idmap_parse(const char *text, const struct oci_mount *mount, struct arena *arena,
		    struct oci_mount_plan *plan, struct error **err);

#endif
