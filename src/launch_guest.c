/* SPDX-License-Identifier: GPL-2.0-or-later */
/* struct oci_spec to struct agent_container: what the configuration means inside the guest. */
#include "launch_guest.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/wire.h"
#include "launch_plan.h"
#include "net_collect.h"
#include "oci/oci_mounts.h"
#include "oci/oci_seccomp.h"
#include "oci/oci_spec.h"

static_assert((int)AGENT_CAP_SETS == (int)OCI_CAP_SETS &&
	      (int)AGENT_CAP_BOUNDING == (int)OCI_CAP_BOUNDING &&
	      (int)AGENT_CAP_AMBIENT == (int)OCI_CAP_AMBIENT &&
	      (int)AGENT_CAP_EFFECTIVE == (int)OCI_CAP_EFFECTIVE &&
	      (int)AGENT_CAP_PERMITTED == (int)OCI_CAP_PERMITTED,
	      "capability sets are numbered alike");

static_assert((int)AGENT_CLOCKS == (int)OCI_CLOCKS &&
	      (int)AGENT_CLOCK_MONOTONIC == (int)OCI_CLOCK_MONOTONIC, "clocks are numbered alike");

/* fs.nr_open */
#define GUEST_NR_OPEN 1048576

bool launch_guest_has_cgroup_file(const char *name)
{
	/* The guest has no swap: its memory may go to the host's. */
	if (!strncmp(name, "memory.swap.", 12) || !strncmp(name, "memory.zswap.", 13))
		return false;
	return !strncmp(name, "memory.", 7) || !strncmp(name, "pids.", 5) ||
	       !strncmp(name, AGENT_CGROUP_HUGETLB, strlen(AGENT_CGROUP_HUGETLB));
}

static int guest_seccomp(const struct oci_seccomp *seccomp, struct arena *arena,
			 struct agent_process *out, struct error **err)
{
	cleanup_free char *bpf = NULL;

	if (!seccomp)
		return 0;
	if (oci_seccomp_compile(seccomp, &bpf, &out->seccomp_len, &out->seccomp_flags, err) < 0)
		return -1;
	out->seccomp = arena_alloc(arena, out->seccomp_len, 1);
	if (!out->seccomp)
		return error_set(err, ENOMEM, "linux.seccomp");
	memcpy(out->seccomp, bpf, out->seccomp_len);
	return 0;
}

static bool guest_has_rlimit(const struct agent_process *p, uint32_t resource)
{
	for (size_t i = 0; i < p->num_rlimits; i++)
		if (p->rlimits[i].resource == resource)
			return true;
	return false;
}

/*
 * Limits that are not configured are inherited from whoever calls a runtime. In the guest there is
 * nobody to inherit them from: they are sent.
 */
static int guest_rlimits(const struct oci_process *p, struct arena *arena,
			 struct agent_process *out, struct error **err)
{
	out->rlimits = arena_alloc(arena, p->num_rlimits + RLIM_NLIMITS, sizeof(*out->rlimits));
	if (!out->rlimits)
		return error_set(err, ENOMEM, "process.rlimits");
	for (size_t i = 0; i < p->num_rlimits; i++)
		out->rlimits[out->num_rlimits++] = (struct agent_rlimit){
			p->rlimits[i].resource, p->rlimits[i].soft, p->rlimits[i].hard
		};
	for (uint32_t resource = 0; resource < RLIM_NLIMITS; resource++) {
		struct rlimit l;

		if (guest_has_rlimit(out, resource) || getrlimit((int)resource, &l) < 0)
			continue;
		/* The guest kernel's own bound; the host's may have been raised. */
		if (resource == RLIMIT_NOFILE && l.rlim_max > GUEST_NR_OPEN)
			l.rlim_max = GUEST_NR_OPEN;
		if (l.rlim_cur > l.rlim_max)
			l.rlim_cur = l.rlim_max;
		out->rlimits[out->num_rlimits++] =
			(struct agent_rlimit){ resource, l.rlim_cur, l.rlim_max };
	}
	return 0;
}

static void guest_schedule(const struct oci_process *p, struct agent_process *out)
{
	const struct oci_scheduler *s = &p->scheduler;

	out->has_scheduler = p->has_scheduler;
	out->scheduler = (struct agent_scheduler){ s->policy, s->flags, s->nice, s->priority,
						   s->runtime, s->deadline, s->period };
	out->has_io_priority = p->has_io_priority;
	out->io_priority = p->io_priority;
}

int launch_guest_process(const struct oci_process *p, const struct oci_spec *spec, bool stdin_open,
			 struct arena *arena, struct agent_process *out, struct error **err)
{
	*out = (struct agent_process){
		.args = p->args, .env = p->env, .cwd = p->cwd,
		.terminal = p->terminal, .rows = p->rows, .columns = p->columns,
		.stdin_open = stdin_open, .uid = p->uid, .gid = p->gid,
		.additional_gids = p->additional_gids,
		.num_additional_gids = p->num_additional_gids,
		.has_umask = p->has_umask, .umask = p->umask,
		.has_capabilities = p->has_capabilities,
		.no_new_privileges = p->no_new_privileges,
		.has_oom_score_adj = p->has_oom_score_adj, .oom_score_adj = p->oom_score_adj,
	};
	memcpy(out->capabilities, p->capabilities, sizeof(out->capabilities));
	guest_schedule(p, out);
	out->has_personality = spec->has_personality;
	out->personality = spec->personality;
	if (guest_rlimits(p, arena, out, err) < 0)
		return -1;
	return guest_seccomp(spec->seccomp, arena, out, err);
}

/*
 * A container that has none of its own shares its host's, and to the guest the host is the microVM:
 * --pid host and its like get what can be had.
 */
static void guest_tell_shared(const struct oci_spec *spec)
{
	static const struct {
		uint64_t flag;
		const char *type;
	} shared[] = { { CLONE_NEWPID, "pid" }, { CLONE_NEWIPC, "ipc" }, { CLONE_NEWCGROUP, "cgroup" } };

	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared); i++)
		if (!oci_spec_namespace(spec, shared[i].flag))
			log_info("linux.namespaces: no %s namespace: the container shares the "
				 "microVM's, not the host's", shared[i].type);
}

/*
 * The guest's root network namespace is the container's: nobody else is in there. The process always
 * has a mount namespace of its own.
 */
static uint64_t guest_namespaces(const struct oci_spec *spec)
{
	uint64_t flags = CLONE_NEWNS;

	for (size_t i = 0; i < spec->num_namespaces; i++)
		flags |= spec->namespaces[i].flag;
	return flags & ~(uint64_t)CLONE_NEWNET;
}

/* It is kept on the host; in the guest, programs look for it to know how many threads to have. */
static char *guest_cpu_max(const struct oci_resources *r, struct arena *arena)
{
	const unsigned long long period = r->cpu_period ? r->cpu_period : 100000;

	return r->cpu_quota > 0 ?
		       arena_printf(arena, "%lld %llu", (long long)r->cpu_quota, period) :
		       arena_printf(arena, "max %llu", period);
}

/* Answers with how many there are now, or -1. */
static ssize_t guest_hugepages(const struct oci_resources *r, struct arena *arena,
			       struct agent_pair *files, size_t n, struct error **err)
{
	for (size_t i = 0; i < r->num_hugepages; i++) {
		const struct oci_hugepage_limit *l = &r->hugepages[i];
		char *file = arena_printf(arena, AGENT_CGROUP_HUGETLB "%s.max", l->page_size);
		char *text = arena_printf(arena, "%llu", (unsigned long long)l->limit);

		if (!file || !text)
			return error_set(err, ENOMEM, "linux.resources.hugepageLimits");
		files[n++] = (struct agent_pair){ file, text };
	}
	return (ssize_t)n;
}

int launch_guest_cgroup(const struct oci_resources *r, struct arena *arena,
			struct agent_pair **files, size_t *num_files, struct error **err)
{
	const struct {
		const char *file;
		bool there;
		int64_t value;
	} limits[] = {
		{ "memory.max", r->has_memory_limit, r->memory_limit },
		{ "memory.low", r->has_memory_reservation, r->memory_reservation },
		{ "pids.max", r->pids_limit != 0, r->pids_limit },
	};
	const size_t count = sizeof(limits) / sizeof(*limits);
	struct agent_pair *v = arena_alloc(arena, count + 1 + r->num_hugepages + r->num_unified,
					   sizeof(*v));
	ssize_t n = 0;

	if (!v)
		return error_set(err, ENOMEM, "linux.resources");
	for (size_t i = 0; i < count; i++) {
		char *text;

		if (!limits[i].there)
			continue;
		text = limits[i].value < 0 ? arena_strdup(arena, "max") :
					     arena_printf(arena, "%lld", (long long)limits[i].value);
		if (!text)
			return error_set(err, ENOMEM, "linux.resources");
		v[n++] = (struct agent_pair){ (char *)limits[i].file, text };
	}
	if (r->cpu_quota || r->cpu_period) {
		char *text = guest_cpu_max(r, arena);

		if (!text)
			return error_set(err, ENOMEM, "linux.resources.cpu");
		v[n++] = (struct agent_pair){ (char *)AGENT_CGROUP_CPU_MAX, text };
	}
	n = guest_hugepages(r, arena, v, (size_t)n, err);
	if (n < 0)
		return -1;
	for (size_t i = 0; i < r->num_unified; i++)
		if (launch_guest_has_cgroup_file(r->unified[i].key))
			v[n++] = (struct agent_pair){ r->unified[i].key, r->unified[i].value };
	*files = v;
	*num_files = (size_t)n;
	return 0;
}

static int guest_sysctls(const struct oci_spec *spec, struct arena *arena,
			 struct agent_container *c, struct error **err)
{
	c->sysctls = arena_alloc(arena, spec->num_sysctls, sizeof(*c->sysctls));
	if (!c->sysctls)
		return error_set(err, ENOMEM, "linux.sysctl");
	for (size_t i = 0; i < spec->num_sysctls; i++)
		c->sysctls[i] = (struct agent_pair){ spec->sysctls[i].key, spec->sysctls[i].value };
	c->num_sysctls = spec->num_sysctls;
	return 0;
}

static int guest_mappings(const struct oci_id_mappings *from, struct arena *arena,
			  struct agent_mappings *to, struct error **err)
{
	to->items = arena_alloc(arena, from->count, sizeof(*to->items));
	if (!to->items)
		return error_set(err, ENOMEM, "linux.uidMappings");
	for (size_t i = 0; i < from->count; i++)
		to->items[i] = (struct agent_mapping){ from->items[i].container,
						       from->items[i].host, from->items[i].size };
	to->count = from->count;
	return 0;
}

static int guest_hooks(const struct oci_spec *spec, struct arena *arena, struct agent_container *c,
		       struct error **err)
{
	const struct oci_hooks *h = &spec->hooks[OCI_HOOK_START_CONTAINER];

	c->hooks = arena_alloc(arena, h->count, sizeof(*c->hooks));
	if (!c->hooks)
		return error_set(err, ENOMEM, "hooks.startContainer");
	for (size_t i = 0; i < h->count; i++)
		c->hooks[i] = (struct agent_hook){ h->hooks[i].path, h->hooks[i].args,
						   h->hooks[i].env, h->hooks[i].timeout };
	c->num_hooks = h->count;
	return 0;
}

int launch_guest_encode(const struct oci_spec *spec, const struct launch_plan *plan,
			const struct net_found *net, const char *state, bool stdin_open,
			struct arena *arena, struct wire_writer *w, struct error **err)
{
	struct agent_container c = {
		.hostname = spec->hostname, .domainname = spec->domainname,
		.namespaces = guest_namespaces(spec), .readonly_root = spec->root_readonly,
		.mounts = plan->mounts, .num_mounts = plan->num_mounts,
		.devices = plan->devices, .num_devices = plan->num_devices,
		.masked_paths = spec->masked_paths, .readonly_paths = spec->readonly_paths,
		.state = (char *)state,
		.interfaces = (struct agent_interface *)net->interfaces,
		.num_interfaces = net->count, .name_server = net->name_server,
	};
	char hostname[HOST_NAME_MAX + 1] = "";
	struct timespec now;
	uint64_t propagation = 0;

	/* Without a UTS namespace of its own a container has its host's name. */
	if (!oci_spec_namespace(spec, CLONE_NEWUTS) && !gethostname(hostname, sizeof(hostname) - 1))
		c.hostname = hostname;
	guest_tell_shared(spec);
	clock_gettime(CLOCK_REALTIME, &now);
	c.boot_time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	if (spec->rootfs_propagation && *spec->rootfs_propagation)
		oci_mount_propagation(spec->rootfs_propagation, &propagation);
	c.rootfs_propagation = (uint32_t)propagation;
	for (size_t i = 0; i < OCI_CLOCKS; i++)
		c.time_offsets[i] = (struct agent_time_offset){ spec->time_offsets[i].secs,
								spec->time_offsets[i].nanosecs };
	if (launch_guest_cgroup(&spec->resources, arena, &c.cgroup, &c.num_cgroup, err) < 0 ||
	    guest_sysctls(spec, arena, &c, err) < 0 ||
	    guest_mappings(&spec->uids, arena, &c.uids, err) < 0 ||
	    guest_mappings(&spec->gids, arena, &c.gids, err) < 0 ||
	    guest_hooks(spec, arena, &c, err) < 0 ||
	    launch_guest_process(&spec->process, spec, stdin_open, arena, &c.process, err) < 0)
		return -1;
	agent_container_encode(w, &c);
	return w->failed ? error_set(err, ENOMEM, "the configuration is too large") : 0;
}
