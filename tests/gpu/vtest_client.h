/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_VTEST_CLIENT_H
#define TESTS_GPU_VTEST_CLIENT_H

struct vtest_front;

/**
 * vtest_client_serve() - one application's connection, until it ends
 * @sock: the client's from now on
 *
 * A connection is one context of the worker's, as an open render node is in a guest. Everything the
 * application made is gone from the worker when this returns.
 */
void vtest_client_serve(struct vtest_front *fe, int sock);

#endif
