/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/agent_proto.h"
#include "base/vmm_proto.h"
#include "base/wire.h"

#define S(s) ((char *)(s))

static char *args[] = { S("sh"), S("-c"), S("true"), NULL };
static char *env[] = { S("PATH=/bin"), NULL };
static char *masked[] = { S("/proc/kcore"), NULL };
static uint32_t gids[] = { 4, 5 };
static struct agent_rlimit rlimits[] = { { 7, 1024, UINT64_MAX } };
static struct agent_pair sysctls[] = { { S("net.ipv4.ip_forward"), S("1") } };
static struct agent_mount mounts[] = {
	{ .kind = AGENT_MOUNT_FS, .flags = 6, .tmpcopyup = true, .source = S("tmpfs"),
	  .destination = S("/tmp"), .type = S("tmpfs"), .data = S("size=1m") },
	{ .kind = AGENT_MOUNT_EXPORT, .source = S("1"), .destination = S("/x"), .type = S(""),
	  .data = S("") },
};
static struct agent_device devices[] = {
	{ .kind = AGENT_DEVICE_NODE, .mode = 020666, .major = 1, .minor = 3, .path = S("/dev/null") },
};

static struct agent_address addresses[] = {
	{ .local = { 2, { 10, 0, 0, 5 } }, .broadcast = { 2, { 10, 0, 0, 255 } }, .prefix = 24 },
	{ .local = { 10, { 0xfd } }, .prefix = 64, .scope = 1, .flags = 0x200, .priority = 7,
	  .preferred = 8, .valid = AGENT_FOREVER },
};
static struct agent_route routes[] = {
	{ .family = 2, .gateway = { 2, { 10, 0, 0, 1 } }, .protocol = 4, .flags = 4, .priority = 100,
	  .metrics = S("metrics!"), .metrics_len = 8 },
	{ .family = 10, .type = 7, .destination = { 10, { 0xfd, 1 } }, .prefix = 32, .scope = 253,
	  .order = 3 },
};
static struct agent_neighbour neighbours[] = { { { 2, { 10, 0, 0, 9 } }, { 1, 2, 3, 4, 5, 6 } } };
static struct agent_interface interfaces[] = {
	{ .name = S("eth0"), .device_mac = { 2, 1 }, .mac = { 2, 2 }, .mtu = 1400, .flags = 0x80,
	  .addresses = addresses, .num_addresses = 2, .routes = routes, .num_routes = 2,
	  .neighbours = neighbours, .num_neighbours = 1, .sysctls = sysctls, .num_sysctls = 1 },
	{ .name = S("eth1") },
};

static const struct agent_container container = {
	.hostname = S("h"), .domainname = S("d"), .namespaces = 0x20000, .readonly_root = true,
	.boot_time = 12345, .mounts = mounts, .num_mounts = 2, .devices = devices,
	.num_devices = 1, .masked_paths = masked, .sysctls = sysctls, .num_sysctls = 1,
	.interfaces = interfaces, .num_interfaces = 2, .name_server = 0x7f00000b, .time_offsets = { { -7, 8 }, { 9, 0 } },
	.process = { .args = args, .env = env, .cwd = S("/"), .uid = 1000, .gid = 1001,
		     .additional_gids = gids, .num_additional_gids = 2, .has_umask = true,
		     .umask = 022, .has_capabilities = true, .capabilities = { 1, 2, 3, 4, 5 },
		     .oom_score_adj = -5, .has_oom_score_adj = true, .rlimits = rlimits,
		     .num_rlimits = 1, .seccomp = S("12345678"), .seccomp_len = 8,
		     .seccomp_flags = 2 },
};

static void a_container_crosses(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct agent_container c = { 0 };
	struct wire_reader r;

	(void)state;
	agent_container_encode(&w, &container);
	assert_false(w.failed);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(agent_container_decode(&r, &c), 0);
	assert_string_equal(c.hostname, "h");
	assert_true(c.readonly_root);
	assert_int_equal(c.num_mounts, 2);
	assert_true(c.mounts[0].tmpcopyup);
	assert_string_equal(c.mounts[0].data, "size=1m");
	assert_string_equal(c.mounts[1].destination, "/x");
	assert_int_equal(c.devices[0].mode, 020666);
	assert_string_equal(c.masked_paths[0], "/proc/kcore");
	assert_string_equal(c.sysctls[0].value, "1");
	assert_memory_equal(c.time_offsets, container.time_offsets, sizeof(c.time_offsets));
	assert_int_equal(c.num_interfaces, 2);
	assert_string_equal(c.interfaces[0].name, "eth0");
	assert_int_equal(c.interfaces[0].mtu, 1400);
	assert_int_equal(c.interfaces[0].device_mac[1], 1);
	assert_int_equal(c.interfaces[0].mac[1], 2);
	assert_memory_equal(c.interfaces[0].addresses, addresses, sizeof(addresses));
	assert_memory_equal(&c.interfaces[0].routes[0].gateway, &routes[0].gateway,
			    sizeof(struct agent_ip));
	assert_int_equal(c.interfaces[0].routes[0].priority, 100);
	assert_memory_equal(c.interfaces[0].routes[0].metrics, "metrics!", 8);
	assert_int_equal(c.interfaces[0].routes[1].prefix, 32);
	assert_int_equal(c.interfaces[0].routes[1].scope, 253);
	assert_int_equal(c.interfaces[0].routes[1].type, 7);
	assert_int_equal(c.interfaces[0].routes[1].order, 3);
	assert_int_equal(c.interfaces[0].flags, 0x80);
	assert_memory_equal(c.interfaces[0].neighbours, neighbours, sizeof(neighbours));
	assert_string_equal(c.interfaces[0].sysctls[0].key, "net.ipv4.ip_forward");
	assert_int_equal(c.interfaces[1].num_routes, 0);
	assert_int_equal(c.name_server, 0x7f00000b);
	assert_string_equal(c.process.args[2], "true");
	assert_int_equal(c.process.additional_gids[1], 5);
	assert_int_equal(c.process.capabilities[AGENT_CAP_AMBIENT], 5);
	assert_int_equal(c.process.oom_score_adj, -5);
	assert_true(c.process.rlimits[0].hard == UINT64_MAX);
	assert_memory_equal(c.process.seccomp, "12345678", 8);
	agent_container_release(&c);
}

static void every_truncated_container_is_refused(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };

	(void)state;
	agent_container_encode(&w, &container);
	for (size_t cut = 0; cut < w.len; cut++) {
		char *copy = malloc(cut + 1);
		struct wire_reader r = WIRE_READER(copy, cut);
		struct agent_container c = { 0 };

		memcpy(copy, w.data, cut);
		assert_int_equal(agent_container_decode(&r, &c), -1);
		assert_null(c.mounts);
		free(copy);
	}
}

static void a_process_without_arguments_is_refused(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	struct agent_process in = { .env = env }, out = { 0 };
	struct wire_reader r;

	(void)state;
	agent_process_encode(&w, &in);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(agent_process_decode(&r, &out), -1);
}

static void a_vmm_config_crosses_and_junk_does_not(void **state)
{
	const struct vmm_config in = { .fd_mask = 5, .ram_bytes = 1ull << 31, .vcpus = 2,
				       .cmdline_extra = S("debug"), .terminal = true,
				       .gpu_window = 1ull << 33, .guest = S("opaque"),
				       .guest_len = 6 };
	cleanup_wire struct wire_writer w = { 0 };
	struct vmm_config out = { 0 };
	struct wire_reader r;

	(void)state;
	vmm_config_encode(&w, &in);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(vmm_config_decode(&r, &out), 0);
	assert_int_equal(out.fd_mask, 5);
	assert_string_equal(out.cmdline_extra, "debug");
	assert_string_equal(out.kernel_path, "");
	assert_memory_equal(out.guest, "opaque", 6);
	vmm_config_release(&out);
	wire_put_u8(&w, 0);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(vmm_config_decode(&r, &out), -1);
	r = WIRE_READER(w.data, w.len - 2);
	assert_int_equal(vmm_config_decode(&r, &out), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_container_crosses),
		cmocka_unit_test(every_truncated_container_is_refused),
		cmocka_unit_test(a_process_without_arguments_is_refused),
		cmocka_unit_test(a_vmm_config_crosses_and_junk_does_not),
	};

	return cmocka_run_group_tests_name("proto", tests, NULL, NULL);
}
