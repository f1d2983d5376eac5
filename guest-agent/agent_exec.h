/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_EXEC_H
#define GUEST_AGENT_AGENT_EXEC_H

struct agent_process;
struct error;

/**
 * exec_find() - the file that args[0] stands for, in the caller's root and with its rights
 *
 * Without a '/' it is looked up in the PATH of the process's environment. The texts of the errors
 * are those that container engines take exit codes 126 and 127 from.
 *
 * Return: malloc'ed path, or NULL.
 */
char *exec_find(const struct agent_process *p, struct error **err);

#endif
