/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/msg.h"

static void *wire_reserve(struct wire_writer *w, size_t len)
{
	void *at;

	if (w->failed || len > MSG_PAYLOAD_MAX || w->len + len > MSG_PAYLOAD_MAX) {
		w->failed = true;
		return NULL;
	}
	if (w->len + len > w->size) {
		size_t size = w->size ? w->size : 256;
		char *grown;

		while (size < w->len + len)
			size *= 2;
		grown = realloc(w->data, size);
		if (!grown) {
			w->failed = true;
			return NULL;
		}
		w->data = grown;
		w->size = size;
	}
	at = w->data + w->len;
	w->len += len;
	return at;
}

static void wire_put_raw(struct wire_writer *w, const void *data, size_t len)
{
	void *at = wire_reserve(w, len);

	if (at && len)
		memcpy(at, data, len);
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
	wire_put_raw(w, &v, sizeof(v));
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
	v = htole32(v);
	wire_put_raw(w, &v, sizeof(v));
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
	v = htole64(v);
	wire_put_raw(w, &v, sizeof(v));
}

void wire_put_bytes(struct wire_writer *w, const void *data, size_t len)
{
	if (len > MSG_PAYLOAD_MAX) {
		w->failed = true;
		return;
	}
	wire_put_u32(w, (uint32_t)len);
	wire_put_raw(w, data, len);
}

void wire_put_str(struct wire_writer *w, const char *s)
{
	wire_put_bytes(w, s ? s : "", s ? strlen(s) : 0);
}

void wire_put_strv(struct wire_writer *w, char *const *v)
{
	uint32_t count = 0;

	while (v && v[count])
		count++;
	wire_put_u32(w, count);
	for (uint32_t i = 0; i < count; i++)
		wire_put_str(w, v[i]);
}

void wire_writer_release(struct wire_writer *w)
{
	free(w->data);
	memset(w, 0, sizeof(*w));
}

static const char *wire_take(struct wire_reader *r, size_t len)
{
	const char *at = r->data + r->pos;

	if (r->failed || len > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	r->pos += len;
	return at;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
	const char *at = wire_take(r, 1);

	return at ? (uint8_t)*at : 0;
}

uint32_t wire_get_u32(struct wire_reader *r)
{
	const char *at = wire_take(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
	const char *at = wire_take(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

const char *wire_get_bytes(struct wire_reader *r, size_t *len)
{
	size_t n = wire_get_u32(r);
	const char *at = wire_take(r, n);

	*len = at ? n : 0;
	return at;
}

char *wire_get_str(struct wire_reader *r)
{
	size_t len;
	const char *at = wire_get_bytes(r, &len);
	char *s;

	if (!at)
		return NULL;
	s = memchr(at, 0, len) ? NULL : malloc(len + 1);
	if (!s) {
		r->failed = true;
		return NULL;
	}
	memcpy(s, at, len);
	s[len] = 0;
	return s;
}

char **wire_get_strv(struct wire_reader *r)
{
	size_t count = wire_get_count(r, sizeof(uint32_t));
	char **v = r->failed ? NULL : calloc(count + 1, sizeof(*v));

	if (!v) {
		r->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		v[i] = wire_get_str(r);
		if (!v[i]) {
			wire_strv_free(v);
			return NULL;
		}
	}
	return v;
}

size_t wire_get_count(struct wire_reader *r, size_t min_size)
{
	size_t count = wire_get_u32(r);

	if (r->failed || count > (r->len - r->pos) / (min_size ? min_size : 1)) {
		r->failed = true;
		return 0;
	}
	return count;
}

bool wire_done(const struct wire_reader *r)
{
	return !r->failed && r->pos == r->len;
}

void wire_strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}
