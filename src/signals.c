/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* SIGRTMIN as the kernel counts: the C library keeps the first two for itself. */
#define KERNEL_SIGRTMIN 34
#define KERNEL_SIGRTMAX 64

static int signal_offset(const char *text, int base)
{
	char *end;
	long n;

	if (!*text)
		return base;
	n = strtol(text, &end, 10);
	if (*end || !strchr("+-", *text) || base + n < KERNEL_SIGRTMIN ||
	    base + n > KERNEL_SIGRTMAX)
		return -1;
	return (int)(base + n);
}

int signal_parse(const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*text && !*end)
		return errno || n < 0 || n > KERNEL_SIGRTMAX ? -1 : (int)n;
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	if (!strncasecmp(text, "RTMIN", 5))
		return signal_offset(text + 5, KERNEL_SIGRTMIN);
	if (!strncasecmp(text, "RTMAX", 5))
		return signal_offset(text + 5, KERNEL_SIGRTMAX);
	if (!strcasecmp(text, "CLD"))
		return SIGCHLD;
	if (!strcasecmp(text, "IOT"))
		return SIGABRT;
	if (!strcasecmp(text, "POLL"))
		return SIGIO;
	for (int signo = 1; signo < 32; signo++) {
		const char *name = sigabbrev_np(signo);

		if (name && !strcasecmp(text, name))
			return signo;
	}
	return -1;
}
