/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/last_words.h"

#include <string.h>

#define AGENT_WARNING "krun-gpu-agent: warning: "

static const char *const beginnings[] = { "Kernel panic - not syncing: ", "krun-gpu-agent: " };

/* The first ones count: what follows is about them. */
static void last_words_line(struct last_words *lw)
{
	lw->line[lw->len] = 0;
	lw->len = 0;
	if (*lw->words)
		return;
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++) {
		const char *words = strstr(lw->line, beginnings[i]);

		if (words && strncmp(words, AGENT_WARNING, strlen(AGENT_WARNING)))
			strcpy(lw->words, words);
	}
}

void last_words_scan(struct last_words *lw, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			last_words_line(lw);
		else if (lw->len < sizeof(lw->line) - 1 && text[i] >= ' ' && text[i] <= '~')
			lw->line[lw->len++] = text[i];
	}
}

const char *last_words(const struct last_words *lw)
{
	return *lw->words ? lw->words : NULL;
}
