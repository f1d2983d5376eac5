/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config_case GOOD NUMBER - prints a broken configuration (tests/unit/config_cases.h), made out of the
 * good one in the file GOOD; what is broken about it goes to standard error.
 * config_case GOOD        - prints how many have one value replaced: those before the ones at random
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "tests/unit/config_cases.h"

int main(int argc, char **argv)
{
	cleanup_close int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	cleanup_free char *good = fd < 0 ? NULL : fd_read_file(fd, 1u << 20, NULL);
	cleanup_free char *text = NULL;
	struct config_cases *cases = good ? config_cases_open(good) : NULL;
	char what[1024];
	size_t len;

	if (!cases) {
		fputs("usage: config_case GOOD [NUMBER]\n", stderr);
		return 2;
	}
	if (argc < 3) {
		printf("%llu\n", (unsigned long long)config_cases_count(cases));
	} else {
		text = config_case(cases, strtoull(argv[2], NULL, 10), what, sizeof(what), &len);
		fprintf(stderr, "%s\n", what);
		fwrite(text, 1, len, stdout);
	}
	config_cases_close(cases);
	return 0;
}
