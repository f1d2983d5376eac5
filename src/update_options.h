/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UPDATE_OPTIONS_H
#define UPDATE_OPTIONS_H

#include "oci/arena.h"
#include "oci/oci_spec.h"

struct error;

/** struct update_options - the limits that `update` was told, by options or as JSON */
struct update_options {
	struct arena arena; /* the caller releases it */
	struct oci_resources r;
};

/** update_options_parse() - the index of the container's id in @argv; 0 when --help was answered; -1 */
int update_options_parse(struct update_options *u, int argc, char **argv, struct error **err);

#endif
