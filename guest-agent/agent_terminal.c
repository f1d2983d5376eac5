/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_mounts.h"

int terminal_resize(int master, uint32_t rows, uint32_t columns)
{
	struct winsize ws = {
		.ws_row = rows > UINT16_MAX ? UINT16_MAX : (unsigned short)rows,
		.ws_col = columns > UINT16_MAX ? UINT16_MAX : (unsigned short)columns,
	};

	return ioctl(master, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

/* runtime-linux: "/dev/console is set up if terminal is enabled by bind mounting the pty to it" */
static int console_bind(unsigned int number, struct error **err)
{
	cleanup_close int mnt = -1, target = -1;
	char pts[32];
	int r;

	snprintf(pts, sizeof(pts), "/dev/pts/%u", number);
	target = open("/dev/console", O_CREAT | O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK |
		      O_CLOEXEC, 0620);
	if (target < 0)
		return error_set(err, errno, "/dev/console");
	mnt = open_tree(AT_FDCWD, pts, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mnt < 0)
		return error_set(err, errno, "%s", pts);
	r = mounts_attach(mnt, target);
	return r < 0 ? error_set(err, -r, "bind %s to /dev/console", pts) : 0;
}

int terminal_open(uint32_t rows, uint32_t columns, bool console, int fds[2], struct error **err)
{
	cleanup_close int master = -1, slave = -1;
	unsigned int number;
	int unlock = 0;

	master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		return error_set(err, errno, "terminal: open the container's /dev/pts/ptmx");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
		return error_set(err, errno, "terminal: unlock the pty");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_set(err, errno, "terminal: open the pty's slave");
	if (rows && columns && terminal_resize(master, rows, columns) < 0)
		return error_set(err, errno, "terminal: set the size");
	if (console && console_bind(number, err) < 0)
		return error_wrap(err, "terminal");
	fds[0] = steal_fd(&master);
	fds[1] = steal_fd(&slave);
	return 0;
}
