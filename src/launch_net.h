/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_NET_H
#define LAUNCH_NET_H

struct oci_spec;

/**
 * launch_net_remove() - take from a network namespace what a microVM that has ended left in it
 *
 * Only where the namespace outlives the container: it has a path in the configuration.
 */
void launch_net_remove(const struct oci_spec *spec);

#endif
