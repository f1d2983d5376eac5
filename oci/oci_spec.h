/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_SPEC_H
#define OCI_SPEC_H

/*
 * config.json of the OCI runtime specification 1.x, as far as Linux has it, in C. Everything
 * lives in the spec's arena: members are borrowed from it, and lists are NULL-terminated or
 * counted. Fields that were absent are 0 or NULL; has_* says so where 0 is a value.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/arena.h"

struct error;

struct oci_pair {
	char *key, *value;
};

enum oci_cap_set {
	OCI_CAP_BOUNDING,
	OCI_CAP_EFFECTIVE,
	OCI_CAP_PERMITTED,
	OCI_CAP_INHERITABLE,
	OCI_CAP_AMBIENT,
	OCI_CAP_SETS,
};

struct oci_rlimit {
	uint32_t resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

/** struct oci_scheduler - process.scheduler, as struct sched_attr has it */
struct oci_scheduler {
	uint32_t policy; /* SCHED_* */
	uint64_t flags;	 /* SCHED_FLAG_* */
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns */
};

/** struct oci_id_mapping - @size ids from @container on are those from @host on */
struct oci_id_mapping {
	uint32_t container, host, size;
};

struct oci_id_mappings {
	struct oci_id_mapping *items;
	size_t count;
};

/** struct oci_process - config.json: process; also what `exec --process` reads */
struct oci_process {
	char **args;
	char **env;
	char *cwd;
	bool terminal;
	uint32_t rows, columns; /* consoleSize */
	uint32_t uid, gid;
	uint32_t *additional_gids;
	size_t num_additional_gids;
	bool has_umask;
	uint32_t umask;
	bool has_capabilities;
	uint64_t capabilities[OCI_CAP_SETS]; /* bit n: capability n */
	bool no_new_privileges;
	bool has_oom_score_adj;
	int32_t oom_score_adj;
	struct oci_rlimit *rlimits;
	size_t num_rlimits;
	bool has_scheduler;
	struct oci_scheduler scheduler;
	bool has_io_priority;
	uint32_t io_priority; /* as ioprio_set(2) takes it: class and level */
	char *apparmor_profile;
	char *selinux_label;
	char **warnings; /* sentences for whoever makes it, NULL-terminated; NULL: none */
};

struct oci_mount {
	char *destination; /* absolute */
	char *type;   /* "" when absent */
	char *source; /* "" when absent */
	char **options;
	bool has_mappings;		   /* of its own */
	struct oci_id_mappings uids, gids; /* of an idmapped mount; container: in the source */
};

struct oci_device {
	char type; /* 'c', 'b' or 'p' */
	char *path;
	uint32_t major, minor;
	uint32_t mode; /* permissions; 0666 when absent */
	uint32_t uid, gid;
};

struct oci_namespace {
	char *type;
	uint64_t flag; /* CLONE_NEW* */
	char *path;    /* NULL: a new one */
};

/** struct oci_time_offset - linux.timeOffsets, of one clock */
struct oci_time_offset {
	int64_t secs;
	uint32_t nanosecs; /* below 1000000000 */
};

enum oci_clock { OCI_CLOCK_MONOTONIC, OCI_CLOCK_BOOTTIME, OCI_CLOCKS };

struct oci_hook {
	char *path;
	char **args; /* NULL: the path alone */
	char **env;
	uint32_t timeout; /* seconds; 0: none */
};

enum oci_hook_point {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_POINTS,
};

struct oci_hooks {
	struct oci_hook *hooks;
	size_t count;
};

/** struct oci_throttle - one line of the io controller: a device and its number */
struct oci_throttle {
	uint32_t major, minor;
	uint64_t value;
};

enum oci_throttle_kind {
	OCI_THROTTLE_READ_BPS,
	OCI_THROTTLE_WRITE_BPS,
	OCI_THROTTLE_READ_IOPS,
	OCI_THROTTLE_WRITE_IOPS,
	OCI_THROTTLE_WEIGHT,
	OCI_THROTTLE_KINDS,
};

struct oci_throttles {
	struct oci_throttle *items;
	size_t count;
};

/** struct oci_hugepage_limit - most bytes in huge pages of one size, "2MB" */
struct oci_hugepage_limit {
	char *page_size;
	uint64_t limit;
};

/** struct oci_resources - linux.resources; limits are -1 for "unlimited" */
struct oci_resources {
	bool has_memory_limit, has_memory_reservation, has_memory_swap;
	int64_t memory_limit, memory_reservation, memory_swap; /* bytes; swap counts memory too */
	bool memory_check_before_update; /* a limit below what is in use is an error */
	uint64_t cpu_shares; /* 0: absent, as everywhere in cpu */
	int64_t cpu_quota;   /* µs per period */
	uint64_t cpu_period, cpu_burst;
	bool has_cpu_idle;
	int64_t cpu_idle;
	char *cpus, *mems; /* list format: "0-3,7" */
	int64_t pids_limit; /* 0: absent, -1: unlimited */
	uint32_t blkio_weight;
	struct oci_throttles throttle[OCI_THROTTLE_KINDS];
	struct oci_hugepage_limit *hugepages;
	size_t num_hugepages;
	struct oci_pair *unified;
	size_t num_unified;
	bool all_devices; /* devices: the last rule allows everything, as for privileged containers */
};

struct oci_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	char *op; /* SCMP_CMP_* */
};

struct oci_seccomp_rule {
	char **names;
	char *action; /* SCMP_ACT_* */
	bool has_errno;
	uint32_t errno_ret;
	struct oci_seccomp_arg *args;
	size_t num_args;
};

struct oci_seccomp {
	char *default_action;
	bool has_default_errno;
	uint32_t default_errno;
	char **architectures; /* SCMP_ARCH_* */
	char **flags;	      /* SECCOMP_FILTER_FLAG_* */
	char *listener_path;
	struct oci_seccomp_rule *rules;
	size_t num_rules;
};

struct oci_spec {
	struct arena arena; /* holds all that follows */
	char *version;
	char *root_path; /* as written */
	bool root_readonly;
	char *hostname, *domainname;
	bool has_process;
	struct oci_process process;
	struct oci_mount *mounts;
	size_t num_mounts;
	struct oci_hooks hooks[OCI_HOOK_POINTS];
	struct oci_pair *annotations;
	size_t num_annotations;
	/* linux */
	struct oci_namespace *namespaces;
	size_t num_namespaces;
	struct oci_id_mappings uids, gids; /* of a new user namespace */
	bool has_time_offsets;
	struct oci_time_offset time_offsets[OCI_CLOCKS];
	bool has_personality;
	uint32_t personality; /* as personality(2) takes it */
	struct oci_device *devices;
	size_t num_devices;
	char *cgroups_path;
	struct oci_resources resources;
	struct oci_seccomp *seccomp; /* NULL: none */
	struct oci_pair *sysctls;
	size_t num_sysctls;
	char *rootfs_propagation;
	char *mount_label;
	char **masked_paths, **readonly_paths;
};

/**
 * oci_spec_load() - read and check a config.json
 * @dirfd: the bundle
 * @name:  file name in it
 * @spec:  must be zero; release it whatever the answer
 *
 * Types are strict; what is well-formed and cannot be honoured by a microVM is refused by
 * oci_spec_validate(), which this calls. Nothing is logged: what is to be warned of is in
 * process.warnings. Return: 0, or -1 with an error that names the field.
 */
int oci_spec_load(int dirfd, const char *name, struct oci_spec *spec, struct error **err);

/** oci_process_load() - read a process document, as `exec --process` gets it */
int oci_process_load(int dirfd, const char *name, struct arena *arena, struct oci_process *process,
		     struct error **err);

/** oci_resources_load() - read a linux.resources document, as `update --resources` gets it */
int oci_resources_load(int fd, const char *name, struct arena *arena, struct oci_resources *r,
		       struct error **err);

void oci_spec_release(struct oci_spec *spec);

/** oci_spec_annotation() - value of an annotation, NULL when absent */
const char *oci_spec_annotation(const struct oci_spec *spec, const char *key);

/** oci_spec_namespace() - the entry for CLONE_NEW* @flag, NULL when the container has none */
const struct oci_namespace *oci_spec_namespace(const struct oci_spec *spec, uint64_t flag);

/** oci_hook_point_name() - "prestart", "createRuntime", … */
const char *oci_hook_point_name(enum oci_hook_point point);

#define cleanup_spec __attribute__((cleanup(oci_spec_release)))

#endif
