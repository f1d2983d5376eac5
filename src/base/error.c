/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* What is reported when not even the report can be allocated. */
static struct error error_oom = { ENOMEM, (char *)"out of memory" };

static int error_put(struct error **err, int code, char *msg)
{
	struct error *e;

	error_free(err);
	e = msg ? malloc(sizeof(*e)) : NULL;
	if (!e) {
		free(msg);
		*err = &error_oom;
		return -1;
	}
	e->code = code;
	e->msg = msg;
	*err = e;
	return -1;
}

int error_set(struct error **err, int code, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	char *msg = NULL;
	va_list ap;
	int n;

	if (!err)
		return -1;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return error_put(err, ENOMEM, NULL);
	}
	if (!code)
		return error_put(err, 0, steal_ptr(text));
	if (asprintf(&msg, "%s: %s", text, strerror(code)) < 0)
		msg = NULL;
	return error_put(err, code, msg);
}

int error_wrap(struct error **err, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	char *msg = NULL;
	va_list ap;
	int n;

	if (!err || !*err)
		return -1;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -1;
	}
	if (asprintf(&msg, "%s: %s", text, (*err)->msg) < 0)
		return -1;
	return error_put(err, (*err)->code, msg);
}

void error_free(struct error **err)
{
	if (!err || !*err)
		return;
	if (*err != &error_oom) {
		free((*err)->msg);
		free(*err);
	}
	*err = NULL;
}

const char *error_msg(const struct error *err)
{
	return err && err->msg ? err->msg : "unknown error";
}

int error_move(struct error **to, struct error **from)
{
	if (!to) {
		error_free(from);
		return -1;
	}
	error_free(to);
	*to = *from;
	*from = NULL;
	return -1;
}
