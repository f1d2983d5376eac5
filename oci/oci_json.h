/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_JSON_H
#define OCI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yajl/yajl_tree.h>

struct arena;
struct error;

/*
 * Reading JSON with strict types. A value knows where it stands, so that every complaint names
 * the field: "process.args[2]: expected a string". An absent member and null are the same.
 *
 * The readers of members answer 0, with *out untouched when the member is absent, or -1.
 */

/** struct json - a value and the way to it; borrowed from the tree and from its parents */
struct json {
	yajl_val value;
	const struct json *parent; /* NULL: the root */
	const char *key;	   /* member of parent, or NULL: */
	size_t index;		   /* element of parent */
};

/**
 * json_parse() - text to tree
 * @text: NUL-terminated
 * @what: the file's name, for the error
 *
 * Refuses nesting deeper than 64, which no configuration needs and the tree's release would
 * recurse over. Return: a tree for yajl_tree_free(), NULL with @err set.
 */
yajl_val json_parse(const char *text, const char *what, struct error **err);

/** json_file() - json_parse() of the file @name below @dirfd, of at most 8 MiB */
yajl_val json_file(int dirfd, const char *name, struct error **err);

/** json_fd() - the same of an open file; -1 with errno set is one that could not be opened */
yajl_val json_fd(int fd, const char *name, struct error **err);

/** json_error() - set an error that begins with the value's path; answers -1 */
int json_error(const struct json *at, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** json_member_error() - the same for the member @key of @obj, there or not */
int json_member_error(const struct json *obj, const char *key, struct error **err, const char *fmt,
		      ...) __attribute__((format(printf, 4, 5)));

/** json_has() - is member @key there, and not null? */
bool json_has(const struct json *obj, const char *key);

/** json_object() - member @key as an object: 1 when there, 0 when absent, -1 on a wrong type */
int json_object(const struct json *obj, const char *key, struct json *out, struct error **err);

/** json_array() - as json_object(), for an array; json_len() elements for json_at() */
int json_array(const struct json *obj, const char *key, struct json *out, struct error **err);
size_t json_len(const struct json *array);
struct json json_at(const struct json *array, size_t i);

/** json_expect_object() - is this value itself an object? 0 or -1 */
int json_expect_object(const struct json *at, struct error **err);

int json_string(const struct json *obj, const char *key, struct arena *a, char **out,
		struct error **err);
/** json_text() - this value itself as a string, borrowed; NULL with @err set */
const char *json_text(const struct json *at, struct error **err);
/** json_strv() - NULL-terminated array of strings */
int json_strv(const struct json *obj, const char *key, struct arena *a, char ***out,
	      struct error **err);
int json_bool(const struct json *obj, const char *key, bool *out, struct error **err);
int json_u32(const struct json *obj, const char *key, uint32_t *out, struct error **err);
int json_u64(const struct json *obj, const char *key, uint64_t *out, struct error **err);
int json_i64(const struct json *obj, const char *key, int64_t *out, struct error **err);

static inline void cleanup_yajl_fn(yajl_val *v)
{
	yajl_tree_free(*v);
}

#define cleanup_yajl __attribute__((cleanup(cleanup_yajl_fn)))

#endif
