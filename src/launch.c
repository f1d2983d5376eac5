/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: `create`, in order. First all that can fail without leaving anything
 * behind: reading the configuration, opening devices, choosing a GPU. Then the state directory,
 * whose lock is held to the end, and with a record in it of whatever comes to be (cgroup,
 * processes) as soon as it is known, so that `delete` finds it after this process was killed.
 *
 * The VMM starts first and waits for its configuration: its pid is the container's, which hooks
 * are told. While it waits, or boots, the end of its set-up socket tells it that we are dead; the
 * workers learn the same from their sockets, whose other ends are ours or the VMM's.
 */
#include "config.h"

#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "driver_bundle.h"
#include "launch_internal.h"
#include "launch_net.h"
#include "net_namespace.h"
#include "rootless.h"
#include "spawn.h"

#define CONFIG_MAX (8u << 20)

int launch_spawn(struct launch *l, struct spawn *s, struct process_ref *ref, struct error **err)
{
	s->log_fd = l->app->log_fd;
	s->cgroup_fd = l->cgroup;
	s->selinux_label = l->c.spec.process.selinux_label;
	return spawn_process(s, ref, err);
}

static char *launch_time(struct arena *arena)
{
	struct timespec now;
	struct tm tm;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return arena_printf(arena, "%s.%06ldZ", text, now.tv_nsec / 1000);
}

static char *launch_owner(struct arena *arena)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw ? arena_strdup(arena, pw->pw_name) : arena_printf(arena, "%u", getuid());
}

/* The bundle's and the rootfs's absolute paths, and the configuration between them. */
static int load_bundle(struct launch *l, struct error **err)
{
	struct oci_state *s = &l->c.state;
	cleanup_close int dirfd = open(l->opts->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char bundle[PATH_MAX];
	struct stat st;

	if (dirfd < 0 || !realpath(l->opts->bundle, bundle))
		return error_set(err, errno, "cannot open the bundle %s", l->opts->bundle);
	if (oci_spec_load(dirfd, l->opts->config, &l->c.spec, err) < 0)
		return -1;
	s->id = arena_strdup(&s->arena, l->opts->id);
	s->bundle = arena_strdup(&s->arena, bundle);
	s->rootfs = *l->c.spec.root_path == '/' ?
			    arena_strdup(&s->arena, l->c.spec.root_path) :
			    arena_printf(&s->arena, "%s/%s", bundle, l->c.spec.root_path);
	s->created = launch_time(&s->arena);
	s->owner = launch_owner(&s->arena);
	if (!s->id || !s->bundle || !s->rootfs || !s->created || !s->owner)
		return error_set(err, ENOMEM, "cannot create %s", l->opts->id);
	if (stat(s->rootfs, &st) < 0)
		return error_set(err, errno, "root.path: %s", s->rootfs);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, 0, "root.path: %s is not a directory", s->rootfs);
	return 0;
}

/* Where the configuration asks for a new network namespace, or for one by its path. The host's is none. */
static int open_netns(struct launch *l, struct error **err)
{
	const struct oci_namespace *ns = oci_spec_namespace(&l->c.spec, CLONE_NEWNET);

	l->new_netns = ns && !ns->path;
	if (!ns || !ns->path)
		return 0;
	return net_namespace_open(ns->path, &l->netns, err);
}

/* What the guest comes to be; once more when a driver was added to it. */
static int plan_guest(struct launch *l, struct error **err)
{
	struct oci_state *s = &l->c.state;
	const char *dir = l->app->host.driver_bundle;

	if (launch_plan(&l->c.spec, s->bundle, &l->c.spec.arena, &l->plan, err) < 0)
		return -1;
	if (!l->plan.gpu)
		return 0;
	if (driver_bundle_offer(dir ? dir : DATADIR "/driver-bundle", s->rootfs, &l->c.spec,
				&s->gpu_driver, err) < 0)
		return -1;
	if (!s->gpu_driver)
		return 0;
	if (l->c.spec.has_process &&
	    driver_bundle_set_env(s->gpu_driver, &l->c.spec.arena, &l->c.spec.process, err) < 0)
		return -1;
	return launch_plan(&l->c.spec, s->bundle, &l->c.spec.arena, &l->plan, err);
}

/* What a microVM takes, and is chosen or opened beforehand. */
static int prepare_machine(struct launch *l, struct error **err)
{
	if (launch_join_pod(l, err) < 0 || plan_guest(l, err) < 0 ||
	    launch_size(&l->c.spec, l->plan.gpu, &l->size, err) < 0 ||
	    launch_vmm_open(l, err) < 0 || launch_gpu_choose(l, err) < 0)
		return -1;
	return 0;
}

/* Nothing of this is left behind when it fails. */
static int prepare(struct launch *l, struct error **err)
{
	if (oci_id_check(l->opts->id, err) < 0 || load_bundle(l, err) < 0)
		return -1;
	launch_warn(l);
	/* No microVM is booted for nothing. */
	l->pause = launch_is_pause(&l->c.spec) || !l->c.spec.has_process;
	if ((!l->pause && prepare_machine(l, err) < 0) || open_netns(l, err) < 0)
		return -1;
	/* With /dev/kvm open: the group that it takes means nothing in there. */
	return rootless_enter(&l->c.spec, err);
}

/* `start`, `delete` and hooks go by the configuration as it was at create. */
static int copy_config(struct launch *l, struct error **err)
{
	cleanup_close int bundle = open(l->c.state.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int from = openat(bundle, l->opts->config, O_RDONLY | O_CLOEXEC);
	cleanup_close int to = openat(l->c.dirfd, OCI_CONFIG_FILE,
				      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cleanup_free char *text = NULL;
	size_t len;
	int r;

	if (from < 0 || to < 0)
		return error_set(err, errno, "cannot copy %s", l->opts->config);
	text = fd_read_file(from, CONFIG_MAX, &len);
	r = text ? fd_write_full(to, text, len) : -errno;
	return r < 0 ? error_set(err, -r, "cannot copy %s", l->opts->config) : 0;
}

static int open_guest_console(struct launch *l, struct error **err)
{
	if (!l->app->host.guest_console && l->app->log_level < LOG_LEVEL_DEBUG)
		return 0;
	l->vmm_fds[VMM_FD_CONSOLE] = openat(l->c.dirfd, "console.log",
					    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return l->vmm_fds[VMM_FD_CONSOLE] < 0 ?
		       error_set(err, errno, "cannot make the guest console's log") : 0;
}

static int run_create_hooks(struct launch *l, struct error **err)
{
	static const enum oci_hook_point points[] = { OCI_HOOK_PRESTART, OCI_HOOK_CREATE_RUNTIME,
						      OCI_HOOK_CREATE_CONTAINER };

	int r = 0;

	/* What hooks are told is what `create` comes to, as crun tells it. */
	l->c.state.status = OCI_STATUS_CREATED;
	for (size_t i = 0; !r && i < sizeof(points) / sizeof(*points); i++)
		r = container_run_hooks(&l->c, points[i], err);
	l->c.state.status = OCI_STATUS_CREATING;
	return r;
}

static int write_pid_file(const struct launch *l, struct error **err)
{
	const char *path = l->opts->pid_file;
	cleanup_close int fd = -1;

	if (!path)
		return 0;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || dprintf(fd, "%d", l->c.state.vmm.pid) < 0)
		return error_set(err, errno, "--pid-file: cannot write %s", path);
	return 0;
}

/* The container's process: its pid is what hooks are told. */
static int build_process(struct launch *l, struct error **err)
{
	if (l->pause)
		return launch_pause(l, err);
	if (launch_streams(l, err) < 0 || open_guest_console(l, err) < 0 || launch_oom(l, err) < 0 ||
	    launch_proc(l, err) < 0)
		return -1;
	return launch_vmm_spawn(l, err);
}

static int build_machine(struct launch *l, struct error **err)
{
	if (l->pause)
		return launch_pause_begin(l, err);
	if (launch_net(l, err) < 0 || launch_fs(l, err) < 0 || launch_sockets(l, err) < 0 ||
	    launch_gpu(l, err) < 0 || oci_state_write(l->c.dirfd, &l->c.state, err) < 0)
		return -1;
	return launch_vmm_boot(l, err);
}

/* From here on there is something to clean up. */
static int build(struct launch *l, struct error **err)
{
	struct oci_state *s = &l->c.state;

	s->ram = l->size.ram_bytes;
	s->room = l->size.room;
	s->vcpus = l->size.vcpus;
	if (oci_state_write(l->c.dirfd, s, err) < 0 || copy_config(l, err) < 0 ||
	    launch_cgroup(l, err) < 0 || build_process(l, err) < 0 ||
	    oci_state_write(l->c.dirfd, s, err) < 0 || launch_scope(l, err) < 0 ||
	    run_create_hooks(l, err) < 0 || build_machine(l, err) < 0)
		return -1;
	s->status = OCI_STATUS_CREATED;
	if (oci_state_write(l->c.dirfd, s, err) < 0)
		return -1;
	return write_pid_file(l, err);
}

/* The processes are our children: nobody else reaps them while we live. */
static void reap(const struct launch *l)
{
	const struct oci_state *s = &l->c.state;

	for (size_t i = 0; i < s->num_workers; i++)
		if (s->workers[i].pid > 0)
			waitpid(s->workers[i].pid, NULL, 0);
	if (s->vmm.pid > 0)
		waitpid(s->vmm.pid, NULL, 0);
}

static void undo(struct launch *l)
{
	const bool hooks_ran = l->c.state.vmm.pid > 0;

	for (int i = 0; i < VMM_FD_COUNT; i++)
		if (l->vmm_fds[i] >= 0)
			close(steal_fd(&l->vmm_fds[i]));
	for (size_t i = 0; i < l->c.state.num_workers; i++)
		process_ref_kill(&l->c.state.workers[i], SIGKILL);
	process_ref_kill(&l->c.state.vmm, SIGKILL);
	reap(l);
	launch_net_remove(&l->c.spec);
	container_destroy(&l->c, NULL);
	l->c.state.status = OCI_STATUS_STOPPED;
	if (hooks_ran)
		container_run_hooks(&l->c, OCI_HOOK_POSTSTOP, NULL);
}

static void launch_release(struct launch *l)
{
	for (int i = 0; i < VMM_FD_COUNT; i++)
		if (l->vmm_fds[i] >= 0)
			close(l->vmm_fds[i]);
	if (l->setup >= 0)
		close(l->setup);
	if (l->cgroup >= 0)
		close(l->cgroup);
	if (l->netns >= 0)
		close(l->netns);
#ifdef HAVE_GPU
	gpu_choice_release(&l->gpu);
#endif
	net_found_release(&l->net);
	container_release(&l->c);
}

int launch_create(const struct app *app, const struct launch_options *opts, pid_t *vmm_pid,
		  struct error **err)
{
	struct launch l = { .app = app, .opts = opts, .setup = -1, .cgroup = -1, .netns = -1 };
	int r;

	l.c = (struct container){ .root = app->root, .id = opts->id, .dirfd = -1 };
	for (int i = 0; i < VMM_FD_COUNT; i++)
		l.vmm_fds[i] = -1;
	r = prepare(&l, err);
	if (!r) {
		l.c.dirfd = oci_state_create(app->root, opts->id, err);
		r = l.c.dirfd < 0 ? -1 : build(&l, err);
		if (r < 0 && l.c.dirfd >= 0)
			undo(&l);
	}
	if (!r && vmm_pid)
		*vmm_pid = l.c.state.vmm.pid;
	launch_release(&l);
	return r;
}
