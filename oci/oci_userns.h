/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_USERNS_H
#define OCI_USERNS_H

struct error;
struct oci_id_mappings;

/**
 * oci_userns_open() - a new user namespace with these mappings, for an idmapped mount
 *
 * Return: its fd, or -1. Nobody lives in it: it lasts as long as the fd or the mount.
 */
int oci_userns_open(const struct oci_id_mappings *uids, const struct oci_id_mappings *gids,
		    struct error **err);

#endif
