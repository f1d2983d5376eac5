/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_TEXT_MAX 2048

static struct {
	const char *name;
	int fd;
	enum log_format format;
	enum log_level level;
} log_state = { "krun-gpu", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING };

static const char *const log_names[] = { "error", "warning", "info", "debug" };

void log_init(const char *name, int fd, enum log_format format, enum log_level level)
{
	log_state.name = name;
	log_state.fd = fd;
	log_state.format = format;
	log_state.level = level;
	/* The C library reads the time zone's file once, even for UTC; a sandbox has no files. */
	tzset();
}

int log_level_parse(const char *text)
{
	if (!strcmp(text, "warn"))
		return LOG_LEVEL_WARNING;
	for (unsigned int i = 0; i < sizeof(log_names) / sizeof(*log_names); i++)
		if (!strcmp(text, log_names[i]))
			return (int)i;
	return -1;
}

bool log_enabled(enum log_level level)
{
	return level <= log_state.level;
}

/* Escapes @in as the inside of a JSON string; control characters become \u00XX in both formats. */
static size_t log_escape(char *out, size_t size, const char *in, bool json)
{
	size_t n = 0;

	for (; *in && n + 8 < size; in++) {
		unsigned char c = (unsigned char)*in;

		if (json && (c == '"' || c == '\\')) {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = 0;
	return n;
}

static size_t log_render_json(char *out, size_t size, enum log_level level, const char *text)
{
	struct timespec now;
	struct tm tm;
	char when[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	return (size_t)snprintf(out, size, "{\"level\":\"%s\",\"msg\":\"%s\",\"time\":\"%s.%09ldZ\"}\n",
				log_names[level], text, when, now.tv_nsec);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX], safe[2 * LOG_TEXT_MAX], record[2 * LOG_TEXT_MAX + 256];
	bool json = log_state.format == LOG_FORMAT_JSON;
	int saved = errno;
	va_list ap;
	size_t n;

	if (!log_enabled(level) || log_state.fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_escape(safe, sizeof(safe), text, json);
	if (json)
		n = log_render_json(record, sizeof(record), level, safe);
	else
		n = (size_t)snprintf(record, sizeof(record), "%s: %s%s\n", log_state.name,
				     level == LOG_LEVEL_WARNING ? "warning: " : "", safe);
	/* Nobody can be told when the log itself cannot be written. */
	(void)!write(log_state.fd, record, n < sizeof(record) ? n : sizeof(record) - 1);
	errno = saved;
}

bool log_ratelimit_ok(struct log_ratelimit *rl)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (!rl->count || ms - rl->window_start > 5000) {
		rl->window_start = ms;
		rl->count = 0;
	}
	return ++rl->count <= 10;
}
