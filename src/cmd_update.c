/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: limits are kept twice, in the guest by the container's cgroup there, and on the
 * host by the cgroup of the VMM and its workers. The guest comes first: when its limit shrinks it gives
 * memory back, and the host's limit follows as far as it has done so. The microVM itself keeps its
 * size: more memory or processors than it was created with cannot be given.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "cgroup.h"
#include "container.h"
#include "guest_cgroup.h"
#include "launch_guest.h"
#include "launch_size.h"
#include "numbers.h"
#include "update_limits.h"
#include "update_options.h"

/* How long memory may take to come back before the host's limit is set. */
#define SHRINK_MS 3000
#define SHRINK_STEP_MS 100
#define MIB (1ull << 20)

/* The machine does not grow: what it would need more of is refused before anything is changed. */
static int check_size(const struct container *c, const struct oci_resources *r, struct error **err)
{
	const uint64_t period = r->cpu_period ? r->cpu_period : 100000;
	const struct oci_state *s = &c->state;

	if (r->has_memory_limit && r->memory_limit > 0 &&
	    !launch_size_host_limit(r->memory_limit, s->ram, s->room))
		return error_set(err, 0, "linux.resources.memory.limit: the microVM has %llu MiB of "
				 "memory, and cannot get more while it runs",
				 (unsigned long long)(s->ram / MIB));
	if (r->cpu_quota > 0 && ((uint64_t)r->cpu_quota + period - 1) / period > s->vcpus)
		return error_set(err, 0, "linux.resources.cpu.quota: the microVM has %u virtual CPUs, "
				 "and cannot get more while it runs", s->vcpus);
	return 0;
}

static char *host_text(int cgroup, const char *file)
{
	cleanup_close int fd = openat(cgroup, file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fd_read_file(fd, 4096, NULL);
}

static uint64_t host_number(int cgroup, const char *file, uint64_t otherwise)
{
	cleanup_free char *text = host_text(cgroup, file);

	return text ? number_after(text, NULL, otherwise) : otherwise;
}

/*
 * A limit below what is in use would have the host's kernel end the VMM. What the guest has freed
 * comes back in its own time; what it has not by then stays allowed.
 */
static uint64_t wait_for_memory(int cgroup, uint64_t wanted)
{
	const struct timespec pause = { 0, SHRINK_STEP_MS * 1000 * 1000 };
	const uint64_t margin = 16 * MIB;
	uint64_t used = host_number(cgroup, "memory.current", 0);

	for (int waited = 0; used + margin > wanted && waited < SHRINK_MS; waited += SHRINK_STEP_MS) {
		nanosleep(&pause, NULL);
		used = host_number(cgroup, "memory.current", 0);
	}
	return used + margin > wanted ? used + margin : wanted;
}

static int update_host(const struct container *c, const struct oci_resources *r, struct error **err)
{
	const char *needed = cgroup_needed(r);
	cleanup_close int cgroup = -1;
	uint64_t memory_max = 0;

	if (!c->state.cgroup)
		return needed ? error_set(err, 0, "linux.resources.%s: needs a cgroup of the host's, "
					  "and container %s has none", needed, c->id) : 0;
	cgroup = open(c->state.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0)
		return error_set(err, errno, "cannot open the cgroup %s", c->state.cgroup);
	if (r->has_memory_limit)
		memory_max = wait_for_memory(cgroup, launch_size_host_limit(r->memory_limit,
									    c->state.ram,
									    c->state.room));
	return cgroup_apply(cgroup, r, memory_max, err);
}

static int update_guest(const struct container *c, const struct oci_resources *r,
			struct arena *arena, struct error **err)
{
	struct agent_pair *files;
	size_t count;

	if (launch_guest_cgroup(r, arena, &files, &count, err) < 0)
		return -1;
	return count ? guest_cgroup_access(c->dirfd, files, count, NULL, err) : 0;
}

/* The quota in force is the host's; without a cgroup there, the guest's says what was asked for. */
static char *present_cpu_max(const struct container *c, const struct guest_cgroup *guest)
{
	cleanup_close int cgroup = -1;
	const char *text;

	if (c->state.cgroup) {
		cgroup = open(c->state.cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return cgroup < 0 ? NULL : host_text(cgroup, "cpu.max");
	}
	text = guest_cgroup_text(guest, "cpu.max");
	return text ? strdup(text) : NULL;
}

/* What was asked for may be the half of something: the other half is as it is. */
static int complete(const struct container *c, struct oci_resources *r, struct error **err)
{
	static const struct agent_pair files[] = {
		{ (char *)"memory.max", (char *)"" }, { (char *)"memory.current", (char *)"" },
		{ (char *)"cpu.max", (char *)"" },
	};
	cleanup_guest_cgroup struct guest_cgroup guest = { 0 };
	cleanup_free char *cpu_max = NULL;
	struct update_present now = { 0 };

	if ((update_needs_memory(r) || (update_needs_cpu(r) && !c->state.cgroup)) &&
	    guest_cgroup_access(c->dirfd, files, sizeof(files) / sizeof(*files), &guest, err) < 0)
		return -1;
	now.memory_limit = guest_cgroup_number(&guest, "memory.max", NULL, UINT64_MAX);
	now.memory_usage = guest_cgroup_number(&guest, "memory.current", NULL, UINT64_MAX);
	now.cpu_max = cpu_max = present_cpu_max(c, &guest);
	return update_limits_complete(r, &now, err);
}

static int update_container(const struct app *app, const char *id, struct update_options *u,
			    struct error **err)
{
	cleanup_container struct container c = { .dirfd = -1 };

	if (container_open(app, id, &c, err) < 0 || oci_state_lock(c.dirfd, err) < 0 ||
	    container_refresh(&c, err) < 0)
		return -1;
	if (c.state.status != OCI_STATUS_RUNNING && c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is %s: its limits can be changed while it is "
				 "running", id, oci_status_name(c.state.status));
	if (complete(&c, &u->r, err) < 0 || check_size(&c, &u->r, err) < 0 ||
	    update_guest(&c, &u->r, &u->arena, err) < 0)
		return -1;
	return update_host(&c, &u->r, err);
}

int cmd_update(const struct app *app, int argc, char **argv, struct error **err)
{
	struct update_options u = { 0 };
	int first = update_options_parse(&u, argc, argv, err), r = first;

	if (first > 0)
		r = update_container(app, argv[first], &u, err);
	arena_release(&u.arena);
	return r;
}
