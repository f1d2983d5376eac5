/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream - one end of a stream whose every byte is known: what `make` writes, `check` reads and
 * compares, here or on the other side of a runtime.
 *
 * stream make BYTES [FD]             writes BYTES to FD (1), and says on which byte it failed
 * stream check BYTES [MICROSECONDS]  reads to the end of its input, pausing as long after each MiB
 * stream count                       reads to the end, and says how much came
 *
 * The bytes are a counter that a multiplication has stirred, so that one which is lost, doubled or
 * moved shows in all that follow. Static: it runs in containers.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536u

static uint64_t buf[CHUNK / 8], want[CHUNK / 8];

static void fill(uint64_t *to, uint64_t offset)
{
	for (size_t i = 0; i < CHUNK / 8; i++) {
		uint64_t v = (offset / 8 + i + 1) * 0x9e3779b97f4a7c15u;

		to[i] = v ^ v >> 29;
	}
}

static int make(uint64_t bytes, int fd)
{
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		size_t len = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK, done = 0;

		fill(buf, at);
		while (done < len) {
			ssize_t n = write(fd, (char *)buf + done, len - done);

			if (n < 0) {
				fprintf(stderr, "cannot write after some bytes: %s\n", strerror(errno));
				return 3;
			}
			done += (size_t)n;
		}
	}
	return 0;
}

/* A chunk of the input, whole but for the last. */
static size_t read_chunk(void)
{
	size_t have = 0;
	ssize_t n;

	while (have < CHUNK && (n = read(0, (char *)buf + have, CHUNK - have)) > 0)
		have += (size_t)n;
	return have;
}

static int check(uint64_t bytes, unsigned int pause)
{
	uint64_t at = 0;
	size_t n;

	while ((n = read_chunk())) {
		fill(want, at);
		if (memcmp(buf, want, n)) {
			printf("wrong within 64 KiB of byte %llu\n", (unsigned long long)at);
			return 1;
		}
		at += n;
		if (pause && at % (1u << 20) == 0)
			usleep(pause);
	}
	if (at != bytes) {
		printf("%llu bytes, not %llu\n", (unsigned long long)at, (unsigned long long)bytes);
		return 1;
	}
	printf("%llu bytes are right\n", (unsigned long long)at);
	return 0;
}

static int count(void)
{
	uint64_t at = 0;
	size_t n;

	while ((n = read_chunk()))
		at += n;
	printf("%llu bytes\n", (unsigned long long)at);
	return 0;
}

int main(int argc, char **argv)
{
	const uint64_t bytes = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	const int third = argc > 3 ? atoi(argv[3]) : 0;

	if (argc > 2 && !strcmp(argv[1], "make"))
		return make(bytes, argc > 3 ? third : 1);
	if (argc > 2 && !strcmp(argv[1], "check"))
		return check(bytes, (unsigned int)third);
	if (argc > 1 && !strcmp(argv[1], "count"))
		return count();
	fputs("usage: stream make BYTES [FD] | check BYTES [MICROSECONDS] | count\n", stderr);
	return 2;
}
