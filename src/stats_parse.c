/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stats_parse.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net_redirect.h"

uint64_t stats_add_limits(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return a == UINT64_MAX || __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static const char *next_line(const char *at)
{
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

/* The number behind " KEY=" on the line at @at; 0 when it is not there. */
static uint64_t value_of(const char *at, const char *key)
{
	const char *end = at + strcspn(at, "\n");
	const size_t len = strlen(key);

	for (at = memchr(at, ' ', (size_t)(end - at)); at;
	     at = memchr(at + 1, ' ', (size_t)(end - at - 1)))
		if (!strncmp(at + 1, key, len) && at[1 + len] == '=')
			return strtoull(at + 1 + len + 1, NULL, 10);
	return 0;
}

/* "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0" */
void stats_parse_devices(const char *text, struct stats *s)
{
	for (; *text && s->num_devices < STATS_DEVICES_MAX; text = next_line(text)) {
		struct stats_device d = { 0 };

		if (sscanf(text, "%" SCNu64 ":%" SCNu64 " ", &d.major, &d.minor) != 2)
			continue;
		d.read_bytes = value_of(text, "rbytes");
		d.write_bytes = value_of(text, "wbytes");
		d.reads = value_of(text, "rios");
		d.writes = value_of(text, "wios");
		s->devices[s->num_devices++] = d;
	}
}

static bool is_the_containers(const char *name)
{
	return strcmp(name, "lo") && !net_tap_is_ours(name);
}

/* "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16": eight of what came, eight of what went */
void stats_parse_interfaces(const char *text, struct stats *s)
{
	for (; *text && s->num_interfaces < STATS_INTERFACES_MAX; text = next_line(text)) {
		struct stats_interface i = { .name = "" };

		if (sscanf(text, " %15[^:\n]:%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64
			   "%*u%*u%*u%*u%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64, i.name,
			   &i.rx_bytes, &i.rx_packets, &i.rx_errors, &i.rx_dropped, &i.tx_bytes,
			   &i.tx_packets, &i.tx_errors, &i.tx_dropped) == 9 &&
		    is_the_containers(i.name))
			s->interfaces[s->num_interfaces++] = i;
	}
}
