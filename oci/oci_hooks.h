/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_HOOKS_H
#define OCI_HOOKS_H

#include "oci/oci_spec.h"

/**
 * oci_hooks_run() - run the hooks of one point, in order, on the host
 * @spec:       whose hooks
 * @point:      which of them
 * @state_json: what they read on their standard input (oci_state_json())
 *
 * A hook gets its own environment and nothing of ours, its output is dropped, and what it wrote to
 * its standard error is part of the error when it fails. Failing poststart and poststop hooks are
 * warnings (runtime specification: Lifecycle); any other ends the run with -1.
 */
int oci_hooks_run(const struct oci_spec *spec, enum oci_hook_point point, const char *state_json,
		  struct error **err);

#endif
