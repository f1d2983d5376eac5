/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef GUEST_AGENT_AGENT_COPY_H
#define GUEST_AGENT_AGENT_COPY_H

struct error;

/**
 * copy_tree() - copy what is in one directory into another (`tmpcopyup`)
 * @from: directory fd; @to: directory fd, readable
 *
 * Contents, owners, modes, extended attributes and symbolic links are kept; hard links become
 * files of their own, and other file systems mounted below @from are not entered. The directory
 * itself takes @from's owner and mode.
 */
int copy_tree(int from, int to, struct error **err);

#endif
