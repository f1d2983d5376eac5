/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Behind @key and a space at the beginning of a line; NULL when no line has it. */
static const char *behind(const char *text, const char *key)
{
	const size_t len = strlen(key);

	while (text) {
		if (!strncmp(text, key, len) && text[len] == ' ')
			return text + len + 1;
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return NULL;
}

uint64_t number_after(const char *text, const char *key, uint64_t otherwise)
{
	const char *at = key ? behind(text, key) : text;
	char *end;
	uint64_t n;

	if (!at || *at < '0' || *at > '9')
		return otherwise;
	errno = 0;
	n = strtoull(at, &end, 10);
	return errno || (*end && *end != '\n' && *end != ' ') ? otherwise : n;
}
