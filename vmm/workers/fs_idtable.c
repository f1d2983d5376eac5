/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_idtable.h"

#include <stddef.h>
#include <stdlib.h>

static uint64_t fs_id(uint32_t slot, uint32_t generation)
{
	return (uint64_t)generation << 32 | (slot + 1);
}

static struct fs_idtable_slot *fs_idtable_slot(const struct fs_idtable *t, uint64_t id)
{
	const uint32_t index = (uint32_t)id - 1; /* id 0 wraps to a slot that cannot exist */
	struct fs_idtable_slot *slot;

	if (index >= t->used)
		return NULL;
	slot = &t->slots[index];
	return slot->object && slot->generation == (uint32_t)(id >> 32) ? slot : NULL;
}

static int fs_idtable_grow(struct fs_idtable *t)
{
	const uint32_t size = t->size ? t->size * 2 : 64;
	struct fs_idtable_slot *slots;

	if (size <= t->size || size == UINT32_MAX)
		return -1;
	slots = realloc(t->slots, size * sizeof(*slots));
	if (!slots)
		return -1;
	t->slots = slots;
	t->size = size;
	return 0;
}

uint64_t fs_idtable_add(struct fs_idtable *t, void *object)
{
	struct fs_idtable_slot *slot;
	uint32_t index;

	if (t->free) {
		index = t->free - 1;
		slot = &t->slots[index];
		t->free = slot->next_free;
	} else {
		if (t->used == t->size && fs_idtable_grow(t) < 0)
			return 0;
		index = t->used++;
		slot = &t->slots[index];
		slot->generation = 0;
	}
	slot->object = object;
	slot->next_free = 0;
	t->count++;
	return fs_id(index, slot->generation);
}

void *fs_idtable_get(const struct fs_idtable *t, uint64_t id)
{
	const struct fs_idtable_slot *slot = fs_idtable_slot(t, id);

	return slot ? slot->object : NULL;
}

void fs_idtable_remove(struct fs_idtable *t, uint64_t id)
{
	struct fs_idtable_slot *slot = fs_idtable_slot(t, id);

	if (!slot)
		return;
	slot->object = NULL;
	slot->generation++;
	slot->next_free = t->free;
	t->free = (uint32_t)id;
	t->count--;
}

void *fs_idtable_next(const struct fs_idtable *t, uint32_t *cursor)
{
	while (*cursor < t->used) {
		void *object = t->slots[(*cursor)++].object;

		if (object)
			return object;
	}
	return NULL;
}

void fs_idtable_release(struct fs_idtable *t)
{
	free(t->slots);
	*t = (struct fs_idtable){ 0 };
}
