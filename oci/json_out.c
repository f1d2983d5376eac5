/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/json_out.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void json_out_check(struct json_out *out, yajl_gen_status status)
{
	/* generation_complete comes after a whole root value of a stream of them */
	if (status != yajl_gen_status_ok)
		out->failed = true;
}

void json_out_begin(struct json_out *out, bool pretty)
{
	out->gen = yajl_gen_alloc(NULL);
	out->failed = !out->gen;
	if (out->gen)
		yajl_gen_config(out->gen, yajl_gen_beautify, pretty);
	if (out->gen)
		yajl_gen_config(out->gen, yajl_gen_indent_string, "  ");
}

/* How many bytes of UTF-8 begin here; 0 when they are not UTF-8 (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
	uint32_t code = *s;
	size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;

	if (n > 1)
		code &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
	    (n == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	return n;
}

static char *utf8_clean(const char *text)
{
	char *clean = malloc(3 * strlen(text) + 1), *p = clean;

	while (clean && *text) {
		size_t n = utf8_length((const unsigned char *)text);

		memcpy(p, n ? text : "\xef\xbf\xbd", n ? n : 3);
		p += n ? n : 3;
		text += n ? n : 1;
	}
	if (clean)
		*p = 0;
	return clean;
}

static void json_out_text(struct json_out *out, const char *text)
{
	cleanup_free char *clean = utf8_clean(text);

	if (!clean || out->failed)
		out->failed = true;
	else
		json_out_check(out, yajl_gen_string(out->gen, (const unsigned char *)clean,
						    strlen(clean)));
}

static bool json_out_key(struct json_out *out, const char *key)
{
	if (key)
		json_out_text(out, key);
	return !out->failed;
}

void json_out_open(struct json_out *out, const char *key)
{
	if (json_out_key(out, key))
		json_out_check(out, yajl_gen_map_open(out->gen));
}

void json_out_close(struct json_out *out)
{
	if (!out->failed)
		json_out_check(out, yajl_gen_map_close(out->gen));
}

void json_out_open_list(struct json_out *out, const char *key)
{
	if (json_out_key(out, key))
		json_out_check(out, yajl_gen_array_open(out->gen));
}

void json_out_close_list(struct json_out *out)
{
	if (!out->failed)
		json_out_check(out, yajl_gen_array_close(out->gen));
}

void json_out_string(struct json_out *out, const char *key, const char *value)
{
	if (json_out_key(out, key))
		json_out_text(out, value ? value : "");
}

void json_out_int(struct json_out *out, const char *key, long long value)
{
	if (json_out_key(out, key))
		json_out_check(out, yajl_gen_integer(out->gen, value));
}

void json_out_uint(struct json_out *out, const char *key, unsigned long long value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%llu", value);

	if (json_out_key(out, key))
		json_out_check(out, yajl_gen_number(out->gen, text, (size_t)len));
}

void json_out_bool(struct json_out *out, const char *key, bool value)
{
	if (json_out_key(out, key))
		json_out_check(out, yajl_gen_bool(out->gen, value));
}

void json_out_strings(struct json_out *out, const char *key, const char *const *values)
{
	json_out_open_list(out, key);
	for (; *values; values++)
		json_out_string(out, NULL, *values);
	json_out_close_list(out);
}

char *json_out_end(struct json_out *out)
{
	const unsigned char *buf = NULL;
	char *text = NULL;
	size_t len = 0;

	if (!out->failed && yajl_gen_get_buf(out->gen, &buf, &len) == yajl_gen_status_ok)
		text = strndup((const char *)buf, len);
	if (out->gen)
		yajl_gen_free(out->gen);
	out->gen = NULL;
	return text;
}
