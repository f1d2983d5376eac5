/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "update_limits.h"

#include <string.h>

#include "base/error.h"
#include "numbers.h"
#include "oci/oci_spec.h"

bool update_needs_memory(const struct oci_resources *r)
{
	return (r->memory_swap > 0 && !r->has_memory_limit) ||
	       (r->memory_check_before_update && r->memory_limit > 0);
}

bool update_needs_cpu(const struct oci_resources *r)
{
	return !r->cpu_quota != !r->cpu_period;
}

/* cgroup v2: "$MAX $PERIOD", where the first may be "max" */
static void complete_cpu(struct oci_resources *r, const char *text)
{
	const bool unlimited = text && !strncmp(text, "max ", 4);
	const char *behind = text ? strchr(text, ' ') : NULL;
	const uint64_t quota = unlimited ? 0 : number_after(text, NULL, 0);
	const uint64_t period = behind ? number_after(behind + 1, NULL, 0) : 0;

	if (!period || (!quota && !unlimited) || quota > INT64_MAX)
		return;
	if (!r->cpu_quota)
		r->cpu_quota = unlimited ? -1 : (int64_t)quota;
	if (!r->cpu_period)
		r->cpu_period = period;
}

static int complete_swap(struct oci_resources *r, uint64_t present, struct error **err)
{
	if (r->memory_swap <= 0)
		return 0;
	if (!r->has_memory_limit && present <= INT64_MAX)
		r->memory_limit = (int64_t)present;
	if (r->memory_limit <= 0)
		return error_set(err, 0, "linux.resources.memory.swap: it counts memory and swap "
				 "together, and the container has no memory.limit");
	if (r->memory_swap < r->memory_limit)
		return error_set(err, 0, "linux.resources.memory.swap: is below memory.limit, which "
				 "is %lld", (long long)r->memory_limit);
	return 0;
}

int update_limits_complete(struct oci_resources *r, const struct update_present *now,
			   struct error **err)
{
	if (update_needs_cpu(r))
		complete_cpu(r, now->cpu_max);
	if (r->memory_check_before_update && r->has_memory_limit && r->memory_limit > 0 &&
	    now->memory_usage > (uint64_t)r->memory_limit)
		return error_set(err, 0, "linux.resources.memory.limit: %lld is less than the "
				 "container uses, which is %llu, and memory.checkBeforeUpdate is set",
				 (long long)r->memory_limit,
				 (unsigned long long)now->memory_usage);
	return complete_swap(r, now->memory_limit, err);
}
