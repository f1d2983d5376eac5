/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_NAMESPACE_H
#define NET_NAMESPACE_H

struct error;

/** typedef net_namespace_fn - work in another network namespace; 0, or -1 with an error */
typedef int (*net_namespace_fn)(void *data, struct error **err);

/**
 * net_namespace_run() - run @fn in a network namespace
 * @netns: its fd, borrowed
 *
 * On a thread made for it, since a user namespace's root may not come back to the host's network
 * namespace once it has left it. Return: what @fn answered, or -1.
 */
int net_namespace_run(int netns, net_namespace_fn fn, void *data, struct error **err);

#endif
