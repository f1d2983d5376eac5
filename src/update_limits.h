/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UPDATE_LIMITS_H
#define UPDATE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct oci_resources;

/** struct update_present - limits in force, and what is in use of them */
struct update_present {
	const char *cpu_max;   /* the text of cpu.max; NULL: there is none */
	uint64_t memory_limit; /* of the container's processes; UINT64_MAX: none */
	uint64_t memory_usage; /* likewise */
};

/** update_needs_memory() - does it depend on the present memory_limit or memory_usage? */
bool update_needs_memory(const struct oci_resources *r);

/** update_needs_cpu() - is it one half of a quota and its period, so that it depends on cpu_max? */
bool update_needs_cpu(const struct oci_resources *r);

/**
 * update_limits_complete() - complete what was asked for with what is in force
 *
 * A quota keeps its period, and a period its quota. A swap limit counts memory too: without a
 * memory limit beside it, it is one for the present limit, which is then in @r->memory_limit, and
 * @r->has_memory_limit stays false. Return: 0, or -1 with an error that names the field.
 */
int update_limits_complete(struct oci_resources *r, const struct update_present *now,
			   struct error **err);

#endif
