/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * One log for a process. The command line logs where --log says; the VMM and the workers log
 * through a file descriptor they inherited. A record is written with a single write(), so that
 * several processes can share a file opened with O_APPEND.
 */

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

enum log_format {
	LOG_FORMAT_TEXT, /* "name: message" */
	LOG_FORMAT_JSON, /* runc's: {"level":"error","msg":"…","time":"…"} */
};

/**
 * log_init() - say where this process logs
 * @name:   program name put before text records, borrowed for the life of the process
 * @fd:     borrowed
 * @format: see enum log_format
 * @level:  records above it are dropped
 */
void log_init(const char *name, int fd, enum log_format format, enum log_level level);

/** log_level_parse() - "error", "warning", "info" or "debug"; -1 for anything else */
int log_level_parse(const char *text);

/** log_enabled() - would a record of @level be written? */
bool log_enabled(enum log_level level);

/**
 * log_write() - write one record
 *
 * Control characters and bytes outside UTF-8's plain range are escaped: the text may hold
 * strings that a guest chose.
 */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/** struct log_ratelimit - at most @burst records per 5 s from one place; zero is a valid start */
struct log_ratelimit {
	int64_t window_start; /* ms, CLOCK_MONOTONIC */
	unsigned int count;
};

/** log_ratelimit_ok() - may this place write another record now? (burst: 10 per 5 s) */
bool log_ratelimit_ok(struct log_ratelimit *rl);

/** log_guest_warning() - a warning about what a guest did, rate limited by place */
#define log_guest_warning(...)                                 \
	do {                                                   \
		static struct log_ratelimit log_rl_;           \
		if (log_ratelimit_ok(&log_rl_))                \
			log_write(LOG_LEVEL_WARNING, __VA_ARGS__); \
	} while (0)

#endif
