/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The FUSE server, spoken to as a guest would, and as a hostile one would: the export is a
 * directory with something beside it that must not be reachable. Needs root, as the server does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit.h"
#include "vmm/workers/fs_ops.h"
#include "vmm/workers/fs_server.h"

static struct fs_server server;
static struct fs_request request;
static char top[] = "/tmp/test_fs_server.XXXXXX";
static char guest_in[160 << 10], guest_out[160 << 10];
static uint64_t unique;
static bool own_mounts; /* tests may mount */

/* Put a request of header and @len bytes of arguments into the chain, with @room for the reply. */
static void send_raw(uint32_t opcode, uint64_t nodeid, const void *args, size_t len, size_t room)
{
	const struct fuse_in_header in = {
		.len = (uint32_t)(sizeof(in) + len), .opcode = opcode, .unique = ++unique,
		.nodeid = nodeid, .uid = 0, .gid = 0,
	};
	struct virtq_chain *c = &request.chain;

	memset(guest_out, 0xee, sizeof(guest_out));
	memcpy(guest_in, &in, sizeof(in));
	if (len)
		memcpy(guest_in + sizeof(in), args, len);
	*c = (struct virtq_chain){ .num_readable = 1, .num_writable = room ? 1 : 0,
				   .readable_len = in.len, .writable_len = room,
				   .write_cursor = { .iov = 1 } };
	c->iov[0] = (struct iovec){ guest_in, in.len };
	c->iov[1] = (struct iovec){ guest_out, room };
}

/* The reply's error; its data is then at guest_out + 16. */
static int run(void)
{
	struct fuse_out_header out;

	assert_int_equal(fs_request_begin(&request), 0);
	assert_int_equal(fs_server_handle(&server, &request), 0);
	if (!request.reply_len)
		return 1;
	memcpy(&out, guest_out, sizeof(out));
	assert_int_equal(out.len, request.reply_len);
	assert_int_equal(out.unique, unique);
	assert_true(out.error <= 0 && out.error > -1000);
	assert_true(!out.error || out.len == sizeof(out));
	return out.error;
}

static int call(uint32_t opcode, uint64_t nodeid, const void *args, size_t len)
{
	send_raw(opcode, nodeid, args, len, sizeof(guest_out));
	return run();
}

/* A request of a fixed part and up to two names. */
static int call_names(uint32_t opcode, uint64_t nodeid, const void *fixed, size_t fixed_len,
		      const char *a, const char *b)
{
	char args[2048];
	size_t len = fixed_len;

	if (fixed_len)
		memcpy(args, fixed, fixed_len);
	for (int i = 0; i < 2; i++) {
		const char *s = i ? b : a;

		if (!s)
			continue;
		memcpy(args + len, s, strlen(s) + 1);
		len += strlen(s) + 1;
	}
	return call(opcode, nodeid, args, len);
}

#define REPLY(type) ((const struct type *)(guest_out + sizeof(struct fuse_out_header)))

static int init_session(void)
{
	const struct fuse_init_in in = { .major = 7, .minor = 38, .max_readahead = 1 << 17,
					 .flags = ~0u & ~(1u << 31), .flags2 = ~0u };

	return call(FUSE_INIT, 0, &in, sizeof(in));
}

static uint64_t lookup(uint64_t dir, const char *name)
{
	if (call_names(FUSE_LOOKUP, dir, NULL, 0, name, NULL))
		return 0;
	return REPLY(fuse_entry_out)->nodeid;
}

static void path(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "%s/%s", top, name);
}

static void make(const char *name, const char *text)
{
	char p[256];
	FILE *f;

	path(p, sizeof(p), name);
	f = fopen(p, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	char p[256];
	int root, proc;

	(void)state;
	strcpy(top, "/tmp/test_fs_server.XXXXXX");
	assert_non_null(mkdtemp(top));
	path(p, sizeof(p), "export");
	assert_int_equal(mkdir(p, 0755), 0);
	path(p, sizeof(p), "export/dir");
	assert_int_equal(mkdir(p, 0755), 0);
	make("secret", "outside");
	make("export/file", "0123456789");
	path(p, sizeof(p), "export/link");
	assert_int_equal(symlink("../secret", p), 0);
	path(p, sizeof(p), "export/fifo");
	assert_int_equal(mkfifo(p, 0644), 0);
	path(p, sizeof(p), "export");
	root = open(p, O_PATH | O_DIRECTORY);
	proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0 && proc >= 0);
	assert_int_equal(fs_server_init(&server, root, proc, 256, NULL), 0);
	assert_int_equal(fs_server_thread_init(&server, NULL), 0);
	return init_session();
}

static int teardown(void **state)
{
	char cmd[300];

	(void)state;
	fs_server_release(&server);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return chdir("/") || system(cmd);
}

static void test_init(void **state)
{
	struct fuse_init_in in = { .major = 7, .minor = 30, .flags = ~0u };

	(void)state;
	assert_int_equal(call(FUSE_INIT, 0, &in, sizeof(in)), -EPROTO);
	in.major = 8;
	assert_int_equal(call(FUSE_INIT, 0, &in, sizeof(in)), 0);
	assert_int_equal(REPLY(fuse_init_out)->major, 7);
	assert_int_equal(call(FUSE_INIT, 0, &in, 8), -EINVAL);
	assert_int_equal(init_session(), 0);
	assert_int_equal(REPLY(fuse_init_out)->max_write, 1 << 20);
	assert_int_equal(REPLY(fuse_init_out)->max_pages, 256);
	assert_false(REPLY(fuse_init_out)->flags & FUSE_WRITEBACK_CACHE);
	/* A session that has ended answers nothing; a new one knows nothing of the old. */
	assert_true(lookup(1, "file") != 0);
	assert_int_equal(call(FUSE_DESTROY, 0, NULL, 0), 0);
	assert_int_equal(call_names(FUSE_LOOKUP, 1, NULL, 0, "file", NULL), -EIO);
	assert_int_equal(init_session(), 0);
	assert_int_equal(server.inodes.ids.count, 1);
}

struct named {
	uint32_t opcode;
	size_t fixed;
	int names; /* that must be single components */
};

/* Every request that takes a name, with every name that must not reach the host's kernel. */
static void test_bad_names(void **state)
{
	static const struct named ops[] = {
		{ FUSE_LOOKUP, 0, 1 }, { FUSE_MKNOD, sizeof(struct fuse_mknod_in), 1 },
		{ FUSE_MKDIR, sizeof(struct fuse_mkdir_in), 1 }, { FUSE_UNLINK, 0, 1 },
		{ FUSE_RMDIR, 0, 1 }, { FUSE_SYMLINK, 0, 1 },
		{ FUSE_RENAME, sizeof(struct fuse_rename_in), 2 },
		{ FUSE_RENAME2, sizeof(struct fuse_rename2_in), 2 },
		{ FUSE_LINK, sizeof(struct fuse_link_in), 1 },
		{ FUSE_CREATE, sizeof(struct fuse_create_in), 1 },
	};
	static char longest[400];
	static const char *const names[] = { "", ".", "..", "/", "../secret", "dir/x", "/etc", "x/",
					     longest };
	static const uint64_t fixed[8] = { 1 }; /* new directory or old node: the root */

	(void)state;
	memset(longest, 'x', 256);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			const int expected = names[n] == longest ? -ENAMETOOLONG : -EINVAL;

			assert_int_equal(call_names(ops[i].opcode, 1, fixed, ops[i].fixed, names[n],
						    "target"), expected);
			if (ops[i].names == 2)
				assert_int_equal(call_names(ops[i].opcode, 1, fixed, ops[i].fixed,
							    "file", names[n]), expected);
		}
		/* No terminating zero, and no name at all. */
		assert_int_equal(call(ops[i].opcode, 1, fixed, ops[i].fixed), -EINVAL);
	}
	assert_int_equal(call(FUSE_LOOKUP, 1, "file", 4), -EINVAL);
	assert_true(lookup(1, "file") != 0);
}

/* Every opcode, every length of arguments from none to what it wants, twice: zeros and ones. */
static void test_bad_lengths(void **state)
{
	static char args[256];

	(void)state;
	for (int fill = 0; fill < 2; fill++) {
		memset(args, fill ? 0xff : 0, sizeof(args));
		for (uint32_t opcode = 0; opcode < 70; opcode++) {
			for (size_t len = 0; len <= sizeof(args); len += 4) {
				if (opcode == FUSE_INIT || opcode == FUSE_DESTROY)
					continue;
				call(opcode, 1, args, len);
			}
		}
	}
	assert_true(lookup(1, "file") != 0);
}

static void test_bad_chains(void **state)
{
	struct fuse_in_header *in = (struct fuse_in_header *)guest_in;

	(void)state;
	/* A length that is not the chain's, and less than a header. */
	send_raw(FUSE_LOOKUP, 1, "file", 5, 4096);
	in->len++;
	assert_int_equal(fs_request_begin(&request), -EPROTO);
	send_raw(FUSE_LOOKUP, 1, "file", 5, 4096);
	request.chain.readable_len = request.chain.iov[0].iov_len = 39;
	assert_int_equal(fs_request_begin(&request), -EPROTO);
	/* No room for a reply, for its header alone, or for half of it. */
	for (size_t room = 0; room < 160; room += 8) {
		send_raw(FUSE_LOOKUP, 1, "file", 5, room);
		assert_int_equal(fs_request_begin(&request), 0);
		assert_int_equal(fs_server_handle(&server, &request), 0);
		assert_true(request.reply_len <= room);
	}
	/* Extensions longer than the arguments, and malformed ones. */
	send_raw(FUSE_MKDIR, 1, "\0\0\0\0\0\0\0\0x", 10, 4096);
	in->total_extlen = 100;
	assert_int_equal(run(), -EINVAL);
	send_raw(FUSE_MKDIR, 1, "\0\0\0\0\0\0\0\0xxxxxxx\0\x04\0\0\0\x20\0\0\0", 24, 4096);
	in->total_extlen = 1;
	assert_int_equal(run(), -EINVAL);
}

static void test_unknown_ids(void **state)
{
	static const uint64_t ids[] = { 0, 2, 77, UINT64_MAX, 1ull << 32, (1ull << 32) + 1 };
	char args[128] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(call(FUSE_GETATTR, ids[i], args, sizeof(struct fuse_getattr_in)),
				 -ESTALE);
		assert_int_equal(call(FUSE_OPEN, ids[i], args, sizeof(struct fuse_open_in)),
				 -ESTALE);
		memcpy(args, &ids[i], 8); /* the handle */
		assert_int_equal(call(FUSE_READ, 1, args, sizeof(struct fuse_read_in)), -EBADF);
		assert_int_equal(call(FUSE_READDIR, 1, args, sizeof(struct fuse_read_in)), -EBADF);
		assert_int_equal(call(FUSE_FSYNC, 1, args, sizeof(struct fuse_fsync_in)), -EBADF);
		assert_int_equal(call(FUSE_RELEASE, 1, args, sizeof(struct fuse_release_in)), 0);
		memset(args, 0, 8);
	}
	/* Forgetting what is not known, the root, and more than there is. */
	memset(args, 0xff, 8);
	assert_int_equal(call(FUSE_FORGET, 99, args, 8), 1);
	assert_int_equal(call(FUSE_FORGET, 1, args, 8), 1);
	assert_int_equal(call(FUSE_FORGET, lookup(1, "file"), args, 8), 1);
	assert_int_equal(server.inodes.ids.count, 1);
	assert_int_equal(call(FUSE_GETATTR, 1, args, sizeof(struct fuse_getattr_in)), 0);
	/* A batch that claims more entries than it has. */
	assert_int_equal(call(FUSE_BATCH_FORGET, 0, args, 8), 1);
}

/* What a symlink or a special file leads to is not reached by way of the server. */
static void test_no_way_out(void **state)
{
	const struct fuse_open_in open_in = { .flags = O_RDWR };
	const struct fuse_create_in create_in = { .flags = O_RDWR | O_CREAT | O_TRUNC,
						  .mode = 0644 };
	const struct fuse_setattr_in truncate_in = { .valid = FATTR_SIZE, .size = 0 };
	const struct fuse_setattr_in chmod_in = { .valid = FATTR_MODE, .mode = 0777 };
	const uint64_t link = lookup(1, "link"), fifo = lookup(1, "fifo"), file = lookup(1, "file");
	char p[256];
	struct stat st;

	(void)state;
	assert_true(S_ISLNK(REPLY(fuse_entry_out)->attr.mode) == 0 && link && fifo && file);
	assert_int_equal(call(FUSE_OPEN, link, &open_in, sizeof(open_in)), -ELOOP);
	assert_int_equal(call(FUSE_OPENDIR, link, &open_in, sizeof(open_in)), -ENOTDIR);
	assert_int_equal(call(FUSE_OPEN, fifo, &open_in, sizeof(open_in)), -ENXIO);
	assert_int_equal(call(FUSE_OPEN, 1, &open_in, sizeof(open_in)), -EISDIR);
	assert_int_equal(call_names(FUSE_LOOKUP, link, NULL, 0, "x", NULL), -ENOTDIR);
	assert_int_equal(call_names(FUSE_LOOKUP, file, NULL, 0, "x", NULL), -ENOTDIR);
	assert_int_equal(call_names(FUSE_CREATE, 1, &create_in, sizeof(create_in), "link", NULL),
			 -ELOOP);
	assert_int_equal(call_names(FUSE_CREATE, 1, &create_in, sizeof(create_in), "fifo", NULL),
			 -ENXIO);
	assert_int_equal(call(FUSE_SETATTR, link, &truncate_in, sizeof(truncate_in)), -ELOOP);
	assert_int_equal(call(FUSE_SETATTR, link, &chmod_in, sizeof(chmod_in)), -EOPNOTSUPP);
	path(p, sizeof(p), "secret");
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_size, 7);
	assert_int_not_equal(st.st_mode & 0777, 0777);
	/* Whoever swaps a directory for a symlink meanwhile gains nothing: ids name inodes. */
	assert_int_equal(call(FUSE_READLINK, link, NULL, 0), 0);
	assert_memory_equal(guest_out + 16, "../secret", 9);
	assert_int_equal(call(FUSE_READLINK, file, NULL, 0), -EINVAL);
}

static uint64_t open_file(uint64_t nodeid, uint32_t flags)
{
	const struct fuse_open_in in = { .flags = flags };

	assert_int_equal(call(FUSE_OPEN, nodeid, &in, sizeof(in)), 0);
	return REPLY(fuse_open_out)->fh;
}

static void test_read_write(void **state)
{
	const uint64_t node = lookup(1, "file");
	const uint64_t fh = open_file(node, O_RDWR), ro = open_file(node, O_RDONLY);
	struct fuse_read_in in = { .fh = fh, .offset = 3, .size = 4 };
	struct {
		struct fuse_write_in in;
		char data[8];
	} w = { { .fh = fh, .offset = 8, .size = 8 }, "ABCDEFGH" };

	(void)state;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in)), 0);
	assert_int_equal(request.reply_len, 20);
	assert_memory_equal(guest_out + 16, "3456", 4);
	in.size = UINT32_MAX; /* more than there is room for */
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in)), 0);
	assert_int_equal(request.reply_len, 16 + 7);
	in.offset = UINT64_MAX;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in)), -EINVAL);
	in.offset = 1 << 30;
	assert_int_equal(call(FUSE_READ, node, &in, sizeof(in)), 0);
	assert_int_equal(request.reply_len, 16);
	assert_int_equal(call(FUSE_WRITE, node, &w, sizeof(w)), 0);
	assert_int_equal(REPLY(fuse_write_out)->size, 8);
	w.in.size = 9; /* more than came, and less */
	assert_int_equal(call(FUSE_WRITE, node, &w, sizeof(w)), -EINVAL);
	w.in.size = 7;
	assert_int_equal(call(FUSE_WRITE, node, &w, sizeof(w)), -EINVAL);
	w.in.size = 8;
	w.in.offset = UINT64_MAX - 3;
	assert_int_equal(call(FUSE_WRITE, node, &w, sizeof(w)), -EINVAL);
	w.in.offset = 0;
	w.in.fh = ro;
	assert_int_equal(call(FUSE_WRITE, node, &w, sizeof(w)), -EBADF);
	/* A directory's handle is not a file's. */
	w.in.fh = 0;
	assert_int_equal(call(FUSE_OPENDIR, 1, &(struct fuse_open_in){ 0 },
			      sizeof(struct fuse_open_in)), 0);
	in.fh = REPLY(fuse_open_out)->fh;
	in.offset = 0;
	assert_int_equal(call(FUSE_READ, 1, &in, sizeof(in)), -EBADF);
}

/* A file that did not change since it was opened keeps its pages in the guest's cache. */
static void test_keep_cache(void **state)
{
	const uint64_t node = lookup(1, "file");

	(void)state;
	open_file(node, O_RDONLY);
	assert_false(REPLY(fuse_open_out)->open_flags & FOPEN_KEEP_CACHE);
	open_file(node, O_RDONLY);
	assert_true(REPLY(fuse_open_out)->open_flags & FOPEN_KEEP_CACHE);
	usleep(20000); /* longer than the granularity of timestamps */
	make("export/file", "9876543210");
	open_file(node, O_RDONLY);
	assert_false(REPLY(fuse_open_out)->open_flags & FOPEN_KEEP_CACHE);
}

/* /etc/hosts and the like: what is said of a file that is itself a mount is not to be kept. */
static void test_mounted_file(void **state)
{
	struct fuse_getattr_in in = { 0 };
	char p[256];
	uint64_t node;

	(void)state;
	path(p, sizeof(p), "export/file");
	if (!own_mounts || mount(p, p, NULL, MS_BIND, NULL) < 0)
		skip();
	node = lookup(1, "file");
	assert_int_equal(REPLY(fuse_entry_out)->entry_valid, FS_CACHE_SECONDS);
	assert_int_equal(REPLY(fuse_entry_out)->attr_valid, 0);
	assert_int_equal(call(FUSE_GETATTR, node, &in, sizeof(in)), 0);
	assert_int_equal(REPLY(fuse_attr_out)->attr_valid, 0);
	assert_int_equal(truncate(p, 2 << 20), 0);
	assert_int_equal(call(FUSE_GETATTR, node, &in, sizeof(in)), 0);
	assert_int_equal(REPLY(fuse_attr_out)->attr_valid, FS_CACHE_SECONDS);
	umount2(p, MNT_DETACH);
	lookup(1, "link");
	assert_int_equal(REPLY(fuse_entry_out)->attr_valid, FS_CACHE_SECONDS);
}

static void test_readdir(void **state)
{
	struct fuse_read_in in = { .size = 4096 };
	size_t pos = sizeof(struct fuse_out_header), entries = 0;

	(void)state;
	assert_int_equal(call(FUSE_OPENDIR, 1, &(struct fuse_open_in){ 0 },
			      sizeof(struct fuse_open_in)), 0);
	in.fh = REPLY(fuse_open_out)->fh;
	assert_int_equal(call(FUSE_READDIRPLUS, 1, &in, sizeof(in)), 0);
	while (pos < request.reply_len) {
		const struct fuse_direntplus *d = (void *)(guest_out + pos);
		const bool dot = d->dirent.name[0] == '.';

		assert_true(dot == !d->entry_out.nodeid);
		pos += FUSE_DIRENTPLUS_SIZE(d);
		entries++;
	}
	assert_int_equal(entries, 6);
	/* One for each of the four files, and the root's. */
	assert_int_equal(server.inodes.ids.count, 5);
	in.size = 20; /* not enough for any entry: not to be taken for the end */
	assert_int_equal(call(FUSE_READDIR, 1, &in, sizeof(in)), -EINVAL);
	in.offset = UINT64_MAX;
	assert_int_equal(call(FUSE_READDIR, 1, &in, sizeof(in)), -EINVAL);
}

static int set_xattr(uint64_t node, const char *name, const char *value)
{
	const struct fuse_setxattr_in in = { .size = (uint32_t)strlen(value) };
	char args[512];
	size_t len = sizeof(in);

	memcpy(args, &in, sizeof(in));
	len += (size_t)sprintf(args + len, "%s", name) + 1;
	len += (size_t)sprintf(args + len, "%s", value);
	return call(FUSE_SETXATTR, node, args, len);
}

/* The guest has user.*, ACLs and file capabilities; the host's labels are not its business. */
static void test_xattr_names(void **state)
{
	static const char *const refused[] = { "security.selinux", "security.ima", "trusted.x",
					       "security.evm", "system.nfs4_acl", "x", "userx" };
	const struct fuse_getxattr_in in = { .size = 100 };
	const uint64_t node = lookup(1, "file");
	struct fuse_setxattr_in big = { .size = UINT32_MAX };
	char p[256];

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_int_equal(set_xattr(node, refused[i], "v"), -EOPNOTSUPP);
		assert_int_equal(call_names(FUSE_GETXATTR, node, &in, sizeof(in), refused[i], NULL),
				 -EOPNOTSUPP);
		assert_int_equal(call_names(FUSE_REMOVEXATTR, node, NULL, 0, refused[i], NULL),
				 -EOPNOTSUPP);
	}
	path(p, sizeof(p), "export/file");
	if (setxattr(p, "trusted.host", "v", 1, 0) < 0)
		skip(); /* a file system without them */
	assert_int_equal(set_xattr(node, "user.a", "value"), 0);
	assert_int_equal(call(FUSE_LISTXATTR, node, &in, sizeof(in)), 0);
	assert_int_equal(request.reply_len, 16 + 7);
	assert_memory_equal(guest_out + 16, "user.a", 7);
	assert_int_equal(call_names(FUSE_SETXATTR, node, &big, sizeof(big), "user.b", NULL),
			 -E2BIG);
	big.size = 100; /* more than came */
	assert_int_equal(call_names(FUSE_SETXATTR, node, &big, sizeof(big), "user.b", NULL),
			 -EINVAL);
}

/* 256 fds in all: three quarters for inodes, a quarter for handles. */
static void test_limits(void **state)
{
	const struct fuse_mknod_in mk = { .mode = S_IFREG | 0644 };
	const struct fuse_open_in open_in = { .flags = O_RDONLY };
	char name[16];
	uint64_t node = lookup(1, "file");
	int i, r = 0;

	(void)state;
	for (i = 0; i < 300 && !r; i++) {
		sprintf(name, "n%d", i);
		r = call_names(FUSE_MKNOD, 1, &mk, sizeof(mk), name, NULL);
	}
	assert_int_equal(r, -ENFILE);
	assert_int_equal(server.inodes.ids.count, 192);
	for (i = 0, r = 0; i < 300 && !r; i++)
		r = call(FUSE_OPEN, node, &open_in, sizeof(open_in));
	assert_int_equal(r, -ENFILE);
	assert_int_equal(server.handles.ids.count, 64);
	/* It goes on once the guest has let go of something. */
	assert_int_equal(call(FUSE_FORGET, lookup(1, "n0"), &(uint64_t){ 2 }, 8), 1);
	assert_true(lookup(1, "dir") != 0);
}

/* Files come into being with their owner, and an id that was given back names nothing. */
static void test_owner_and_generation(void **state)
{
	const struct fuse_mkdir_in mk = { .mode = 0777, .umask = 027 };
	struct fuse_in_header *in = (struct fuse_in_header *)guest_in;
	uint64_t node, again;
	char p[256], args[64];
	struct stat st;

	(void)state;
	memcpy(args, &mk, sizeof(mk));
	strcpy(args + sizeof(mk), "mine");
	send_raw(FUSE_MKDIR, 1, args, sizeof(mk) + 5, 4096);
	in->uid = 1234;
	in->gid = 2345;
	assert_int_equal(run(), 0);
	node = REPLY(fuse_entry_out)->nodeid;
	path(p, sizeof(p), "export/mine");
	assert_int_equal(stat(p, &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 2345);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(call(FUSE_FORGET, node, &(uint64_t){ 1 }, 8), 1);
	again = lookup(1, "mine");
	assert_true(again && again != node);
	assert_int_equal(call(FUSE_GETATTR, node, args, sizeof(struct fuse_getattr_in)), -ESTALE);
}

static void test_nowait(void **state)
{
	const uint64_t node = lookup(1, "file"), fh = open_file(node, O_RDONLY);
	const struct fuse_read_in in = { .fh = fh, .size = 4096 };
	int r;

	(void)state;
	send_raw(FUSE_READ, node, &in, sizeof(in), 8192);
	assert_int_equal(fs_request_begin(&request), 0);
	assert_int_equal(fs_server_kind(&request), FS_READ);
	request.nowait = true;
	r = fs_server_handle(&server, &request);
	assert_true(r == 0 || r == -EAGAIN);
	request.nowait = false;
	assert_int_equal(r ? fs_server_handle(&server, &request) : 0, 0);
	assert_int_equal(request.reply_len, 16 + 10);
	assert_memory_equal(guest_out + 16, "0123456789", 10);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_init),	 TEST(test_bad_names),	 TEST(test_bad_lengths),
		TEST(test_bad_chains),	 TEST(test_unknown_ids), TEST(test_no_way_out),
		TEST(test_read_write),	 TEST(test_keep_cache),	 TEST(test_readdir),
		TEST(test_xattr_names),	 TEST(test_limits),	 TEST(test_owner_and_generation),
		TEST(test_nowait),	 TEST(test_mounted_file),
	};

	if (geteuid()) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	own_mounts = !unshare(CLONE_NEWNS) &&
		     !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
