/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_IDTABLE_H
#define VMM_WORKERS_FS_IDTABLE_H

/*
 * Numbers for objects that a guest names: FUSE node ids and file handles. A number holds a slot
 * and the slot's generation, so that one that was given back names nothing, also when its slot
 * is in use again. The first number of an empty table is 1. Callers hold a lock of their own.
 */

#include <stdint.h>

struct fs_idtable_slot {
	void *object; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* slot + 1; 0: none */
};

/** struct fs_idtable - zero to begin */
struct fs_idtable {
	struct fs_idtable_slot *slots; /* owned */
	uint32_t size;
	uint32_t used; /* slots below it have been in use */
	uint32_t free; /* slot + 1 of the first free one; 0: none */
	uint32_t count;
};

/** fs_idtable_add() - the object's number, or 0 when out of memory */
uint64_t fs_idtable_add(struct fs_idtable *t, void *object);

/** fs_idtable_get() - the object of that number, NULL when there is none */
void *fs_idtable_get(const struct fs_idtable *t, uint64_t id);

/** fs_idtable_remove() - the number names nothing from now on */
void fs_idtable_remove(struct fs_idtable *t, uint64_t id);

/** fs_idtable_next() - walk: the first object in slot *@cursor or later, NULL at the end */
void *fs_idtable_next(const struct fs_idtable *t, uint32_t *cursor);

void fs_idtable_release(struct fs_idtable *t);

#endif
