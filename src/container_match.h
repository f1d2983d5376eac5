/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_MATCH_H
#define CONTAINER_MATCH_H

struct app;
struct error;

/** typedef container_match_fn - what to do with a container; 0, or -1 with an error */
typedef int (*container_match_fn)(const struct app *app, const char *id, void *data,
				  struct error **err);

/**
 * container_match() - call @fn for every container whose id an extended regular expression matches
 *
 * Goes on after a failure, and reports the first one; none that matches is no error. Return: 0 or -1.
 */
int container_match(const struct app *app, const char *regex, container_match_fn fn, void *data,
		    struct error **err);

#endif
