/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "launch_plan.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/connect_proto.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/arena.h"
#include "oci/oci_spec.h"
#include "socket_type.h"

#define DRM_MAJOR 226
#define DRM_RENDER_MINOR 128
#define NVIDIA_MAJOR 195

/* Devices of the guest kernel's that mean the same as the host's. */
static const struct {
	unsigned int major, minor;
} guest_devices[] = {
	{ 1, 3 },    /* null */
	{ 1, 5 },    /* zero */
	{ 1, 7 },    /* full */
	{ 1, 8 },    /* random */
	{ 1, 9 },    /* urandom */
	{ 1, 11 },   /* kmsg */
	{ 5, 0 },    /* tty */
	{ 5, 1 },    /* console */
	{ 5, 2 },    /* ptmx */
	{ 10, 200 }, /* net/tun */
	{ 10, 229 }, /* fuse */
};

/* runtime specification, "Default Devices"; /dev/ptmx and /dev/console are the agent's work. */
static const struct {
	const char *path;
	unsigned int major, minor;
} default_devices[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

#define NUM_DEFAULT_DEVICES (sizeof(default_devices) / sizeof(*default_devices))

static bool plan_guest_has(char type, unsigned int major, unsigned int minor)
{
	for (size_t i = 0; i < sizeof(guest_devices) / sizeof(*guest_devices); i++)
		if (type == 'c' && guest_devices[i].major == major && guest_devices[i].minor == minor)
			return true;
	return type == 'p';
}

static bool plan_device_is_known(const struct launch_plan *plan, const char *path)
{
	for (size_t i = 0; i < plan->num_devices; i++)
		if (!strcmp(plan->devices[i].path, path))
			return true;
	return false;
}

static void plan_guest_gpu(struct launch_plan *plan, bool render, mode_t mode, uid_t uid, gid_t gid)
{
	char *path = render ? (char *)"/dev/dri/renderD128" : (char *)"/dev/dri/card0";

	plan->gpu = true;
	if (plan_device_is_known(plan, path))
		return;
	plan->devices[plan->num_devices++] = (struct agent_device){
		.kind = render ? AGENT_DEVICE_GPU_RENDER : AGENT_DEVICE_GPU_CARD,
		.mode = S_IFCHR | mode, .uid = uid, .gid = gid, .path = path,
	};
}

/* The guest has one GPU, whatever the host's nodes are called. */
static void plan_gpu_device(struct launch_plan *plan, const struct oci_device *d, const char *host)
{
	plan->gpu_nodes[plan->num_gpu_nodes++] =
		(struct launch_gpu_node){ host, d->major, d->minor };
	plan_guest_gpu(plan, d->major == NVIDIA_MAJOR || d->minor >= DRM_RENDER_MINOR, d->mode,
		       d->uid, d->gid);
}

/* NVIDIA's nodes for computing, whose numbers are given out at run time: the GPU's nodes stand for
 * them, as the guest has another driver. */
static bool plan_is_nvidia_helper(const char *host)
{
	return !strncmp(host, "/dev/nvidia-uvm", 15) || !strncmp(host, "/dev/nvidia-caps/", 17);
}

/*
 * Has the host a device of this number, or a node by this name? One that it has not, no kernel has a
 * driver for: its node is dead in any container, and as good in a guest.
 */
static bool plan_host_has(const struct oci_device *d)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u", d->type == 'b' ? "block" : "char", d->major,
		 d->minor);
	return !lstat(path, &st) || !lstat(d->path, &st);
}

/* 1: the guest has it now; 0: it cannot */
static int plan_device(struct launch_plan *plan, const struct oci_device *d, const char *host)
{
	const mode_t kind = d->type == 'p' ? S_IFIFO : d->type == 'b' ? S_IFBLK : S_IFCHR;

	if (d->type == 'c' && (d->major == DRM_MAJOR || d->major == NVIDIA_MAJOR)) {
		plan_gpu_device(plan, d, host);
		return 1;
	}
	if (d->type == 'c' && plan_is_nvidia_helper(host)) {
		plan->gpu_helper = host;
		return 1;
	}
	if (!plan_guest_has(d->type, d->major, d->minor) && plan_host_has(d))
		return 0;
	if (!plan_device_is_known(plan, d->path))
		plan->devices[plan->num_devices++] = (struct agent_device){
			.kind = AGENT_DEVICE_NODE, .mode = kind | d->mode, .major = d->major,
			.minor = d->minor, .uid = d->uid, .gid = d->gid, .path = d->path,
		};
	return 1;
}

static int plan_devices(const struct oci_spec *spec, struct launch_plan *plan, struct error **err)
{
	for (size_t i = 0; i < spec->num_devices; i++) {
		const struct oci_device *d = &spec->devices[i];

		/* Engines list it for privileged containers; the agent links it to the container's own. */
		if (!strcmp(d->path, "/dev/ptmx") || plan_device(plan, d, d->path))
			continue;
		if (!spec->resources.all_devices)
			return error_set(err, 0, "linux.devices[%zu]: %s (%c %u:%u) is a device of "
					 "the host, and the microVM has no such device", i, d->path,
					 d->type, d->major, d->minor);
		log_info("linux.devices[%zu]: %s is not there in the microVM", i, d->path);
	}
	return 0;
}

static void plan_default_devices(struct launch_plan *plan)
{
	for (size_t i = 0; i < NUM_DEFAULT_DEVICES; i++) {
		if (plan_device_is_known(plan, default_devices[i].path))
			continue;
		plan->devices[plan->num_devices++] = (struct agent_device){
			.kind = AGENT_DEVICE_NODE, .mode = S_IFCHR | 0666,
			.major = default_devices[i].major, .minor = default_devices[i].minor,
			.path = (char *)default_devices[i].path,
		};
	}
}

static struct agent_mount *plan_mount(struct launch_plan *plan, const struct oci_mount_plan *m)
{
	struct agent_mount *out = &plan->mounts[plan->num_mounts++];

	*out = (struct agent_mount){
		.kind = AGENT_MOUNT_FS, .flags = m->flags, .clear_flags = m->clear_flags,
		.propagation = (uint32_t)m->propagation, .tmpcopyup = m->tmpcopyup,
		.source = (char *)m->source, .destination = (char *)m->destination,
		.type = (char *)m->type, .data = m->data,
	};
	return out;
}

static int plan_export(struct launch_plan *plan, const struct oci_mount_plan *m, const char *path,
		       struct arena *arena, struct error **err)
{
	struct agent_mount *out = plan_mount(plan, m);

	if (m->propagation & MS_SHARED)
		log_warning("%s is shared in the microVM only: mounts made there do not show on the "
			    "host", m->destination);
	out->kind = AGENT_MOUNT_EXPORT;
	out->type = (char *)"";
	out->data = (char *)"";
	out->source = arena_printf(arena, "%zu", plan->num_exports);
	plan->exports[plan->num_exports++] = (struct oci_export_mount){ *m, path };
	return out->source ? 0 : error_set(err, ENOMEM, "mounts");
}

static int plan_check_socket(size_t index, const char *path, struct error **err)
{
	const int type = socket_type(path);

	if (type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return 0;
	return error_set(err, 0, "mounts[%zu].source: %s is a socket of %s, and only stream sockets "
			 "can be reached from a microVM", index, path,
			 type == SOCK_DGRAM ? "datagrams" : "sequenced packets");
}

/* A unix socket of the host's: the agent listens in its stead, and the worker connects to it. */
static int plan_socket(struct launch_plan *plan, const struct oci_mount_plan *m, size_t index,
		       const char *path, const struct stat *st, struct arena *arena,
		       struct error **err)
{
	struct agent_mount *out;

	if (plan->num_sockets == CONNECT_SOCKETS_MAX)
		return error_set(err, 0, "mounts[%zu].source: more than %d sockets of the host's",
				 index, CONNECT_SOCKETS_MAX);
	if (plan_check_socket(index, path, err) < 0)
		return -1;
	out = plan_mount(plan, m);
	out->kind = AGENT_MOUNT_SOCKET;
	out->type = (char *)"socket";
	out->source = arena_printf(arena, "%zu", plan->num_sockets);
	out->data = arena_printf(arena, "mode=%o,uid=%u,gid=%u", st->st_mode & 0777, st->st_uid,
				 st->st_gid);
	plan->sockets[plan->num_sockets++] = path;
	return out->source && out->data ? 0 : error_set(err, ENOMEM, "mounts");
}

/* A bind mount of a device node, a socket or a FIFO: what cannot pass through a file server. */
static int plan_special(struct launch_plan *plan, const struct oci_mount_plan *m, size_t index,
			const char *path, const struct stat *st, struct arena *arena,
			struct error **err)
{
	const struct oci_device d = {
		.type = S_ISCHR(st->st_mode) ? 'c' : 'b', .path = (char *)m->destination,
		.major = major(st->st_rdev), .minor = minor(st->st_rdev),
		.mode = st->st_mode & 07777, .uid = st->st_uid, .gid = st->st_gid,
	};

	if (S_ISSOCK(st->st_mode))
		return plan_socket(plan, m, index, path, st, arena, err);
	if (S_ISFIFO(st->st_mode))
		return error_set(err, 0, "mounts[%zu].source: %s is a FIFO of the host's and cannot be "
				 "shared with a microVM", index, path);
	if (plan_device(plan, &d, path))
		return 0;
	return error_set(err, 0, "mounts[%zu].source: %s is a device of the host, and the microVM "
			 "has no such device", index, path);
}

/* See launch_plan(). The host's own /dev/shm is not the engine's work. */
static bool plan_is_own_shm(const struct oci_spec *spec, const struct oci_mount_plan *m,
			    const char *path)
{
	const struct oci_namespace *ipc = oci_spec_namespace(spec, CLONE_NEWIPC);
	const char *name = strrchr(path, '/');
	struct statfs fs;

	return ipc && !ipc->path && !strcmp(m->destination, "/dev/shm") && name &&
	       !strcmp(name, "/shm") && strcmp(path, "/dev/shm") && !statfs(path, &fs) &&
	       (unsigned long)fs.f_type == TMPFS_MAGIC;
}

static int plan_shm(struct launch_plan *plan, const struct oci_mount_plan *m, const char *path,
		    struct arena *arena, struct error **err)
{
	struct agent_mount *out = plan_mount(plan, m);
	struct statvfs fs;

	if (statvfs(path, &fs) < 0)
		return error_set(err, errno, "cannot look at %s", path);
	out->source = (char *)"shm";
	out->type = (char *)"tmpfs";
	out->data = arena_printf(arena, "mode=1777,size=%llu",
				 (unsigned long long)fs.f_blocks * fs.f_frsize);
	return out->data ? 0 : error_set(err, ENOMEM, "mounts");
}

static int plan_bind(const struct oci_spec *spec, struct launch_plan *plan,
		     const struct oci_mount_plan *m, size_t index, const char *bundle,
		     struct arena *arena, struct error **err)
{
	const char *path = m->source;
	struct stat st;

	if (*path != '/')
		path = arena_printf(arena, "%s/%s", bundle, path);
	if (!path)
		return error_set(err, ENOMEM, "mounts[%zu]", index);
	if (stat(path, &st) < 0)
		return error_set(err, errno, "mounts[%zu].source: %s", index, path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return plan_special(plan, m, index, path, &st, arena, err);
	if (plan_is_own_shm(spec, m, path))
		return plan_shm(plan, m, path, arena, err);
	return plan_export(plan, m, path, arena, err);
}

static int plan_mounts(const struct oci_spec *spec, const char *bundle, struct arena *arena,
		       struct launch_plan *plan, struct error **err)
{
	for (size_t i = 0; i < spec->num_mounts; i++) {
		struct oci_mount_plan m;
		int r = 0;

		if (oci_mount_plan(&spec->mounts[i], i, arena, &m, err) < 0)
			return -1;
		if (m.where == OCI_MOUNT_GUEST)
			plan_mount(plan, &m);
		else if (m.where == OCI_MOUNT_OVERLAY)
			r = plan_export(plan, &m, NULL, arena, err);
		else
			r = plan_bind(spec, plan, &m, i, bundle, arena, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

int launch_plan(const struct oci_spec *spec, const char *bundle, struct arena *arena,
		struct launch_plan *plan, struct error **err)
{
	/* Each entry of either list can become one device and one GPU node at most. */
	const size_t most = spec->num_mounts + spec->num_devices;

	*plan = (struct launch_plan){
		.mounts = arena_alloc(arena, spec->num_mounts, sizeof(*plan->mounts)),
		.exports = arena_alloc(arena, spec->num_mounts, sizeof(*plan->exports)),
		.devices = arena_alloc(arena, most + 1 + NUM_DEFAULT_DEVICES,
				       sizeof(*plan->devices)),
		.gpu_nodes = arena_alloc(arena, most, sizeof(*plan->gpu_nodes)),
		.sockets = arena_alloc(arena, CONNECT_SOCKETS_MAX, sizeof(*plan->sockets)),
	};
	if (!plan->sockets || !plan->mounts || !plan->exports || !plan->devices || !plan->gpu_nodes)
		return error_set(err, ENOMEM, "cannot plan the container");
	if (plan_devices(spec, plan, err) < 0 ||
	    plan_mounts(spec, bundle, arena, plan, err) < 0)
		return -1;
	/* By annotation alone: hosts with neither /dev/dri nor a CDI specification. */
	if (!plan->gpu && oci_spec_annotation(spec, "krun-gpu.device"))
		plan_guest_gpu(plan, true, 0666, 0, 0);
	if (plan->gpu_helper && !plan->gpu && !spec->resources.all_devices)
		return error_set(err, 0, "%s is of no use without a GPU: give the container "
				 "/dev/nvidia0, or another one's node, as well", plan->gpu_helper);
	plan_default_devices(plan);
	return 0;
}
