/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A bounded buffer in each direction: a source is polled for input only while there is room, a
 * target for output only while something waits, and an fd that is waited on for neither leaves
 * the epoll set, as epoll would report its hang-up for ever. So a reader that stops on the host
 * stops the writer in the container through its own pipe, and costs nothing meanwhile.
 */
#include "guest-agent/agent_channel.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

#define CHANNEL_BUFFER 65536u
/* More than the kernel holds between the two ends of a pty, where FIONREAD does not see it all. */
#define CHANNEL_REST 131072u

static bool relay_done(const struct relay *r)
{
	return !r->buf || (r->eof && !r->len);
}

static bool relay_wants_input(const struct relay *r)
{
	return r->buf && !r->eof && r->head + r->len < CHANNEL_BUFFER;
}

/* One read. A pty's master says EIO once its last slave is closed, a reset peer ECONNRESET. */
static bool relay_fill(struct relay *r, int fd)
{
	size_t room;
	ssize_t n;

	if (!relay_wants_input(r))
		return false;
	room = CHANNEL_BUFFER - r->head - r->len;
	if (room > r->limit)
		room = r->limit;
	n = room ? read(fd, r->buf + r->head + r->len, room) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (errno == EAGAIN && r->limit != SIZE_MAX)
			r->eof = true;
		return false;
	}
	if (n <= 0) {
		r->eof = true;
		return false;
	}
	r->len += (size_t)n;
	if (r->limit != SIZE_MAX)
		r->limit -= (size_t)n;
	return true;
}

/* One write. When nobody reads any more the rest is void, and so is what would follow. */
static bool relay_flush(struct relay *r, int fd)
{
	ssize_t n;

	if (!r->buf || !r->len)
		return false;
	n = write(fd, r->buf + r->head, r->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		r->len = 0;
		r->eof = true;
		return false;
	}
	r->head += (size_t)n;
	r->len -= (size_t)n;
	if (!r->len)
		r->head = 0;
	return true;
}

static void channel_over(struct channel *ch)
{
	loop_watch(ch->loop, &ch->a, 0);
	loop_watch(ch->loop, &ch->b, 0);
	shutdown(ch->b.fd, SHUT_WR); /* ENOTSOCK for a pipe, which over() closes */
	ch->over(ch->data);
}

/* Moves what can be moved without waiting, and waits for the rest. */
static void channel_pump(struct channel *ch)
{
	bool draining = ch->forth.limit != SIZE_MAX, moved;
	uint32_t a, b;

	do {
		moved = relay_fill(&ch->forth, ch->a.fd);
		moved |= relay_flush(&ch->forth, ch->b.fd);
		relay_fill(&ch->back, ch->b.fd);
		relay_flush(&ch->back, ch->a.fd);
	} while (draining && moved);
	if (relay_done(&ch->forth)) {
		channel_over(ch);
		return;
	}
	a = (relay_wants_input(&ch->forth) ? EPOLLIN : 0) | (ch->back.len ? EPOLLOUT : 0);
	b = (relay_wants_input(&ch->back) ? EPOLLIN : 0) | (ch->forth.len ? EPOLLOUT : 0);
	if (loop_watch(ch->loop, &ch->a, a) < 0 || loop_watch(ch->loop, &ch->b, b) < 0)
		channel_over(ch);
}

static void channel_ready(void *data, uint32_t events)
{
	(void)events;
	channel_pump(data);
}

static int channel_init(struct channel *ch, bool bidirectional, struct error **err)
{
	int r = fd_set_nonblock(ch->a.fd, true);

	if (r == 0)
		r = fd_set_nonblock(ch->b.fd, true);
	if (r < 0)
		return error_set(err, -r, "make a stream non-blocking");
	ch->forth.buf = malloc(CHANNEL_BUFFER);
	if (bidirectional)
		ch->back.buf = malloc(CHANNEL_BUFFER);
	if (!ch->forth.buf || (bidirectional && !ch->back.buf))
		return error_set(err, ENOMEM, "stream");
	r = loop_watch(ch->loop, &ch->a, EPOLLIN);
	if (r == 0 && bidirectional)
		r = loop_watch(ch->loop, &ch->b, EPOLLIN);
	return r < 0 ? error_set(err, -r, "watch a stream") : 0;
}

struct channel *channel_create(struct agent_loop *loop, int a, int b, bool bidirectional,
			       void (*over)(void *data), void *data, struct error **err)
{
	struct channel *ch = calloc(1, sizeof(*ch));

	if (!ch) {
		close(a);
		close(b);
		error_set(err, ENOMEM, "stream");
		return NULL;
	}
	ch->loop = loop;
	ch->a = (struct loop_source){ .fd = a, .ready = channel_ready, .data = ch };
	ch->b = (struct loop_source){ .fd = b, .ready = channel_ready, .data = ch };
	ch->forth.limit = SIZE_MAX;
	ch->back.limit = SIZE_MAX;
	ch->over = over;
	ch->data = data;
	if (channel_init(ch, bidirectional, err) < 0) {
		channel_destroy(ch);
		return NULL;
	}
	return ch;
}

void channel_finish(struct channel *ch)
{
	int queued = 0;

	if (ioctl(ch->a.fd, FIONREAD, &queued) < 0 || queued < 0)
		queued = 0;
	ch->forth.limit = (size_t)queued > CHANNEL_REST ? (size_t)queued : CHANNEL_REST;
	ch->back.eof = true;
	ch->back.len = 0;
	channel_pump(ch);
}

void channel_destroy(struct channel *ch)
{
	if (!ch)
		return;
	loop_watch(ch->loop, &ch->a, 0);
	loop_watch(ch->loop, &ch->b, 0);
	close(ch->a.fd);
	close(ch->b.fd);
	free(ch->forth.buf);
	free(ch->back.buf);
	free(ch);
}
