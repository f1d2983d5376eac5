/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_host.h"
#include "guest-agent/agent_terminal.h"

static void streams_check(struct streams *s)
{
	if (!s->finishing)
		return;
	for (int i = 0; i < STREAMS_MAX; i++)
		if (s->stream[i].channel)
			return;
	s->finishing = false;
	s->drained(s->data);
}

static void stream_over(void *data)
{
	struct stream *st = data;

	channel_destroy(st->channel);
	st->channel = NULL;
	streams_check(st->owner);
}

/* A pipe for one standard stream; its far end goes into *child. */
static int stream_open_pipe(struct streams *s, uint32_t id, int n, int *child, struct error **err)
{
	cleanup_close int host = -1, read_end = -1, write_end = -1;
	struct stream *st = &s->stream[n];
	int fds[2];

	host = host_connect(AGENT_PORT_STREAM(id, n), err);
	if (host < 0)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_set(err, errno, "pipe");
	read_end = fds[0];
	write_end = fds[1];
	if (n == AGENT_STREAM_STDIN)
		st->channel = channel_create(s->loop, steal_fd(&host), steal_fd(&write_end), false,
					     stream_over, st, err);
	else
		st->channel = channel_create(s->loop, steal_fd(&read_end), steal_fd(&host), false,
					     stream_over, st, err);
	if (!st->channel)
		return -1;
	*child = n == AGENT_STREAM_STDIN ? steal_fd(&read_end) : steal_fd(&write_end);
	return 0;
}

static int streams_open_pipes(struct streams *s, uint32_t id, const struct agent_process *p,
			      int stdio[3], struct error **err)
{
	if (!p->stdin_open) {
		stdio[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (stdio[0] < 0)
			return error_set(err, errno, "open /dev/null in the guest");
	} else if (stream_open_pipe(s, id, AGENT_STREAM_STDIN, &stdio[0], err) < 0) {
		return -1;
	}
	if (stream_open_pipe(s, id, AGENT_STREAM_STDOUT, &stdio[1], err) < 0)
		return -1;
	return stream_open_pipe(s, id, AGENT_STREAM_STDERR, &stdio[2], err);
}

int streams_open(struct streams *s, uint32_t id, const struct agent_process *p, int stdio[3],
		 struct error **err)
{
	s->host = s->slave = -1;
	s->finishing = false;
	for (int i = 0; i < STREAMS_MAX; i++)
		s->stream[i] = (struct stream){ .owner = s };
	for (int i = 0; i < 3; i++)
		stdio[i] = -1;
	if (p->terminal) {
		s->host = host_connect(AGENT_PORT_STREAM(id, AGENT_STREAM_TERMINAL), err);
		return s->host < 0 ? -1 : 0;
	}
	if (streams_open_pipes(s, id, p, stdio, err) == 0)
		return 0;
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			close(stdio[i]);
	streams_release(s);
	return -1;
}

int streams_set_terminal(struct streams *s, int master, int slave, struct error **err)
{
	struct stream *st = &s->stream[AGENT_STREAM_TERMINAL];

	if (s->host < 0 || st->channel) {
		close(master);
		close(slave);
		return error_set(err, EPROTO, "a terminal that was not asked for");
	}
	s->slave = slave;
	st->channel = channel_create(s->loop, master, steal_fd(&s->host), true, stream_over, st, err);
	return st->channel ? 0 : -1;
}

int streams_resize(struct streams *s, uint32_t rows, uint32_t columns)
{
	struct stream *st = &s->stream[AGENT_STREAM_TERMINAL];

	return st->channel ? terminal_resize(st->channel->a.fd, rows, columns) : -ENOTTY;
}

void streams_finish(struct streams *s)
{
	struct stream *in = &s->stream[AGENT_STREAM_STDIN];

	if (s->slave >= 0)
		close(steal_fd(&s->slave));
	channel_destroy(in->channel);
	in->channel = NULL;
	for (int i = AGENT_STREAM_STDOUT; i < STREAMS_MAX; i++)
		if (s->stream[i].channel)
			channel_finish(s->stream[i].channel);
	/* Only now, so that drained() is called once, with nothing of this still on the stack. */
	s->finishing = true;
	streams_check(s);
}

void streams_release(struct streams *s)
{
	for (int i = 0; i < STREAMS_MAX; i++) {
		channel_destroy(s->stream[i].channel);
		s->stream[i].channel = NULL;
	}
	if (s->host >= 0)
		close(steal_fd(&s->host));
	if (s->slave >= 0)
		close(steal_fd(&s->slave));
}
