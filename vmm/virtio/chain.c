/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a descriptor chain. virtqueue_pop_chain() has checked every iovec and fixed its
 * address and length in our memory: from here on the guest can change the bytes, not their place.
 */
#include <errno.h>
#include <string.h>

#include "vmm/virtio/virtqueue.h"

static size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t chain_readable(const struct virtq_chain *chain)
{
	return chain->readable_len - chain->read_pos;
}

size_t chain_writable(const struct virtq_chain *chain)
{
	return chain->writable_len - chain->write_pos;
}

/* Move a cursor on by @len bytes, which are known to be there. */
static void cursor_advance(const struct virtq_chain *chain, struct chain_cursor *c, size_t len)
{
	while (len) {
		const size_t step = size_min(len, chain->iov[c->iov].iov_len - c->offset);

		len -= step;
		c->offset += step;
		if (c->offset == chain->iov[c->iov].iov_len) {
			c->iov++;
			c->offset = 0;
		}
	}
}

/* The contiguous bytes at a cursor, at most @len. */
static uint8_t *cursor_span(const struct virtq_chain *chain, const struct chain_cursor *c,
			    size_t len, size_t *span)
{
	const struct iovec *v = &chain->iov[c->iov];

	*span = size_min(len, v->iov_len - c->offset);
	return (uint8_t *)v->iov_base + c->offset;
}

size_t chain_read(struct virtq_chain *chain, void *buf, size_t len)
{
	const size_t total = size_min(len, chain_readable(chain));
	uint8_t *to = buf;

	for (size_t left = total; left;) {
		size_t n;
		const uint8_t *from = cursor_span(chain, &chain->read_cursor, left, &n);

		memcpy(to, from, n);
		to += n;
		left -= n;
		cursor_advance(chain, &chain->read_cursor, n);
	}
	chain->read_pos += total;
	return total;
}

size_t chain_write(struct virtq_chain *chain, const void *buf, size_t len)
{
	const size_t total = size_min(len, chain_writable(chain));
	const uint8_t *from = buf;

	for (size_t left = total; left;) {
		size_t n;
		uint8_t *to = cursor_span(chain, &chain->write_cursor, left, &n);

		memcpy(to, from, n);
		from += n;
		left -= n;
		cursor_advance(chain, &chain->write_cursor, n);
	}
	chain->write_pos += total;
	return total;
}

size_t chain_skip_write(struct virtq_chain *chain, size_t len)
{
	len = size_min(len, chain_writable(chain));
	cursor_advance(chain, &chain->write_cursor, len);
	chain->write_pos += len;
	return len;
}

void chain_rewind_write(struct virtq_chain *chain)
{
	chain->write_pos = 0;
	chain->write_cursor = (struct chain_cursor){ .iov = chain->num_readable };
}

typedef ssize_t (*iov_fn)(int fd, const struct iovec *iov, int count, off_t offset, int flags);

/*
 * Run preadv2() or pwritev2() on @len bytes (known to be there) from a cursor on. The first and
 * the last iovec are trimmed for the call and put back after it.
 */
static ssize_t cursor_transfer(struct virtq_chain *chain, const struct chain_cursor *c, iov_fn fn,
			       int fd, off_t offset, size_t len, int flags)
{
	struct iovec *first = &chain->iov[c->iov], *last = first;
	const struct iovec first_saved = *first;
	struct iovec last_saved;
	ssize_t n;

	first->iov_base = (uint8_t *)first->iov_base + c->offset;
	first->iov_len -= c->offset;
	while (len > last->iov_len)
		len -= last++->iov_len;
	last_saved = *last;
	last->iov_len = len;
	do
		n = fn(fd, first, (int)(last - first) + 1, offset, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	*last = last_saved;
	*first = first_saved;
	return n;
}

ssize_t chain_read_to_fd(struct virtq_chain *chain, int fd, off_t offset, size_t len, int flags)
{
	ssize_t n;

	len = size_min(len, chain_readable(chain));
	if (!len)
		return 0;
	n = cursor_transfer(chain, &chain->read_cursor, pwritev2, fd, offset, len, flags);
	if (n > 0) {
		cursor_advance(chain, &chain->read_cursor, (size_t)n);
		chain->read_pos += (size_t)n;
	}
	return n;
}

ssize_t chain_write_from_fd(struct virtq_chain *chain, int fd, off_t offset, size_t len, int flags)
{
	ssize_t n;

	len = size_min(len, chain_writable(chain));
	if (!len)
		return 0;
	n = cursor_transfer(chain, &chain->write_cursor, preadv2, fd, offset, len, flags);
	if (n > 0) {
		cursor_advance(chain, &chain->write_cursor, (size_t)n);
		chain->write_pos += (size_t)n;
	}
	return n;
}

/* The iovecs from a cursor to @end, the first of them trimmed. */
static int cursor_iov(const struct virtq_chain *chain, const struct chain_cursor *c, size_t end,
		      struct iovec *iov, size_t max)
{
	const size_t count = end - c->iov;

	if (count > max)
		return -E2BIG;
	memcpy(iov, &chain->iov[c->iov], count * sizeof(*iov));
	if (count) {
		iov->iov_base = (uint8_t *)iov->iov_base + c->offset;
		iov->iov_len -= c->offset;
	}
	return (int)count;
}

int chain_read_iov(const struct virtq_chain *chain, struct iovec *iov, size_t max)
{
	return cursor_iov(chain, &chain->read_cursor, chain->num_readable, iov, max);
}

int chain_write_iov(const struct virtq_chain *chain, struct iovec *iov, size_t max)
{
	return cursor_iov(chain, &chain->write_cursor,
			  (size_t)chain->num_readable + chain->num_writable, iov, max);
}
