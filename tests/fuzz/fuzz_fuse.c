/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: a FUSE session as a hostile guest would hold it. An input is a list of requests:
 * a byte each for the opcode, the node, the room for the reply (in units of 64) and the length of
 * the arguments (likewise 8), then the arguments. Works in a new directory in the current one, and
 * needs root. Build with clang -fsanitize=fuzzer,address,undefined and the sources of libfs.a,
 * libvirtqueue.a and libbase.a.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/workers/fs_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct fs_server server;
static struct fs_request request;
static char in_buf[64 + 8 * 256], out_buf[64 * 256];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char dir[] = "fuzz_fuse.XXXXXX";
	int root, proc = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);

	(void)argc;
	(void)argv;
	log_init("fuzz_fuse", 2, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || proc < 0)
		abort();
	root = open(dir, O_PATH | O_DIRECTORY);
	if (root < 0 || mkdirat(root, "d", 0755) < 0 || symlinkat("/etc", root, "l") < 0 ||
	    mknodat(root, "f", S_IFREG | 0644, 0) < 0)
		abort();
	if (fs_server_init(&server, root, proc, 256, NULL) < 0 ||
	    fs_server_thread_init(&server, NULL) < 0)
		abort();
	return 0;
}

static void handle(uint32_t opcode, uint64_t nodeid, const uint8_t *args, size_t len, size_t room)
{
	const struct fuse_in_header in = { .len = (uint32_t)(sizeof(in) + len), .opcode = opcode,
					   .unique = 1, .nodeid = nodeid };
	struct virtq_chain *c = &request.chain;

	memcpy(in_buf, &in, sizeof(in));
	if (len)
		memcpy(in_buf + sizeof(in), args, len);
	*c = (struct virtq_chain){ .num_readable = 1, .num_writable = room ? 1 : 0,
				   .readable_len = in.len, .writable_len = room,
				   .write_cursor = { .iov = 1 } };
	c->iov[0] = (struct iovec){ in_buf, in.len };
	c->iov[1] = (struct iovec){ out_buf, room };
	if (fs_request_begin(&request) < 0)
		return;
	request.nowait = false;
	if (fs_server_handle(&server, &request) < 0 || request.reply_len > room)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct fuse_init_in init = { .major = 7, .minor = 38, .flags = 0x7fffffff,
					   .flags2 = 0xffffffff };

	handle(FUSE_INIT, 0, (const uint8_t *)&init, sizeof(init), 1024);
	while (size >= 4) {
		const uint8_t *h = data;
		size_t len = 8u * h[3];

		data += 4;
		size -= 4;
		len = len < size ? len : size;
		handle(h[0], h[1], data, len, 64u * h[2]);
		data += len;
		size -= len;
	}
	return 0;
}
