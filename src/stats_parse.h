/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STATS_PARSE_H
#define STATS_PARSE_H

/* The host kernel's texts, to figures. */

#include <stdint.h>

#include "stats.h"

/** stats_add_limits() - of two limits together; UINT64_MAX is none */
uint64_t stats_add_limits(uint64_t a, uint64_t b);

/** stats_parse_devices() - the text of cgroup v2's io.stat to @s->devices */
void stats_parse_devices(const char *text, struct stats *s);

/** stats_parse_interfaces() - the text of /proc/PID/net/dev to @s->interfaces */
void stats_parse_interfaces(const char *text, struct stats *s);

#endif
