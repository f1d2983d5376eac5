/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "oci/oci_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/arena.h"

#define JSON_DEPTH_MAX 64
#define JSON_FILE_MAX (8u << 20)
#define JSON_PATH_MAX 512

/*
 * What the parser lets through and we do not, looked for before it builds anything: deep nesting,
 * and NUL in a string, which would end it early. NULL, or the reason.
 */
static const char *json_refuse(const char *text)
{
	bool in_string = false;
	unsigned int depth = 0;

	for (; *text; text++) {
		if (in_string) {
			if (!strncmp(text, "\\u0000", 6))
				return "a string holds a NUL character";
			if (*text == '\\' && text[1])
				text++;
			else if (*text == '"')
				in_string = false;
		} else if (*text == '"') {
			in_string = true;
		} else if (*text == '{' || *text == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return "it is nested too deep";
		} else if ((*text == '}' || *text == ']') && depth) {
			depth--;
		}
	}
	return NULL;
}

/* The parser's complaint spans lines (message, excerpt, pointer): its first line is enough. */
static void json_first_line(char *text)
{
	text[strcspn(text, "\n")] = 0;
	while (*text && strchr(" :.", text[strlen(text) - 1]))
		text[strlen(text) - 1] = 0;
}

yajl_val json_parse(const char *text, const char *what, struct error **err)
{
	const char *refused = json_refuse(text);
	char why[256] = "";
	yajl_val tree;

	if (refused) {
		error_set(err, 0, "%s is not acceptable: %s", what, refused);
		return NULL;
	}
	tree = yajl_tree_parse(text, why, sizeof(why));
	if (tree && YAJL_IS_OBJECT(tree))
		return tree;
	if (tree) {
		yajl_tree_free(tree);
		error_set(err, 0, "%s: expected an object", what);
		return NULL;
	}
	json_first_line(why);
	error_set(err, 0, "%s is not valid JSON: %s", what, *why ? why : "it ends too early");
	return NULL;
}

yajl_val json_fd(int fd, const char *name, struct error **err)
{
	cleanup_free char *text = NULL;
	size_t len;

	if (fd >= 0)
		text = fd_read_file(fd, JSON_FILE_MAX, &len);
	if (!text) {
		error_set(err, errno, "cannot read %s", name);
		return NULL;
	}
	if (strlen(text) != len) {
		error_set(err, 0, "%s is not valid JSON: it holds a NUL byte", name);
		return NULL;
	}
	return json_parse(text, name, err);
}

yajl_val json_file(int dirfd, const char *name, struct error **err)
{
	cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return json_fd(fd, name, err);
}

static void json_path_add(char *path, const char *key, size_t index)
{
	size_t n = strlen(path);

	if (key)
		snprintf(path + n, JSON_PATH_MAX - n, "%s%s", n ? "." : "", key);
	else
		snprintf(path + n, JSON_PATH_MAX - n, "[%zu]", index);
}

static void json_path(const struct json *at, char *path)
{
	if (!at->parent) {
		*path = 0;
		return;
	}
	json_path(at->parent, path);
	json_path_add(path, at->key, at->index);
}

static int json_verror(const struct json *at, const char *key, struct error **err, const char *fmt,
		       va_list ap) __attribute__((format(printf, 4, 0)));

static int json_verror(const struct json *at, const char *key, struct error **err, const char *fmt,
		       va_list ap)
{
	cleanup_free char *text = NULL;
	char path[JSON_PATH_MAX];

	json_path(at, path);
	if (key)
		json_path_add(path, key, 0);
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return error_set(err, ENOMEM, "%s", path);
	}
	return error_set(err, 0, "%s: %s", *path ? path : "configuration", text);
}

int json_error(const struct json *at, struct error **err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_verror(at, NULL, err, fmt, ap);
	va_end(ap);
	return -1;
}

int json_member_error(const struct json *obj, const char *key, struct error **err, const char *fmt,
		      ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_verror(obj, key, err, fmt, ap);
	va_end(ap);
	return -1;
}

static struct json json_member(const struct json *obj, const char *key)
{
	const char *path[] = { key, NULL };
	yajl_val v = yajl_tree_get(obj->value, path, yajl_t_any);

	return (struct json){ YAJL_IS_NULL(v) ? NULL : v, obj, key, 0 };
}

bool json_has(const struct json *obj, const char *key)
{
	return json_member(obj, key).value;
}

int json_expect_object(const struct json *at, struct error **err)
{
	return YAJL_IS_OBJECT(at->value) ? 0 : json_error(at, err, "expected an object");
}

int json_object(const struct json *obj, const char *key, struct json *out, struct error **err)
{
	*out = json_member(obj, key);
	if (!out->value)
		return 0;
	return json_expect_object(out, err) ? -1 : 1;
}

int json_array(const struct json *obj, const char *key, struct json *out, struct error **err)
{
	*out = json_member(obj, key);
	if (!out->value)
		return 0;
	return YAJL_IS_ARRAY(out->value) ? 1 : json_error(out, err, "expected an array");
}

size_t json_len(const struct json *array)
{
	return YAJL_IS_ARRAY(array->value) ? array->value->u.array.len : 0;
}

struct json json_at(const struct json *array, size_t i)
{
	return (struct json){ array->value->u.array.values[i], array, NULL, i };
}

const char *json_text(const struct json *at, struct error **err)
{
	if (!YAJL_IS_STRING(at->value)) {
		json_error(at, err, "expected a string");
		return NULL;
	}
	return YAJL_GET_STRING(at->value);
}

static int json_copy_text(const struct json *at, struct arena *a, char **out, struct error **err)
{
	const char *text = json_text(at, err);

	if (!text)
		return -1;
	*out = arena_strdup(a, text);
	return *out ? 0 : json_error(at, err, "out of memory");
}

int json_string(const struct json *obj, const char *key, struct arena *a, char **out,
		struct error **err)
{
	const struct json v = json_member(obj, key);

	return v.value ? json_copy_text(&v, a, out, err) : 0;
}

int json_strv(const struct json *obj, const char *key, struct arena *a, char ***out,
	      struct error **err)
{
	struct json array;
	char **v;
	int r = json_array(obj, key, &array, err);

	if (r <= 0)
		return r;
	v = arena_alloc(a, json_len(&array) + 1, sizeof(*v));
	if (!v)
		return json_error(&array, err, "out of memory");
	for (size_t i = 0; i < json_len(&array); i++) {
		const struct json item = json_at(&array, i);

		if (json_copy_text(&item, a, &v[i], err) < 0)
			return -1;
	}
	*out = v;
	return 0;
}

int json_bool(const struct json *obj, const char *key, bool *out, struct error **err)
{
	const struct json v = json_member(obj, key);

	if (!v.value)
		return 0;
	if (!YAJL_IS_TRUE(v.value) && !YAJL_IS_FALSE(v.value))
		return json_error(&v, err, "expected true or false");
	*out = YAJL_IS_TRUE(v.value);
	return 0;
}

/* The tree keeps a number's text: 64-bit values above INT64_MAX are only right in it. */
int json_u64(const struct json *obj, const char *key, uint64_t *out, struct error **err)
{
	const struct json v = json_member(obj, key);
	const char *text;
	char *end;

	if (!v.value)
		return 0;
	if (!YAJL_IS_NUMBER(v.value))
		return json_error(&v, err, "expected a number");
	text = YAJL_GET_NUMBER(v.value);
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text == '-' || *end || errno)
		return json_error(&v, err, "expected a whole number from 0 to 2^64-1, not %s", text);
	return 0;
}

int json_u32(const struct json *obj, const char *key, uint32_t *out, struct error **err)
{
	uint64_t v = *out;

	if (json_u64(obj, key, &v, err) < 0)
		return -1;
	if (v > UINT32_MAX)
		return json_member_error(obj, key, err, "expected a number below 2^32");
	*out = (uint32_t)v;
	return 0;
}

int json_i64(const struct json *obj, const char *key, int64_t *out, struct error **err)
{
	const struct json v = json_member(obj, key);

	if (!v.value)
		return 0;
	if (!YAJL_IS_INTEGER(v.value))
		return json_error(&v, err, "expected a whole number");
	*out = YAJL_GET_INTEGER(v.value);
	return 0;
}
