/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_JSON_OUT_H
#define OCI_JSON_OUT_H

#include <stdbool.h>

#include <yajl/yajl_gen.h>

/*
 * Writing JSON. Every value takes its key first, NULL inside a list and for the root. Errors are
 * sticky: json_out_end() answers NULL.
 */

struct json_out {
	yajl_gen gen; /* owned */
	bool failed;
};

/** json_out_begin() - @pretty: over several lines, ending in a newline */
void json_out_begin(struct json_out *out, bool pretty);
void json_out_open(struct json_out *out, const char *key);
void json_out_close(struct json_out *out);
void json_out_open_list(struct json_out *out, const char *key);
void json_out_close_list(struct json_out *out);
/** json_out_string() - bytes that are not UTF-8 are written as U+FFFD */
void json_out_string(struct json_out *out, const char *key, const char *value);
void json_out_int(struct json_out *out, const char *key, long long value);
void json_out_uint(struct json_out *out, const char *key, unsigned long long value);
void json_out_bool(struct json_out *out, const char *key, bool value);
/** json_out_strings() - a list of the NULL-terminated @values */
void json_out_strings(struct json_out *out, const char *key, const char *const *values);
/** json_out_end() - the text, malloc'ed, NULL when anything failed; releases @out */
char *json_out_end(struct json_out *out);

#endif
