/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SIGNALS_H
#define SIGNALS_H

/** signal_parse() - "KILL", "SIGKILL", "sigkill", "RTMIN+3" or a number to a signal; -1: none */
int signal_parse(const char *text);

#endif
