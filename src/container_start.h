/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_START_H
#define CONTAINER_START_H

#include <stdbool.h>

struct app;
struct error;

/** container_start() - execute the process of a created container; 0 or -1 */
int container_start(const struct app *app, const char *id, struct error **err);

/**
 * container_delete() - remove a container that has stopped
 * @force: also one that runs, and one that does not exist is no error
 */
int container_delete(const struct app *app, const char *id, bool force, struct error **err);

#endif
