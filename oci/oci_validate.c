/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_validate.h"

#include <sched.h>
#include <string.h>

#include "base/error.h"
#include "oci/oci_mounts.h"
#include "oci/oci_seccomp.h"
#include "oci/oci_spec.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

int oci_process_validate(const struct oci_process *p, struct error **err)
{
	if (!p->args || !p->args[0] || !*p->args[0])
		return error_set(err, 0, "process.args: missing or empty");
	if (!p->cwd || *p->cwd != '/')
		return error_set(err, 0, "process.cwd: expected an absolute path");
	for (size_t i = 0; p->env && p->env[i]; i++)
		if (!strchr(p->env[i], '=') || *p->env[i] == '=')
			return error_set(err, 0, "process.env[%zu]: expected NAME=VALUE", i);
	return 0;
}

/* "1." and a minor version; pre-releases of 1.0 were still changing. */
static int oci_validate_version(const struct oci_spec *spec, struct error **err)
{
	if (!spec->version)
		return error_set(err, 0, "ociVersion: missing");
	if (strncmp(spec->version, "1.", 2) || !strncmp(spec->version, "1.0.0-", 6))
		return error_set(err, 0, "ociVersion: %s is not supported, expected 1.x",
				 spec->version);
	return 0;
}

static int oci_validate_user_namespace(const struct oci_spec *spec, struct error **err)
{
	const bool mapped = spec->uids.count || spec->gids.count;

	if (!oci_spec_namespace(spec, CLONE_NEWUSER))
		return mapped ? error_set(err, 0, "linux.uidMappings: needs a user namespace in "
					  "linux.namespaces") : 0;
	if (!spec->uids.count || !spec->gids.count)
		return error_set(err, 0, "linux.%sMappings: missing, and linux.namespaces has a user "
				 "namespace", spec->uids.count ? "gid" : "uid");
	return 0;
}

static int oci_validate_namespaces(const struct oci_spec *spec, struct error **err)
{
	for (size_t i = 0; i < spec->num_namespaces; i++) {
		const struct oci_namespace *ns = &spec->namespaces[i];

		/* Whether those of IPC and UTS are a pod's is seen when the container is made. */
		if (ns->path && !(ns->flag & (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)))
			return error_set(err, 0, "linux.namespaces[%zu].path: the process runs in a "
					 "microVM and cannot join the host's %s namespace %s",
					 i, ns->type, ns->path);
	}
	if (oci_validate_user_namespace(spec, err) < 0)
		return -1;
	if (spec->hostname && *spec->hostname && !oci_spec_namespace(spec, CLONE_NEWUTS))
		return error_set(err, 0, "hostname: needs a uts namespace in linux.namespaces");
	if (spec->domainname && *spec->domainname && !oci_spec_namespace(spec, CLONE_NEWUTS))
		return error_set(err, 0, "domainname: needs a uts namespace in linux.namespaces");
	if (spec->has_time_offsets && !oci_spec_namespace(spec, CLONE_NEWTIME))
		return error_set(err, 0, "linux.timeOffsets: needs a time namespace in "
				 "linux.namespaces");
	return 0;
}

static int oci_validate_mounts(const struct oci_spec *spec, struct error **err)
{
	for (size_t i = 0; i < spec->num_mounts; i++) {
		struct oci_mount_plan plan;
		cleanup_arena struct arena scratch = { NULL };

		if (oci_mount_plan(&spec->mounts[i], i, &scratch, &plan, err) < 0)
			return -1;
	}
	return 0;
}

static int oci_validate_paths(const char *field, char *const *paths, struct error **err)
{
	for (size_t i = 0; paths && paths[i]; i++)
		if (*paths[i] != '/')
			return error_set(err, 0, "%s[%zu]: expected an absolute path", field, i);
	return 0;
}

/*
 * Any may be set, those of no namespace, too: they are the microVM's, and the container has that for
 * itself. Which there are the guest kernel knows; here it is made sure that it is one below /proc/sys,
 * with dots for slashes as well.
 */
static int oci_validate_sysctls(const struct oci_spec *spec, struct error **err)
{
	for (size_t i = 0; i < spec->num_sysctls; i++) {
		const char *key = spec->sysctls[i].key;

		if (!*key || *key == '/' || strstr(key, "..") || strstr(key, "//"))
			return error_set(err, 0, "linux.sysctl: %s is not the name of a sysctl", key);
	}
	return 0;
}

/* `update` may have one alone, for the memory limit that is in force. */
static int oci_validate_resources(const struct oci_resources *r, struct error **err)
{
	if (r->memory_swap > 0 && r->memory_limit <= 0)
		return error_set(err, 0, "linux.resources.memory.swap: it counts memory and swap "
				 "together, and there is no memory.limit");
	return 0;
}

int oci_spec_validate(const struct oci_spec *spec, struct error **err)
{
	uint64_t propagation;

	if (oci_validate_version(spec, err) < 0)
		return -1;
	/* Such a container can be created, and not started. */
	if ((spec->has_process && oci_process_validate(&spec->process, err) < 0) ||
	    oci_validate_namespaces(spec, err) < 0 || oci_validate_mounts(spec, err) < 0 ||
	    oci_validate_paths("linux.maskedPaths", spec->masked_paths, err) < 0 ||
	    oci_validate_paths("linux.readonlyPaths", spec->readonly_paths, err) < 0 ||
	    oci_validate_sysctls(spec, err) < 0 ||
	    oci_validate_resources(&spec->resources, err) < 0)
		return -1;
	if (spec->rootfs_propagation && *spec->rootfs_propagation &&
	    oci_mount_propagation(spec->rootfs_propagation, &propagation) < 0)
		return error_set(err, 0, "linux.rootfsPropagation: unknown value %s",
				 spec->rootfs_propagation);
	if (spec->seccomp && oci_seccomp_validate(spec->seccomp, err) < 0)
		return -1;
	return 0;
}
