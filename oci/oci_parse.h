/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_PARSE_H
#define OCI_PARSE_H

/* The parts of the parser of oci_spec.c. Each reads one object; 0, or -1 with @err set. */

#include "oci/oci_json.h"
#include "oci/oci_spec.h"

int oci_parse_process(const struct json *obj, struct arena *arena, struct oci_process *p,
		      struct error **err);
int oci_parse_linux(const struct json *obj, struct oci_spec *spec, struct error **err);
int oci_parse_resources(const struct json *obj, struct arena *arena, struct oci_resources *r,
			struct error **err);
int oci_parse_seccomp(const struct json *obj, struct arena *arena, struct oci_seccomp *s,
		      struct error **err);
int oci_parse_hooks(const struct json *obj, struct oci_spec *spec, struct error **err);

int oci_parse_scheduler(const struct json *process, struct arena *arena, struct oci_process *p,
			struct error **err);
int oci_parse_io_priority(const struct json *process, struct arena *arena, struct oci_process *p,
			  struct error **err);
int oci_parse_personality(const struct json *linux_obj, struct oci_spec *spec, struct error **err);

/** oci_parse_mappings() - a list of id mappings; overlaps and overflows are refused */
int oci_parse_mappings(const struct json *obj, const char *key, struct arena *arena,
		       struct oci_id_mappings *out, struct error **err);

/** oci_parse_pairs() - the object @key of strings, as annotations and sysctls are */
int oci_parse_pairs(const struct json *obj, const char *key, struct arena *arena,
		    struct oci_pair **pairs, size_t *count, struct error **err);

/** oci_parse_refuse() - an error if any of the NULL-terminated @keys of @obj is there */
int oci_parse_refuse(const struct json *obj, const char *const *keys, const char *why,
		     struct error **err);

/**
 * oci_parse_list() - room for as many elements of @size bytes as member @key has
 *
 * Return: 1 with *array set to the member and *out to zeroed room, 0 when absent, or -1.
 */
int oci_parse_list(const struct json *obj, const char *key, struct arena *arena, size_t size,
		   struct json *array, void **out, struct error **err);

#endif
