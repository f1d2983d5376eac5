/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/workers/fs_request.h"

#include <errno.h>
#include <string.h>

#include "vmm/workers/fs_creds.h"

int fs_request_begin(struct fs_request *r)
{
	r->len = r->pos = r->ext_len = r->reply_len = 0;
	if (chain_read(&r->chain, &r->in, sizeof(r->in)) != sizeof(r->in))
		return -EPROTO;
	if (r->in.len != sizeof(r->in) + chain_readable(&r->chain))
		return -EPROTO;
	return 0;
}

size_t fs_request_args_left(const struct fs_request *r)
{
	return chain_readable(&r->chain);
}

int fs_request_read_args(struct fs_request *r, size_t len)
{
	const size_t ext = (size_t)r->in.total_extlen * 8;

	if (len > FS_ARGS_MAX || ext > len || chain_read(&r->chain, r->args, len) != len)
		return -EINVAL;
	r->args[len] = 0;
	r->len = len - ext;
	r->ext_len = ext;
	return 0;
}

const void *fs_arg(struct fs_request *r, size_t size)
{
	const void *p = r->args + r->pos;

	if (size > r->len - r->pos)
		return NULL;
	r->pos += size;
	return p;
}

int fs_arg_str(struct fs_request *r, size_t max, const char **str)
{
	const char *s = r->args + r->pos;
	const size_t len = strnlen(s, r->len - r->pos);

	if (len == r->len - r->pos || len == 0)
		return -EINVAL; /* not terminated, or empty */
	if (len > max)
		return -ENAMETOOLONG;
	r->pos += len + 1;
	*str = s;
	return 0;
}

int fs_arg_name(struct fs_request *r, const char **name)
{
	const char *s;
	int ret = fs_arg_str(r, FS_NAME_MAX, &s);

	if (ret < 0)
		return ret;
	if (strchr(s, '/') || !strcmp(s, ".") || !strcmp(s, ".."))
		return -EINVAL;
	*name = s;
	return 0;
}

/* The one group of a FUSE_EXT_GROUPS extension of @size bytes. */
static int fs_ext_group(const char *p, size_t size, struct fs_creds *creds)
{
	uint32_t count;

	if (size < sizeof(count))
		return -EINVAL;
	memcpy(&count, p, sizeof(count));
	if (count > 1 || size < sizeof(count) + count * sizeof(uint32_t))
		return -EINVAL;
	creds->has_group = count;
	if (count)
		memcpy(&creds->group, p + sizeof(count), sizeof(uint32_t));
	return 0;
}

int fs_arg_creds(const struct fs_request *r, mode_t umask, struct fs_creds *creds)
{
	const char *ext = r->args + r->len;
	size_t left = r->ext_len;

	*creds = (struct fs_creds){ .uid = r->in.uid, .gid = r->in.gid, .umask = umask & 0777 };
	while (left) {
		struct fuse_ext_header hdr;

		if (left < sizeof(hdr))
			return -EINVAL;
		memcpy(&hdr, ext, sizeof(hdr));
		if (hdr.size < sizeof(hdr) || hdr.size > left || hdr.size % 8)
			return -EINVAL;
		if (hdr.type == FUSE_EXT_GROUPS &&
		    fs_ext_group(ext + sizeof(hdr), hdr.size - sizeof(hdr), creds) < 0)
			return -EINVAL;
		ext += hdr.size;
		left -= hdr.size;
	}
	return 0;
}

/* Header at the front of the writable part; @len bytes of data are, or come, behind it. */
static int fs_reply_header(struct fs_request *r, int error, size_t len)
{
	const struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len), .error = error, .unique = r->in.unique,
	};

	chain_rewind_write(&r->chain);
	/* A guest that left no room for the answer gets none. */
	if (chain_writable(&r->chain) < sizeof(out))
		return 0;
	chain_write(&r->chain, &out, sizeof(out));
	r->reply_len = out.len;
	return 0;
}

int fs_reply_error(struct fs_request *r, int error)
{
	return fs_reply_header(r, error, 0);
}

int fs_reply(struct fs_request *r, const void *data, size_t len)
{
	chain_rewind_write(&r->chain);
	if (chain_writable(&r->chain) < sizeof(struct fuse_out_header) + len)
		return fs_reply_error(r, -EINVAL);
	fs_reply_header(r, 0, len);
	chain_write(&r->chain, data, len);
	return 0;
}

ssize_t fs_reply_begin_data(struct fs_request *r, size_t max)
{
	size_t room;

	chain_rewind_write(&r->chain);
	if (chain_writable(&r->chain) < sizeof(struct fuse_out_header))
		return -EINVAL;
	chain_skip_write(&r->chain, sizeof(struct fuse_out_header));
	room = chain_writable(&r->chain);
	return (ssize_t)(room < max ? room : max);
}

int fs_reply_end_data(struct fs_request *r, size_t len)
{
	return fs_reply_header(r, 0, len);
}
