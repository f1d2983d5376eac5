/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_oom.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "guest-agent/agent_control.h"

#define EVENTS_MAX 1024

/* cgroup v2: "oom_kill", processes of this cgroup, or below it, that any OOM killer has ended */
static uint32_t oom_kills(int fd)
{
	char text[EVENTS_MAX + 1], *line;
	ssize_t n = pread(fd, text, EVENTS_MAX, 0);

	text[n > 0 ? n : 0] = 0;
	line = strstr(text, "\noom_kill ");
	return line ? (uint32_t)strtoul(line + strlen("\noom_kill "), NULL, 10) : 0;
}

void oom_look(struct oom *o)
{
	uint32_t kills = o->source.fd < 0 ? 0 : oom_kills(o->source.fd);

	if (kills <= o->kills)
		return;
	o->kills = kills;
	control_send_oom(o->control, kills);
}

/* The kernel raises EPOLLPRI whenever one of the file's numbers changes. */
static void oom_ready(void *data, uint32_t events)
{
	(void)events;
	oom_look(data);
}

void oom_watch(struct oom *o, int cgroup)
{
	int r;

	o->source = (struct loop_source){ .fd = -1, .ready = oom_ready, .data = o };
	o->source.fd = openat(cgroup, "memory.events", O_RDONLY | O_CLOEXEC);
	if (o->source.fd < 0)
		return;
	/* Reading it is what arms it. */
	oom_look(o);
	r = loop_watch(o->loop, &o->source, EPOLLPRI);
	if (r < 0) {
		log_warning("memory.events: %s", strerror(-r));
		close(steal_fd(&o->source.fd));
	}
}
