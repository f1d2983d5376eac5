/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_LAST_WORDS_H
#define VMM_LAST_WORDS_H

#include <stddef.h>

#define LAST_WORDS_MAX 160u

/** struct last_words - what a guest's console said of why it is about to end */
struct last_words {
	char line[LAST_WORDS_MAX]; /* the one that is not complete yet; cut at the array's end */
	size_t len;
	char words[LAST_WORDS_MAX];
};

/**
 * last_words_scan() - look through what a guest prints
 *
 * Kept is the first line with "Kernel panic - not syncing: " or "krun-gpu-agent: " in it (and that is
 * no warning), from there on, of printable ASCII characters. It is the guest's word: anything that
 * runs there may have written it.
 */
void last_words_scan(struct last_words *lw, const char *text, size_t len);

/** last_words() - NULL when there were none */
const char *last_words(const struct last_words *lw);

#endif
