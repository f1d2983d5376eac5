/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <stdint.h>

/**
 * number_after() - a number out of the text of a cgroup's file
 * @key: the word before it at the beginning of a line ("oom_kill 3"); NULL: the text begins with it
 *
 * Return: the number, or @otherwise where there is none ("max", another text, one too large).
 */
uint64_t number_after(const char *text, const char *key, uint64_t otherwise);

#endif
