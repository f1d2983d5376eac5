/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_ARENA_H
#define OCI_ARENA_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Memory that is released all at once. What a configuration is turned into lives exactly as long
 * as the configuration, so that no member of it needs an owner of its own.
 */

/** struct arena - zero to begin */
struct arena {
	struct arena_block *blocks; /* owned; the newest first */
};

/** arena_alloc() - zeroed room for @count elements of @size bytes; NULL when memory is out */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/** arena_strdup() - a copy of @s; NULL when memory is out */
char *arena_strdup(struct arena *a, const char *s);

/** arena_printf() - NULL when memory is out */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void arena_release(struct arena *a);

#define cleanup_arena __attribute__((cleanup(arena_release)))

#endif
