/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <termios.h>

struct error;

/**
 * struct relay - what a command line that stays does while the process runs: it passes signals
 * on, and moves bytes between its own terminal and the pty that the VMM has
 */
struct relay {
	int signals;	/* signalfd, owned */
	int master;	/* owned; -1 without a terminal of ours */
	bool raw;	/* our own terminal's mode is to be restored */
	struct termios saved;
	char buf[4096];	/* from us to the pty, what it has not taken yet */
	size_t len;
};

/**
 * relay_begin() - catch signals from now on
 * @child: also SIGCHLD
 */
int relay_begin(struct relay *r, bool child, struct error **err);

/** relay_terminal() - make our terminal raw and let @master (taken over) follow its size */
int relay_terminal(struct relay *r, int master, struct error **err);

/** relay_resize() - give the pty our terminal's size */
void relay_resize(const struct relay *r);

/**
 * relay_wait() - move bytes until a signal came, or @other is readable
 * @info: filled when a signal came
 *
 * Return: 1 for a signal, 0 for @other, -1 with @err set.
 */
int relay_wait(struct relay *r, int other, struct signalfd_siginfo *info, struct error **err);

/** relay_end() - what the pty still holds is shown, and our terminal is as it was */
void relay_end(struct relay *r);

#endif
