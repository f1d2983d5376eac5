/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker that connects to unix sockets of the host's (vmm/workers/connect_main.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/connect_proto.h"
#include "base/error.h"
#include "launch_internal.h"
#include "oci/arena.h"
#include "spawn.h"

#define CONNECT_PROGRAM LIBEXECDIR "/krun-gpu-connect"
#define GROUPS_MAX 64

/* The host's id of one of the container's. */
static uint32_t host_id(const struct oci_id_mappings *m, uint32_t id)
{
	for (size_t i = 0; i < m->count; i++)
		if (id >= m->items[i].container && id - m->items[i].container < m->items[i].size)
			return m->items[i].host + (id - m->items[i].container);
	return id;
}

static int sockets_argv(struct launch *l, const char **argv, struct error **err)
{
	const struct oci_spec *spec = &l->c.spec;
	const struct oci_process *p = &spec->process;
	struct arena *a = &l->c.state.arena;
	size_t n = 0, all;

	argv[n++] = CONNECT_PROGRAM;
	argv[n++] = arena_printf(a, "%zu", l->plan.num_sockets);
	argv[n++] = arena_printf(a, "%u", host_id(&spec->uids, p->uid));
	argv[n++] = arena_printf(a, "%u", host_id(&spec->gids, p->gid));
	for (size_t i = 0; i < p->num_additional_gids && i < GROUPS_MAX; i++)
		argv[n++] = arena_printf(a, "%u", host_id(&spec->gids, p->additional_gids[i]));
	all = n;
	while (n--)
		if (!argv[n])
			return error_set(err, ENOMEM, "cannot start the worker for sockets");
	argv[all] = NULL;
	return 0;
}

static int sockets_spawn(struct launch *l, struct spawn *s, int theirs, struct error **err)
{
	struct process_ref *ref = &l->c.state.workers[l->c.state.num_workers];

	s->fds[s->num_fds++] = (struct spawn_fd){ theirs, CONNECT_FD };
	for (size_t i = 0; i < l->plan.num_sockets; i++) {
		int fd = open(l->plan.sockets[i], O_PATH | O_CLOEXEC);

		if (fd < 0)
			return error_set(err, errno, "cannot open the socket %s", l->plan.sockets[i]);
		s->fds[s->num_fds++] = (struct spawn_fd){ fd, CONNECT_FD_FIRST + (int)i };
	}
	if (launch_spawn(l, s, ref, err) < 0)
		return -1;
	l->c.state.num_workers++;
	return 0;
}

int launch_sockets(struct launch *l, struct error **err)
{
	const char *argv[5 + GROUPS_MAX];
	struct spawn s = { .argv = argv, .netns_fd = -1, .new_session = true };
	cleanup_close int theirs = -1;
	int pair[2], r;

	if (!l->plan.num_sockets)
		return 0;
	if (sockets_argv(l, argv, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, errno, "cannot make a socket pair");
	l->vmm_fds[VMM_FD_CONNECT] = pair[0];
	theirs = pair[1];
	r = sockets_spawn(l, &s, theirs, err);
	for (size_t i = 1; i < s.num_fds; i++)
		close(s.fds[i].from);
	return r;
}
