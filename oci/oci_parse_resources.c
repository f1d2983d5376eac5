/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_parse.h"

#include <string.h>

#include "base/error.h"

static const char *const throttle_names[OCI_THROTTLE_KINDS] = {
	[OCI_THROTTLE_READ_BPS] = "throttleReadBpsDevice",
	[OCI_THROTTLE_WRITE_BPS] = "throttleWriteBpsDevice",
	[OCI_THROTTLE_READ_IOPS] = "throttleReadIOPSDevice",
	[OCI_THROTTLE_WRITE_IOPS] = "throttleWriteIOPSDevice",
	[OCI_THROTTLE_WEIGHT] = "weightDevice",
};

/* A limit that cgroup v2 has no file for. Engines write 0 or false for "not asked". */
static int oci_parse_v1_only(const struct json *obj, const char *const *keys, struct error **err)
{
	for (; *keys; keys++) {
		int64_t v = 0;

		if (json_i64(obj, *keys, &v, err) < 0)
			return -1;
		if (v > 0)
			return json_member_error(obj, *keys, err, "cgroup v2 has no such limit");
	}
	return 0;
}

static int oci_parse_memory(const struct json *obj, struct oci_resources *r, struct error **err)
{
	static const char *const v1_only[] = { "kernel", "kernelTCP", "swappiness", NULL };
	bool no_oom_kill = false, ignored;
	struct json mem;
	int there = json_object(obj, "memory", &mem, err);

	if (there <= 0)
		return there;
	if (json_i64(&mem, "limit", &r->memory_limit, err) < 0 ||
	    json_i64(&mem, "reservation", &r->memory_reservation, err) < 0 ||
	    json_i64(&mem, "swap", &r->memory_swap, err) < 0 ||
	    json_bool(&mem, "disableOOMKiller", &no_oom_kill, err) < 0 ||
	    json_bool(&mem, "useHierarchy", &ignored, err) < 0 ||
	    json_bool(&mem, "checkBeforeUpdate", &r->memory_check_before_update, err) < 0 ||
	    oci_parse_v1_only(&mem, v1_only, err) < 0)
		return -1;
	if (no_oom_kill)
		return json_member_error(&mem, "disableOOMKiller", err,
					 "cgroup v2 cannot switch the OOM killer off");
	/* 0 is "not asked", as crun and runc read it */
	r->has_memory_limit = r->memory_limit != 0;
	r->has_memory_reservation = r->memory_reservation != 0;
	r->has_memory_swap = r->memory_swap != 0;
	if (r->memory_limit > 0 && r->memory_swap > 0 && r->memory_swap < r->memory_limit)
		return json_member_error(&mem, "swap", err, "is below memory.limit");
	return 0;
}

static int oci_parse_cpu(const struct json *obj, struct arena *arena, struct oci_resources *r,
			 struct error **err)
{
	static const char *const v1_only[] = { "realtimeRuntime", "realtimePeriod", NULL };
	struct json cpu;
	int there = json_object(obj, "cpu", &cpu, err);

	if (there <= 0)
		return there;
	r->has_cpu_idle = json_has(&cpu, "idle");
	if (json_u64(&cpu, "shares", &r->cpu_shares, err) < 0 ||
	    json_i64(&cpu, "quota", &r->cpu_quota, err) < 0 ||
	    json_u64(&cpu, "period", &r->cpu_period, err) < 0 ||
	    json_u64(&cpu, "burst", &r->cpu_burst, err) < 0 ||
	    json_i64(&cpu, "idle", &r->cpu_idle, err) < 0 ||
	    json_string(&cpu, "cpus", arena, &r->cpus, err) < 0 ||
	    json_string(&cpu, "mems", arena, &r->mems, err) < 0)
		return -1;
	return oci_parse_v1_only(&cpu, v1_only, err);
}

static const char *const leaf_weight[] = { "leafWeight", NULL };

static int oci_parse_throttles(const struct json *io, enum oci_throttle_kind kind,
			       struct arena *arena, struct oci_resources *r, struct error **err)
{
	struct oci_throttles *t = &r->throttle[kind];
	struct json array;
	int there = oci_parse_list(io, throttle_names[kind], arena, sizeof(*t->items), &array,
				   (void **)&t->items, err);

	for (size_t i = 0; there > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);
		const char *key = kind == OCI_THROTTLE_WEIGHT ? "weight" : "rate";

		if (json_expect_object(&item, err) < 0 ||
		    json_u32(&item, "major", &t->items[i].major, err) < 0 ||
		    json_u32(&item, "minor", &t->items[i].minor, err) < 0 ||
		    json_u64(&item, key, &t->items[i].value, err) < 0 ||
		    (kind == OCI_THROTTLE_WEIGHT && oci_parse_v1_only(&item, leaf_weight, err) < 0))
			return -1;
		t->count++;
	}
	return there < 0 ? -1 : 0;
}

static int oci_parse_block_io(const struct json *obj, struct arena *arena,
			      struct oci_resources *r, struct error **err)
{
	struct json io;
	int there = json_object(obj, "blockIO", &io, err);

	if (there <= 0)
		return there;
	if (json_u32(&io, "weight", &r->blkio_weight, err) < 0 ||
	    oci_parse_v1_only(&io, leaf_weight, err) < 0)
		return -1;
	if (r->blkio_weight && (r->blkio_weight < 10 || r->blkio_weight > 1000))
		return json_member_error(&io, "weight", err, "expected a number from 10 to 1000");
	for (int kind = 0; kind < OCI_THROTTLE_KINDS; kind++)
		if (oci_parse_throttles(&io, kind, arena, r, err) < 0)
			return -1;
	return 0;
}

/* A number and KB, MB or GB, as the kernel has it in the names of files: "64KB". */
static bool oci_is_page_size(const char *text)
{
	const size_t digits = strspn(text, "0123456789");

	return digits && *text != '0' && digits < 10 && text[digits] &&
	       strchr("KMG", text[digits]) && !strcmp(text + digits + 1, "B");
}

static int oci_parse_hugepages(const struct json *obj, struct arena *arena,
			       struct oci_resources *r, struct error **err)
{
	struct json array;
	int there = oci_parse_list(obj, "hugepageLimits", arena, sizeof(*r->hugepages), &array,
				   (void **)&r->hugepages, err);

	for (size_t i = 0; there > 0 && i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);
		struct oci_hugepage_limit *l = &r->hugepages[i];

		if (json_expect_object(&item, err) < 0 ||
		    json_string(&item, "pageSize", arena, &l->page_size, err) < 0 ||
		    json_u64(&item, "limit", &l->limit, err) < 0)
			return -1;
		if (!l->page_size || !oci_is_page_size(l->page_size))
			return json_member_error(&item, "pageSize", err,
						 "expected a size such as 2MB or 1GB");
		if (!json_has(&item, "limit"))
			return json_member_error(&item, "limit", err, "missing");
		r->num_hugepages++;
	}
	return there < 0 ? -1 : 0;
}

/* rdma: the guest has no such devices. network: net_cls and net_prio are cgroup v1. */
static int oci_parse_no_such_resource(const struct json *obj, struct error **err)
{
	struct json v;
	int r = json_object(obj, "rdma", &v, err);

	if (r < 0 || (r && v.value->u.object.len))
		return r < 0 ? -1 : json_error(&v, err, "not supported for a microVM");
	r = json_object(obj, "network", &v, err);
	if (r < 0 || (r && (json_has(&v, "classID") || json_has(&v, "priorities"))))
		return r < 0 ? -1 : json_error(&v, err, "cgroup v2 has no network limits");
	return 0;
}

/*
 * Rules for devices are about the host's, and none of those is in the guest: what they tell is
 * whether the container is privileged.
 */
static int oci_parse_device_rules(const struct json *obj, struct arena *arena,
				  struct oci_resources *r, struct error **err)
{
	struct json rules;
	int there = json_array(obj, "devices", &rules, err);

	for (size_t i = 0; there > 0 && i < json_len(&rules); i++) {
		const struct json rule = json_at(&rules, i);
		char *type = NULL, *access = NULL;
		bool allow = false;

		if (json_expect_object(&rule, err) < 0 ||
		    json_bool(&rule, "allow", &allow, err) < 0 ||
		    json_string(&rule, "type", arena, &type, err) < 0 ||
		    json_string(&rule, "access", arena, &access, err) < 0)
			return -1;
		if ((!type || !strcmp(type, "a")) && !json_has(&rule, "major"))
			r->all_devices = allow;
	}
	return there < 0 ? -1 : 0;
}

int oci_parse_resources(const struct json *obj, struct arena *arena, struct oci_resources *r,
			struct error **err)
{
	struct json pids;
	int there;

	if (oci_parse_memory(obj, r, err) < 0 || oci_parse_cpu(obj, arena, r, err) < 0 ||
	    oci_parse_block_io(obj, arena, r, err) < 0 ||
	    oci_parse_device_rules(obj, arena, r, err) < 0 ||
	    oci_parse_hugepages(obj, arena, r, err) < 0 ||
	    oci_parse_no_such_resource(obj, err) < 0 ||
	    oci_parse_pairs(obj, "unified", arena, &r->unified, &r->num_unified, err) < 0)
		return -1;
	there = json_object(obj, "pids", &pids, err);
	return there <= 0 ? there : json_i64(&pids, "limit", &r->pids_limit, err);
}
