/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of a container's processes, as the kernel's FUSE client asks for it. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"
#include "fake_driver.h"
#include "vmm/proc_view.h"

struct fixture {
	struct event_loop *loop;
	struct proc_view *pv;
	int kernel; /* our end of what is /dev/fuse to it */
	uint64_t unique;
	/* what it asked last, and how many times */
	uint32_t cookie, what, pid;
	unsigned int asked;
	int refuse; /* the answer to its questions */
	/* the last reply */
	struct fuse_out_header out;
	char body[8192 + 1];
	size_t len;
};

static int ask(void *data, uint32_t cookie, uint32_t what, uint32_t pid)
{
	struct fixture *f = data;

	f->cookie = cookie;
	f->what = what;
	f->pid = pid;
	f->asked++;
	return f->refuse;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	f->loop = fake_loop_create();
	f->kernel = pair[0];
	f->pv = proc_view_create(f->loop, pair[1], ask, f, NULL);
	assert_non_null(f->pv);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	proc_view_free(f->pv);
	event_loop_free(f->loop);
	close(f->kernel);
	free(f);
	return 0;
}

/* Is there a reply? */
static bool replied(struct fixture *f)
{
	struct iovec iov[] = { { &f->out, sizeof(f->out) }, { f->body, sizeof(f->body) - 1 } };
	ssize_t n;

	fake_loop_run(f->loop);
	n = readv(f->kernel, iov, 2);
	if (n < 0)
		return false;
	assert_int_equal(n, f->out.len);
	f->len = (size_t)n - sizeof(f->out);
	f->body[f->len] = 0;
	return true;
}

static void request(struct fixture *f, uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	const struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len), .opcode = opcode,
					   .unique = ++f->unique, .nodeid = node };
	const struct iovec iov[] = { { (void *)&in, sizeof(in) }, { (void *)body, len } };

	assert_int_equal(writev(f->kernel, iov, 2), in.len);
}

/* The errno of the reply, whose body is in f->body. */
static int call(struct fixture *f, uint32_t opcode, uint64_t node, const void *body, size_t len)
{
	request(f, opcode, node, body, len);
	assert_true(replied(f));
	assert_int_equal(f->out.unique, f->unique);
	return -f->out.error;
}

static uint64_t lookup(struct fixture *f, uint64_t dir, const char *name)
{
	struct fuse_entry_out out;
	int code = call(f, FUSE_LOOKUP, dir, name, strlen(name) + 1);

	if (code) {
		assert_int_equal(code, ENOENT);
		return 0;
	}
	assert_int_equal(f->len, sizeof(out));
	memcpy(&out, f->body, sizeof(out));
	assert_int_equal(out.attr.ino, out.nodeid);
	return out.nodeid;
}

static uint64_t walk(struct fixture *f, const char *path)
{
	char text[64], *save = NULL;
	uint64_t node = FUSE_ROOT_ID;

	snprintf(text, sizeof(text), "%s", path);
	for (char *w = strtok_r(text, "/", &save); w && node; w = strtok_r(NULL, "/", &save))
		node = lookup(f, node, w);
	return node;
}

static uint64_t opened(struct fixture *f)
{
	struct fuse_open_out out;

	assert_int_equal(f->out.error, 0);
	assert_int_equal(f->len, sizeof(out));
	memcpy(&out, f->body, sizeof(out));
	return out.fh;
}

static const char *read_at(struct fixture *f, uint32_t opcode, uint64_t fh, uint64_t offset,
			   uint32_t size)
{
	const struct fuse_read_in in = { .fh = fh, .offset = offset, .size = size };

	assert_int_equal(call(f, opcode, FUSE_ROOT_ID, &in, sizeof(in)), 0);
	return f->body;
}

static void release(struct fixture *f, uint64_t fh)
{
	const struct fuse_release_in in = { .fh = fh };

	assert_int_equal(call(f, FUSE_RELEASE, FUSE_ROOT_ID, &in, sizeof(in)), 0);
}

static void begins_as_the_kernel_wants(void **state)
{
	const struct fuse_init_in in = { .major = 7, .minor = 31 };
	struct fuse_init_out out;
	struct fixture *f = *state;

	assert_int_equal(call(f, FUSE_INIT, 0, &in, sizeof(in)), 0);
	memcpy(&out, f->body, sizeof(out));
	assert_int_equal(out.major, 7);
	assert_int_equal(out.minor, 31);
	assert_true(out.max_write >= 4096);
}

static void names_are_those_of_processes(void **state)
{
	static const struct {
		const char *path;
		bool there;
	} paths[] = {
		{ "stat", true }, { "1", true }, { "4194304", true }, { "1/stat", true },
		{ "7/status", true }, { "7/cmdline", true }, { "7/attr/current", true },
		{ "7/ns/pid", true }, { "self/auxv", true },
		{ "4194305", false }, { "0", false }, { "01", false }, { "1x", false }, { "-1", false },
		{ "99999999999999999999", false }, { "status", false }, { "self/stat", false },
		{ "1/auxv", false }, { "1/1", false }, { "1/attr/stat", false }, { "1/mem", false },
		{ "..", false }, { "1/..", false },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (!walk(f, paths[i].path) == paths[i].there)
			fail_msg("%s", paths[i].path);
	assert_int_equal(f->asked, 0);
}

static void a_file_holds_what_the_agent_says(void **state)
{
	struct fixture *f = *state;
	uint64_t fh;

	request(f, FUSE_OPEN, walk(f, "7/status"), NULL, 0);
	assert_false(replied(f));
	assert_int_equal(f->what, AGENT_PROC_STATUS);
	assert_int_equal(f->pid, 7);
	proc_view_answer(f->pv, f->cookie + 1, 0, "another", 7);
	assert_false(replied(f));
	proc_view_answer(f->pv, f->cookie, 0, "Name:\tsh\n", 9);
	assert_true(replied(f));
	fh = opened(f);
	assert_string_equal(read_at(f, FUSE_READ, fh, 0, 4096), "Name:\tsh\n");
	assert_string_equal(read_at(f, FUSE_READ, fh, 6, 2), "sh");
	assert_string_equal(read_at(f, FUSE_READ, fh, 9, 4096), "");
	assert_string_equal(read_at(f, FUSE_READ, fh, UINT64_MAX, 4096), "");
	/* Said twice: the second one is of nothing. */
	proc_view_answer(f->pv, f->cookie, 0, "more", 4);
	release(f, fh);
	assert_int_equal(call(f, FUSE_READ, FUSE_ROOT_ID,
			      &(struct fuse_read_in){ .fh = fh, .size = 10 },
			      sizeof(struct fuse_read_in)), EBADF);
}

static void an_error_of_the_guest_is_one_of_open(void **state)
{
	struct fixture *f = *state;

	request(f, FUSE_OPEN, walk(f, "7/stat"), NULL, 0);
	assert_false(replied(f));
	proc_view_answer(f->pv, f->cookie, ENOENT, "", 0);
	assert_true(replied(f));
	assert_int_equal(f->out.error, -ENOENT);
	f->refuse = -EPIPE;
	assert_int_equal(call(f, FUSE_OPEN, walk(f, "7/stat"), NULL, 0), EPIPE);
}

static void the_root_lists_processes(void **state)
{
	static const char said[] = "1\n12\nx\n999999999999999\n12345678901234567890\n4194304\n\n0\n3";
	static const char *const names[] = { "stat", "1", "12", "4194304", "3" };
	struct fixture *f = *state;
	uint64_t fh, offset = 0;
	size_t n = 0;

	request(f, FUSE_OPENDIR, FUSE_ROOT_ID, NULL, 0);
	assert_false(replied(f));
	assert_int_equal(f->what, AGENT_PROC_PIDS);
	proc_view_answer(f->pv, f->cookie, 0, said, sizeof(said) - 1);
	assert_true(replied(f));
	fh = opened(f);
	/* Room for one entry, or two: it goes on where it stopped. */
	while (read_at(f, FUSE_READDIR, fh, offset, 70) && f->len) {
		for (size_t at = 0; at < f->len; n++) {
			const struct fuse_dirent *d = (const void *)(f->body + at);

			assert_true(n < sizeof(names) / sizeof(*names));
			assert_int_equal(d->namelen, strlen(names[n]));
			assert_memory_equal(d->name, names[n], d->namelen);
			assert_int_equal(d->type, n ? S_IFDIR >> 12 : S_IFREG >> 12);
			offset = d->off;
			at += FUSE_DIRENT_SIZE(d);
		}
	}
	assert_int_equal(n, sizeof(names) / sizeof(*names));
}

static void who_gives_up_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct fuse_interrupt_in in;

	request(f, FUSE_OPEN, walk(f, "7/stat"), NULL, 0);
	assert_false(replied(f));
	in.unique = f->unique;
	request(f, FUSE_INTERRUPT, 0, &in, sizeof(in));
	assert_true(replied(f));
	assert_int_equal(f->out.unique, in.unique);
	assert_int_equal(f->out.error, -EINTR);
	proc_view_answer(f->pv, f->cookie, 0, "late", 4);
	assert_false(replied(f));
}

static void there_is_an_end_to_open_files(void **state)
{
	struct fixture *f = *state;
	const uint64_t node = walk(f, "self/auxv");
	unsigned int n = 0;

	while (!call(f, FUSE_OPEN, node, NULL, 0))
		assert_true(++n < 1000);
	assert_int_equal(f->out.error, -ENFILE);
	release(f, 0);
	assert_int_equal(call(f, FUSE_OPEN, node, NULL, 0), 0);
}

static void what_is_not_there_is_not_done(void **state)
{
	static const uint32_t opcodes[] = { FUSE_WRITE, FUSE_MKDIR, FUSE_UNLINK, FUSE_SETATTR,
					    FUSE_CREATE, FUSE_IOCTL, FUSE_SETXATTR, 4000 };
	struct fixture *f = *state;
	struct stat st;

	for (size_t i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++)
		assert_int_equal(call(f, opcodes[i], FUSE_ROOT_ID, "abc", 4), ENOSYS);
	/* too short to be what they are */
	assert_int_equal(call(f, FUSE_READ, FUSE_ROOT_ID, "abc", 4), ENOSYS);
	assert_int_equal(call(f, FUSE_INIT, 0, "", 0), ENOSYS);
	assert_int_equal(call(f, FUSE_GETATTR, walk(f, "7/ns/pid"), NULL, 0), 0);
	st.st_mode = ((const struct fuse_attr_out *)(const void *)f->body)->attr.mode;
	assert_true(S_ISLNK(st.st_mode));
	request(f, FUSE_FORGET, FUSE_ROOT_ID, "", 0);
	assert_false(replied(f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(begins_as_the_kernel_wants, setup, teardown),
		cmocka_unit_test_setup_teardown(names_are_those_of_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_holds_what_the_agent_says, setup, teardown),
		cmocka_unit_test_setup_teardown(an_error_of_the_guest_is_one_of_open, setup, teardown),
		cmocka_unit_test_setup_teardown(the_root_lists_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(who_gives_up_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_an_end_to_open_files, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_not_done, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
