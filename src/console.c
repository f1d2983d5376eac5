/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

int console_open(int *master, int *slave, uint32_t rows, uint32_t columns, struct error **err)
{
	cleanup_close int m = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cleanup_close int s = -1;
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	struct termios mode;

	if (m < 0 || grantpt(m) < 0 || unlockpt(m) < 0)
		return error_set(err, errno, "cannot make a terminal");
	/* By the master, not by a path that somebody might have mounted over. */
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0 || tcgetattr(s, &mode) < 0)
		return error_set(err, errno, "cannot open the terminal");
	cfmakeraw(&mode);
	if (tcsetattr(s, TCSANOW, &mode) < 0 ||
	    (rows && columns && ioctl(s, TIOCSWINSZ, &size) < 0))
		return error_set(err, errno, "cannot set the terminal up");
	*master = steal_fd(&m);
	*slave = steal_fd(&s);
	return 0;
}

int console_send(const char *path, int master, struct error **err)
{
	cleanup_close int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, name[] = "/dev/ptmx";
	struct iovec iov = { name, sizeof(name) - 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, ENAMETOOLONG, "--console-socket: %s", path);
	strcpy(addr.sun_path, path);
	if (sock < 0 || connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno, "--console-socket: cannot connect to %s", path);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &master, sizeof(int));
	if (sendmsg(sock, &mh, MSG_NOSIGNAL) < 0)
		return error_set(err, errno, "--console-socket: cannot send the terminal");
	return 0;
}
