/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_cases.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_tree.h>

#define EDITS_MAX 3
#define MANY 5000

/* What is done to a value, other than to put a text in its place. */
enum edit_kind {
	EDIT_REMOVE,	/* it and its name */
	EDIT_TWICE,	/* it, and then once more */
	EDIT_MANY,	/* an array's element, MANY times */
	EDIT_UNKNOWN,	/* with a member beside it that nobody knows */
	EDIT_LONG,	/* a string of 70,000 characters */
	EDIT_LONG_PATH, /* a path of as many, in short parts */
	EDIT_APPEND,	/* a string with a character more */
	EDIT_CUT,	/* a string without its last character */
	EDIT_CASE,	/* a string in capitals or not */
	EDIT_NEGATIVE,	/* a number below 0 */
	EDIT_DEEP,	/* arrays in arrays */
	EDIT_KINDS
};

static const char *const edit_names[EDIT_KINDS] = {
	"removed", "twice", "many times", "an unknown member beside it", "long", "a long path",
	"appended to", "cut", "in the other case", "negative", "deep",
};

/* What stands in a value's place, as it is written; a C string, so that none holds a NUL byte. */
static const char *const texts[] = {
	"null", "true", "false", "0", "1", "-1", "7", "-0", "1.5", "1e3", "1e-3", "1e400", "-1e400",
	"255", "256", "65535", "65536", "1048577", "2147483647", "2147483648", "-2147483648",
	"4294967294", "4294967295", "4294967296", "9007199254740993", "9223372036854775807",
	"9223372036854775808", "-9223372036854775808", "-9223372036854775809",
	"18446744073709551615", "18446744073709551616",
	"100000000000000000000000000000000000000000", "00", "+1", "0x10", "NaN", "-",
	"\"\"", "\" \"", "\"x\"", "\"/\"", "\"//\"", "\".\"", "\"..\"", "\"../../../../../../etc\"",
	"\"/../..\"", "\"/proc/self/root\"", "\"/proc/self/fd/0\"", "\"/dev/null\"", "\"/dev/kvm\"",
	"\"/no/such/path\"", "\"/etc/passwd\"", "\"relative/path\"", "\"a/../../b\"", "\"/a//b/./c/\"",
	"\"%s%n%99999d\"", "\"\\u001b[31mred\"", "\"two\\nlines\"", "\"nul\\u0000inside\"",
	"\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\xff\xfe\"", "\"\xc3\"", "\"\xf0\x9f\x92\xa9\"", "\"\\q\"",
	"\"unfinished", "\"-1\"", "\"0\"", "\"99999999999999999999\"", "\"max\"", "\"=\"", "\"A=\"",
	"\"=B\"", "\"A=B=C\"", "\",\"", "\"0-99999999\"", "\"a:b:c:d\"", "\"$(id)`id`\"", "\"CAP_ALL\"",
	"[]", "{}", "[[]]", "[null]", "[{}]", "[\"\"]", "[0]", "[-1]", "[\"a\",1]", "{\"\":\"\"}",
	"{\"a\":null}", "{\"a\":{}}", "{\"path\":\"/\"}", "[{\"path\":\"/\"}]", "", "]", "}", "//comment",
};

#define NUM_TEXTS (sizeof(texts) / sizeof(*texts))
#define NUM_EDITS (NUM_TEXTS + EDIT_KINDS)

struct edit {
	uint64_t node;
	unsigned int how; /* of NUM_EDITS */
};

struct config_cases {
	yajl_val tree; /* owned */
	uint64_t nodes;
	/* while a case is written */
	FILE *out;
	uint64_t at;
	struct edit edits[EDITS_MAX];
	size_t num_edits;
	char *what;
	size_t what_size;
};

static void write_value(struct config_cases *c, yajl_val v, const char *path);

static void write_string(FILE *out, const char *s)
{
	putc('"', out);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putc('\\', out);
		putc(*s, out);
	}
	putc('"', out);
}

/* As it was; nothing of it is edited, and the count of values goes on as if it had been looked at. */
static uint64_t count_values(yajl_val v)
{
	uint64_t n = 1;

	for (size_t i = 0; YAJL_IS_OBJECT(v) && i < v->u.object.len; i++)
		n += count_values(v->u.object.values[i]);
	for (size_t i = 0; YAJL_IS_ARRAY(v) && i < v->u.array.len; i++)
		n += count_values(v->u.array.values[i]);
	return n;
}

static void write_long(FILE *out, const char *part)
{
	putc('"', out);
	for (size_t n = 0; n < 70000; n += strlen(part))
		fputs(part, out);
	putc('"', out);
}

/* A string that is nearly itself; what is none becomes one. */
static void write_changed(FILE *out, yajl_val v, enum edit_kind kind)
{
	char text[512];
	size_t len;

	snprintf(text, sizeof(text) - 1, "%s", YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "1");
	len = strlen(text);
	if (kind == EDIT_CUT && len)
		text[len - 1] = 0;
	else if (kind == EDIT_APPEND)
		memcpy(text + len, "x", 2);
	for (char *p = text; kind == EDIT_CASE && *p; p++)
		if ((*p | 32) >= 'a' && (*p | 32) <= 'z')
			*p ^= 32;
	write_string(out, text);
}

static void write_plain(struct config_cases *c, yajl_val v)
{
	const size_t edits = c->num_edits;
	const uint64_t at = c->at;

	c->num_edits = 0;
	write_value(c, v, "");
	c->num_edits = edits;
	c->at = at + count_values(v);
}

/* In the place of a value; what concerns its name or its neighbours is done by write_member(). */
static void write_edited(struct config_cases *c, yajl_val v, unsigned int how)
{
	if (how < NUM_TEXTS) {
		fputs(texts[how], c->out);
		c->at += count_values(v);
		return;
	}
	switch ((enum edit_kind)(how - NUM_TEXTS)) {
	case EDIT_LONG:
		write_long(c->out, "a");
		break;
	case EDIT_LONG_PATH:
		write_long(c->out, "/ab");
		break;
	case EDIT_APPEND:
	case EDIT_CUT:
	case EDIT_CASE:
		write_changed(c->out, v, (enum edit_kind)(how - NUM_TEXTS));
		break;
	case EDIT_NEGATIVE:
		fprintf(c->out, "-%s", YAJL_IS_NUMBER(v) ? YAJL_GET_NUMBER(v) : "12");
		break;
	case EDIT_DEEP:
		for (int i = 0; i < 60; i++)
			putc('[', c->out);
		for (int i = 0; i < 60; i++)
			putc(']', c->out);
		break;
	default:
		write_plain(c, v);
		return;
	}
	c->at += count_values(v);
}

static const struct edit *edit_here(const struct config_cases *c)
{
	for (size_t i = 0; i < c->num_edits; i++)
		if (c->edits[i].node == c->at)
			return &c->edits[i];
	return NULL;
}

static void tell(struct config_cases *c, const char *path, unsigned int how)
{
	const size_t n = strlen(c->what);

	if (n + 1 < c->what_size)
		snprintf(c->what + n, c->what_size - n, "%s%s: %s", n ? "; " : "",
			 *path ? path : "all of it",
			 how < NUM_TEXTS ? texts[how] : edit_names[how - NUM_TEXTS]);
}

/* A member of an object, or with no @key an element of an array, with a comma before it. */
static void write_member(struct config_cases *c, const char *key, yajl_val v, const char *path,
			 bool *first)
{
	const struct edit *e = edit_here(c);
	const unsigned int how = e ? e->how : 0;
	const int kind = e && how >= NUM_TEXTS ? (int)(how - NUM_TEXTS) : -1;
	const uint64_t at = c->at;
	int times = kind == EDIT_TWICE ? 2 : kind == EDIT_MANY && !key ? MANY : 1;

	if (kind == EDIT_REMOVE) {
		tell(c, path, how);
		c->at += count_values(v);
		return;
	}
	for (int i = 0; i < times; i++) {
		if (!*first)
			putc(',', c->out);
		*first = false;
		if (key) {
			write_string(c->out, key);
			putc(':', c->out);
		}
		c->at = at;
		if (i)
			write_plain(c, v);
		else
			write_value(c, v, path);
	}
	if (kind == EDIT_UNKNOWN)
		fprintf(c->out, ",%s{\"unknown\":[1,\"x\",null]}", key ? "\"krun-gpu-unknown\":" : "");
}

static void write_value(struct config_cases *c, yajl_val v, const char *path)
{
	const struct edit *e = edit_here(c);
	bool first = true;
	char below[256];

	if (e) {
		tell(c, path, e->how);
		write_edited(c, v, e->how);
		return;
	}
	c->at++;
	if (YAJL_IS_OBJECT(v)) {
		putc('{', c->out);
		for (size_t i = 0; i < v->u.object.len; i++) {
			snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "",
				 v->u.object.keys[i]);
			write_member(c, v->u.object.keys[i], v->u.object.values[i], below, &first);
		}
		putc('}', c->out);
	} else if (YAJL_IS_ARRAY(v)) {
		putc('[', c->out);
		for (size_t i = 0; i < v->u.array.len; i++) {
			snprintf(below, sizeof(below), "%s[%zu]", path, i);
			write_member(c, NULL, v->u.array.values[i], below, &first);
		}
		putc(']', c->out);
	} else if (YAJL_IS_STRING(v)) {
		write_string(c->out, YAJL_GET_STRING(v));
	} else if (YAJL_IS_NUMBER(v)) {
		fputs(YAJL_GET_NUMBER(v), c->out);
	} else {
		fputs(YAJL_IS_TRUE(v) ? "true" : YAJL_IS_FALSE(v) ? "false" : "null", c->out);
	}
}

/* splitmix64: a sequence from any seed. */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t v = *seed += 0x9e3779b97f4a7c15u;

	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
	v = (v ^ v >> 27) * 0x94d049bb133111ebu;
	return v ^ v >> 31;
}

static void choose_edits(struct config_cases *c, uint64_t number, uint64_t *seed)
{
	c->num_edits = 1;
	if (number < config_cases_count(c)) {
		c->edits[0] = (struct edit){ number / NUM_EDITS, (unsigned int)(number % NUM_EDITS) };
		return;
	}
	c->num_edits = 1 + next_random(seed) % EDITS_MAX;
	for (size_t i = 0; i < c->num_edits; i++)
		c->edits[i] = (struct edit){ next_random(seed) % c->nodes,
					     (unsigned int)(next_random(seed) % NUM_EDITS) };
}

/* One case in eight of those at random: some bytes are others, or the end is missing. */
static void damage(char *text, size_t *len, char *what, size_t size, uint64_t *seed)
{
	const size_t n = strlen(what);

	if (next_random(seed) % 8 || !*len)
		return;
	snprintf(what + n, size - n, "; damaged");
	for (uint64_t i = next_random(seed) % 4; i; i--) {
		const uint64_t at = next_random(seed) % *len;

		text[at] = (char)next_random(seed);
	}
	if (next_random(seed) % 2)
		*len = next_random(seed) % *len;
}

struct config_cases *config_cases_open(const char *text)
{
	struct config_cases *c = calloc(1, sizeof(*c));
	char why[128];

	if (!c)
		return NULL;
	c->tree = yajl_tree_parse(text, why, sizeof(why));
	if (!YAJL_IS_OBJECT(c->tree)) {
		config_cases_close(c);
		return NULL;
	}
	c->nodes = count_values(c->tree);
	return c;
}

uint64_t config_cases_count(const struct config_cases *c)
{
	return c->nodes * NUM_EDITS;
}

char *config_case(struct config_cases *c, uint64_t number, char *what, size_t size, size_t *len)
{
	uint64_t seed = number;
	char *text = NULL;

	*what = 0;
	c->what = what;
	c->what_size = size;
	c->at = 0;
	choose_edits(c, number, &seed);
	c->out = open_memstream(&text, len);
	if (!c->out)
		abort();
	write_value(c, c->tree, "");
	fclose(c->out);
	if (number >= config_cases_count(c))
		damage(text, len, what, size, &seed);
	return text;
}

void config_cases_close(struct config_cases *c)
{
	if (!c)
		return;
	yajl_tree_free(c->tree);
	free(c);
}
