/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ROOTLESS_H
#define ROOTLESS_H

struct error;
struct oci_spec;

/**
 * rootless_enter() - for a caller without CAP_SYS_ADMIN: a user namespace in which there is one
 * @spec: with a user namespace its mappings speak of the caller's ids, which stay what they are;
 *        without one the caller becomes root, as is usual
 *
 * One id is all that a user may map without help; engines without root bring a namespace with more
 * of them along, and nothing happens here. Return: 0 or -1.
 */
int rootless_enter(const struct oci_spec *spec, struct error **err);

#endif
