/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ROOTLESS_H
#define ROOTLESS_H

#include <stdbool.h>

struct error;
struct oci_spec;

/** rootless_is_host_root() - root, and not that of a user namespace such as an engine makes */
bool rootless_is_host_root(void);

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
