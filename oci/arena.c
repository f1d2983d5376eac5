/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define ARENA_BLOCK 16384u

struct arena_block {
	struct arena_block *next; /* owned */
	size_t used, size;
	alignas(max_align_t) char data[];
};

static struct arena_block *arena_grow(struct arena *a, size_t len)
{
	size_t size = len > ARENA_BLOCK ? len : ARENA_BLOCK;
	struct arena_block *b = calloc(1, sizeof(*b) + size);

	if (!b)
		return NULL;
	b->size = size;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_block *b = a->blocks;
	size_t len;
	void *p;

	if (__builtin_mul_overflow(count ? count : 1, size, &len) || len > SIZE_MAX / 2)
		return NULL;
	len = (len + align - 1) / align * align;
	if (!b || b->size - b->used < len)
		b = arena_grow(a, len);
	if (!b)
		return NULL;
	p = b->data + b->used;
	b->used += len;
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = arena_alloc(a, len, 1);

	return copy ? memcpy(copy, s, len) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return arena_strdup(a, text);
}

void arena_release(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
}
