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

/**
 * net_namespace_open() - the network namespace that a configuration names by a path
 * @netns: out: its fd; -1: it is this thread's own, the host's, to which engines give a path, too
 *         (docker --network host), and which is never to be taken for a container's
 */
int net_namespace_open(const char *path, int *netns, struct error **err);

#endif
