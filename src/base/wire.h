/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Flat encoding of message payloads: little-endian integers; strings and blobs as a 32-bit length
 * and the bytes; lists as a 32-bit count and the elements. Errors are sticky: encode or decode a
 * whole message, then look once.
 */

/** struct wire_writer - growing output; zero to begin */
struct wire_writer {
	char *data; /* owned */
	size_t len;
	size_t size;
	bool failed; /* out of memory, or over MSG_PAYLOAD_MAX */
};

void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *data, size_t len);
/** wire_put_str() - NULL is written as the empty string */
void wire_put_str(struct wire_writer *w, const char *s);
/** wire_put_strv() - a NULL-terminated array; NULL is the empty list */
void wire_put_strv(struct wire_writer *w, char *const *v);
void wire_writer_release(struct wire_writer *w);

/** struct wire_reader - input, borrowed, and where we are in it */
struct wire_reader {
	const char *data;
	size_t len;
	size_t pos;
	bool failed; /* ran past the end, a string with a NUL inside, or out of memory */
};

#define WIRE_READER(d, l) ((struct wire_reader){ .data = (d), .len = (l) })

/* All of these answer 0 or NULL once the reader has failed. */
uint8_t wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
/** wire_get_bytes() - borrowed from the input; *len is set to 0 on failure */
const char *wire_get_bytes(struct wire_reader *r, size_t *len);
/** wire_get_str() - malloc'ed, the caller's */
char *wire_get_str(struct wire_reader *r);
/** wire_get_strv() - malloc'ed, NULL-terminated, never NULL unless failed; free with wire_strv_free() */
char **wire_get_strv(struct wire_reader *r);
/**
 * wire_get_count() - the length of a list whose elements take at least @min_size bytes each
 *
 * Fails on counts that the rest of the input cannot hold, so that it is safe to allocate by.
 */
size_t wire_get_count(struct wire_reader *r, size_t min_size);
/** wire_done() - everything was read and nothing failed */
bool wire_done(const struct wire_reader *r);
void wire_strv_free(char **v);

#define cleanup_wire __attribute__((cleanup(wire_writer_release)))

#endif
