/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_duplex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "guest-agent/agent_channel.h"

static void direction_over(struct duplex *d, struct channel **direction)
{
	channel_destroy(*direction);
	*direction = NULL;
	if (!d->to_host && !d->from_host)
		d->over(d->data);
}

static void to_host_over(void *data)
{
	struct duplex *d = data;

	direction_over(d, &d->to_host);
}

static void from_host_over(void *data)
{
	struct duplex *d = data;

	direction_over(d, &d->from_host);
}

/* Each channel owns both of its ends: the two have copies. */
int duplex_begin(struct duplex *d, struct agent_loop *loop, int fd, int host,
		 void (*over)(void *data), void *data, struct error **err)
{
	cleanup_close int own = fd, own_host = host;
	cleanup_close int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	cleanup_close int host_copy = fcntl(host, F_DUPFD_CLOEXEC, 0);

	*d = (struct duplex){ .over = over, .data = data };
	if (host_copy < 0 || copy < 0)
		return error_set(err, errno, "copy a connection");
	d->to_host = channel_create(loop, steal_fd(&copy), steal_fd(&host_copy), false, to_host_over,
				    d, err);
	if (!d->to_host)
		return -1;
	d->from_host = channel_create(loop, steal_fd(&own_host), steal_fd(&own), false,
				      from_host_over, d, err);
	if (d->from_host)
		return 0;
	duplex_end(d);
	return -1;
}

void duplex_end(struct duplex *d)
{
	channel_destroy(d->to_host);
	channel_destroy(d->from_host);
	d->to_host = d->from_host = NULL;
}
