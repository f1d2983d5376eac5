/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_CONFIG_CASES_H
#define TESTS_UNIT_CONFIG_CASES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Broken configurations, by number. A good one that has every field is taken apart, and put together
 * again with one of its values replaced: by a value of another type, a size or an absurdity. There is a
 * case for each value and each replacement; the numbers after those are cases made at random out of
 * their own number, with several values replaced and, now and then, bytes of the text damaged. The
 * same number always gives the same text.
 */

/** struct config_cases - a good configuration, taken apart */
struct config_cases;

/** config_cases_open() - from the text of a good one; NULL when it is none */
struct config_cases *config_cases_open(const char *text);

/** config_cases_count() - how many cases replace one value each: those below are not at random */
uint64_t config_cases_count(const struct config_cases *c);

/**
 * config_case() - the text of a case
 * @number: any
 * @what: of @size bytes: which values were replaced and by what, for people
 * @len: what it is long, as it may hold NUL bytes
 *
 * Return: for free(); never NULL.
 */
char *config_case(struct config_cases *c, uint64_t number, char *what, size_t size, size_t *len);

/** config_cases_close() - releases it; NULL is nothing */
void config_cases_close(struct config_cases *c);

#endif
