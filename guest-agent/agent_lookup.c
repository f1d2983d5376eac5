/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: before the kernel looks for the listener that a connection is for, it asks the
 * programs of type sk_lookup of the network namespace. Ours names a listener, which lies in a map that
 * has place for one, if address and port are those that it is made for. The port stays free: who listens
 * to it at every address gets every connection but these.
 */
#include "guest-agent/agent_lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MOVE(to, from) { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from) }
#define SET(to, value) { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (to), .imm = (value) }
#define CALL(function) { .code = BPF_JMP | BPF_CALL, .imm = (function) }
/* Of the connection, which the program has in register 6. */
#define LOAD(to, member) { .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = (to), .src_reg = 6, \
			   .off = offsetof(struct bpf_sk_lookup, member) }
#define SKIP_UNLESS(reg, value, count) { .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = (reg), \
					 .imm = (int32_t)(value), .off = (count) }

static int bpf(int command, union bpf_attr *attr)
{
	const long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int map_create(int listener)
{
	union bpf_attr create = { .map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = sizeof(uint32_t),
				  .value_size = sizeof(uint64_t), .max_entries = 1 };
	const uint64_t value = (uint64_t)listener;
	const uint32_t key = 0;
	union bpf_attr update = { .key = (uintptr_t)&key, .value = (uintptr_t)&value };
	cleanup_close int map = bpf(BPF_MAP_CREATE, &create);
	int r;

	if (map < 0)
		return map;
	update.map_fd = (uint32_t)map;
	r = bpf(BPF_MAP_UPDATE_ELEM, &update);
	return r < 0 ? r : steal_fd(&map);
}

/* What it does not take, or cannot, is looked for as ever. */
static int program_load(int map, uint32_t address, uint16_t port)
{
	const struct bpf_insn program[] = {
		MOVE(6, 1),
		LOAD(2, protocol),
		SKIP_UNLESS(2, IPPROTO_TCP, 18),
		LOAD(2, local_ip4),
		SKIP_UNLESS(2, address, 16),
		LOAD(2, local_port),
		SKIP_UNLESS(2, port, 14),
		/* the listener: of the map's key 0, on the stack */
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD,
		  .imm = map },
		{ 0 }, /* the upper half of it */
		MOVE(2, 10),
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4 },
		CALL(BPF_FUNC_map_lookup_elem),
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 7 },
		MOVE(7, 0),
		MOVE(1, 6),
		MOVE(2, 7),
		SET(3, 0),
		CALL(BPF_FUNC_sk_assign),
		MOVE(1, 7),
		CALL(BPF_FUNC_sk_release),
		SET(0, SK_PASS),
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SK_LOOKUP,
				.expected_attach_type = BPF_SK_LOOKUP,
				.insns = (uintptr_t)program,
				.insn_cnt = sizeof(program) / sizeof(*program),
				.license = (uintptr_t)"GPL" };

	return bpf(BPF_PROG_LOAD, &attr);
}

int lookup_steer(int fd, uint32_t address, uint16_t port)
{
	cleanup_close int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	cleanup_close int map = netns < 0 ? -errno : map_create(fd);
	cleanup_close int program = map < 0 ? map : program_load(map, address, port);
	union bpf_attr attr = { 0 };

	if (program < 0)
		return program;
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_fd = (uint32_t)netns;
	attr.link_create.attach_type = BPF_SK_LOOKUP;
	return bpf(BPF_LINK_CREATE, &attr);
}
