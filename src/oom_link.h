/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OOM_LINK_H
#define OOM_LINK_H

#include <stddef.h>

struct container;

/* What conmon's file is called, in the bundle. */
#define OOM_LINK "oom"

/** oom_mark_path() - where the VMM marks that memory was too little; 0, or -1 when @size is too small */
int oom_mark_path(const struct container *c, char *path, size_t size);

/** oom_link_remove() - remove the link in the bundle, if it is this container's */
void oom_link_remove(const struct container *c);

#endif
