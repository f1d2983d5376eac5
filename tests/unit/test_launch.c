/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a configuration comes to before anything is started: sizes, mounts, devices, signals. */
#include "unit.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/wire.h"
#include "cgroup.h"
#include "cgroup_systemd.h"
#include "host_config.h"
#include "launch_guest.h"
#include "launch_plan.h"
#include "net_collect.h"
#include "launch_size.h"
#include "numbers.h"
#include "oci/oci_spec.h"
#include "signals.h"

#define MIB (1ull << 20)

static void signals_by_name_and_number(void **state)
{
	static const struct {
		const char *text;
		int signo;
	} cases[] = {
		{ "9", 9 }, { "KILL", 9 }, { "SIGKILL", 9 }, { "sigterm", 15 }, { "usr1", SIGUSR1 },
		{ "0", 0 }, { "64", 64 }, { "65", -1 }, { "-1", -1 }, { "", -1 }, { "FOO", -1 },
		{ "RTMIN", 34 }, { "SIGRTMIN+2", 36 }, { "RTMAX-1", 63 }, { "RTMIN-1", -1 },
		{ "RTMIN+x", -1 }, { "9x", -1 }, { "CLD", SIGCHLD }, { "WINCH", SIGWINCH },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (signal_parse(cases[i].text) != cases[i].signo)
			fail_msg("%s: %d", cases[i].text, signal_parse(cases[i].text));
}

static void cpu_lists(void **state)
{
	(void)state;
	assert_int_equal(cpu_list_count("0"), 1);
	assert_int_equal(cpu_list_count("0-3,7"), 5);
	assert_int_equal(cpu_list_count("0-3,7\n"), 5);
	assert_int_equal(cpu_list_count(""), 0);
	assert_int_equal(cpu_list_count("3-1"), -1);
	assert_int_equal(cpu_list_count("a"), -1);
	assert_int_equal(cpu_list_count("1-"), -1);
	assert_int_equal(cpu_list_count("0-99999999"), -1);
	assert_int_equal(cpu_list_count("0-65535"), 65536);
	assert_int_equal(cpu_list_count("0-65535,1"), -1);
}

static void sizes_follow_the_limits(void **state)
{
	struct oci_pair notes[] = { { (char *)"krun.ram_mib", (char *)"512" },
				    { (char *)"krun.cpus", (char *)"3" } };
	struct oci_spec spec = { 0 };
	struct launch_size size;

	(void)state;
	assert_int_equal(launch_size(&spec, false, &size, NULL), 0);
	assert_true(size.ram_bytes == 2048 * MIB);
	assert_true(size.vcpus >= 1);
	assert_true(!size.gpu_window);
	spec.resources.memory_limit = 256 * MIB;
	spec.resources.cpu_quota = 150000;
	spec.resources.cpu_period = 1000000;
	assert_int_equal(launch_size(&spec, true, &size, NULL), 0);
	assert_true(size.ram_bytes > 256 * MIB && size.ram_bytes < 400 * MIB);
	assert_true(size.ram_bytes % (2 * MIB) == 0);
	/* All of the microVM, whose size follows from the limit, and what runs beside it. */
	assert_true(launch_size_host_limit(256 * MIB, size.ram_bytes, size.room) >
		    size.ram_bytes + 1024 * MIB);
	assert_int_equal(size.vcpus, 1);
	assert_true(size.gpu_window);
	spec.annotations = notes;
	spec.num_annotations = 2;
	assert_int_equal(launch_size(&spec, false, &size, NULL), 0);
	assert_true(size.ram_bytes == 512 * MIB);
	assert_int_equal(size.vcpus, 3);
	notes[1].value = (char *)"0";
	assert_int_equal(launch_size(&spec, false, &size, NULL), -1);
	notes[1].value = (char *)"2x";
	assert_int_equal(launch_size(&spec, false, &size, NULL), -1);
}

/* What the guest may map fits what the host has room for, and the window it. */
static void gpu_memory_fits_the_limits(void **state)
{
	struct oci_pair note = { (char *)"krun-gpu.memory_mib", (char *)"2048" };
	struct oci_spec spec = { 0 };
	struct launch_size size, plain;
	struct error *err = NULL;

	(void)state;
	assert_int_equal(launch_size(&spec, false, &plain, NULL), 0);
	assert_true(!plain.gpu_bytes);
	assert_int_equal(launch_size(&spec, true, &size, NULL), 0);
	assert_true(size.gpu_bytes == 65536 * MIB && size.gpu_window == 16384 * MIB);
	assert_true(size.room == plain.room + 1024 * MIB);
	spec.resources.memory_limit = 256 * MIB;
	assert_int_equal(launch_size(&spec, true, &size, NULL), 0);
	assert_true(size.gpu_bytes == 768 * MIB && size.gpu_window == 768 * MIB);
	assert_true(size.room == plain.room + 1024 * MIB);
	spec.annotations = &note;
	spec.num_annotations = 1;
	assert_int_equal(launch_size(&spec, true, &size, NULL), 0);
	assert_true(size.gpu_bytes == 2048 * MIB && size.gpu_window == 2048 * MIB);
	assert_true(size.room == plain.room + 3072 * MIB);
	note.value = (char *)"32768";
	assert_int_equal(launch_size(&spec, true, &size, NULL), 0);
	assert_true(size.gpu_bytes == 32768 * MIB && size.gpu_window == 16384 * MIB);
	note.value = (char *)"0";
	assert_int_equal(launch_size(&spec, true, &size, &err), -1);
	assert_non_null(strstr(error_msg(err), "krun-gpu.memory_mib"));
	error_free(&err);
}

static void host_limits_follow_the_containers(void **state)
{
	(void)state;
	/* no limit: the whole machine; one it cannot give: none */
	assert_true(launch_size_host_limit(-1, 1024 * MIB, 96 * MIB) == 1120 * MIB);
	assert_true(launch_size_host_limit(2000 * MIB, 1024 * MIB, 96 * MIB) == 0);
	assert_true(launch_size_host_limit(INT64_MAX, 1024 * MIB, 96 * MIB) == 0);
	/* the container's, the guest kernel's, the host's; no more than there is */
	assert_true(launch_size_host_limit(256 * MIB, 1024 * MIB, 96 * MIB) == (256 + 88 + 96) * MIB);
	assert_true(launch_size_host_limit(1000 * MIB, 1024 * MIB, 96 * MIB) == 1120 * MIB);
}

static void numbers_of_cgroup_files(void **state)
{
	(void)state;
	assert_true(number_after("42\n", NULL, 7) == 42);
	assert_true(number_after("max\n", NULL, 7) == 7);
	assert_true(number_after("", NULL, 7) == 7);
	assert_true(number_after("-1\n", NULL, 7) == 7);
	assert_true(number_after("18446744073709551616\n", NULL, 7) == 7);
	assert_true(number_after("1x\n", NULL, 7) == 7);
	assert_true(number_after("oom 3\noom_kill 5\n", "oom_kill", 7) == 5);
	assert_true(number_after("oom_kill 5\noom 3\n", "oom", 7) == 3);
	assert_true(number_after("xoom 5\n", "oom", 7) == 7);
	assert_true(number_after("oom", "oom", 7) == 7);
}

static char *no_options[] = { NULL };

static int plan_one_device(struct arena *a, char type, unsigned int maj, unsigned int min, bool all,
			   struct launch_plan *plan, struct error **err)
{
	static struct oci_device d;
	struct oci_spec spec = { .devices = &d, .num_devices = 1, .resources.all_devices = all };

	/* There is a node by that name on the host, so it has a device, whatever the number. */
	d = (struct oci_device){ type, (char *)"/dev/shm", maj, min, 0640, 5, 6 };
	return launch_plan(&spec, "/", a, plan, err);
}

static void devices_are_the_guests_or_refused(void **state)
{
	cleanup_arena struct arena a = { NULL };
	cleanup_error struct error *err = NULL;
	struct launch_plan plan;

	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(plan_one_device(&a, 'c', 10, 229, false, &plan, NULL), 0);
	assert_int_equal(plan.num_devices, 7);
	assert_int_equal(plan.devices[0].mode, S_IFCHR | 0640);
	assert_int_equal(plan_one_device(&a, 'p', 0, 0, false, &plan, NULL), 0);
	assert_int_equal(plan.devices[0].mode, S_IFIFO | 0640);
	assert_int_equal(plan_one_device(&a, 'b', 8, 0, false, &plan, &err), -1);
	assert_non_null(strstr(error_msg(err), "linux.devices[0]: /dev/shm (b 8:0)"));
	assert_int_equal(plan_one_device(&a, 'b', 8, 0, true, &plan, NULL), 0);
	assert_int_equal(plan.num_devices, 6);
	assert_int_equal(plan_one_device(&a, 'c', 226, 129, false, &plan, NULL), 0);
	assert_int_equal(plan.num_gpu_nodes, 1);
	assert_int_equal(plan.devices[0].kind, AGENT_DEVICE_GPU_RENDER);
	assert_string_equal(plan.devices[0].path, "/dev/dri/renderD128");
	assert_int_equal(plan_one_device(&a, 'c', 226, 1, false, &plan, NULL), 0);
	assert_int_equal(plan.devices[0].kind, AGENT_DEVICE_GPU_CARD);
	assert_string_equal(plan.devices[0].path, "/dev/dri/card0");
	assert_int_equal(plan_one_device(&a, 'c', 195, 0, false, &plan, NULL), 0);
	assert_true(plan.gpu);
	assert_string_equal(plan.devices[0].path, "/dev/dri/renderD128");
}

static void nodes_of_no_device_are_made(void **state)
{
	struct oci_device d[] = {
		{ 'c', (char *)"/dev/ptmx", 5, 2, 0666, 0, 0 }, /* a link, by the agent */
		{ 'b', (char *)"/dev/no-such-thing", 8, 4000, 0600, 7, 8 },
		{ 'c', (char *)"/dev/no-such-other", 4000, 1, 0660, 0, 0 },
	};
	struct oci_spec spec = { .devices = d, .num_devices = 3 };
	cleanup_arena struct arena a = { NULL };
	struct launch_plan plan;

	(void)state;
	assert_int_equal(launch_plan(&spec, "/", &a, &plan, NULL), 0);
	assert_int_equal(plan.num_devices, 8);
	assert_int_equal(plan.devices[0].mode, S_IFBLK | 0600);
	assert_int_equal(plan.devices[0].major, 8);
	assert_int_equal(plan.devices[0].minor, 4000);
	assert_int_equal(plan.devices[0].gid, 8);
	assert_int_equal(plan.devices[1].mode, S_IFCHR | 0660);
}

static int plan_one_bind(struct arena *a, const char *source, const char *bundle,
			 struct launch_plan *plan, struct error **err)
{
	static struct oci_mount m;
	struct oci_spec spec = { .mounts = &m, .num_mounts = 1 };

	m = (struct oci_mount){ .destination = (char *)"/x", .type = (char *)"bind",
				.source = (char *)source, .options = no_options };
	return launch_plan(&spec, bundle, a, plan, err);
}

static void bind_mounts_are_exported(void **state)
{
	cleanup_arena struct arena a = { NULL };
	cleanup_error struct error *err = NULL;
	struct launch_plan plan;

	(void)state;
	assert_int_equal(plan_one_bind(&a, "tmp", "/", &plan, NULL), 0);
	assert_int_equal(plan.num_exports, 1);
	assert_string_equal(plan.exports[0].path, "//tmp");
	assert_int_equal(plan.mounts[0].kind, AGENT_MOUNT_EXPORT);
	assert_string_equal(plan.mounts[0].source, "0");
	assert_int_equal(plan_one_bind(&a, "/dev/zero", "/", &plan, NULL), 0);
	assert_int_equal(plan.num_exports, 0);
	assert_string_equal(plan.devices[0].path, "/x");
	assert_int_equal(plan.devices[0].minor, 5);
	assert_int_equal(plan_one_bind(&a, "/no/such/file", "/", &plan, &err), -1);
	assert_string_equal(error_msg(err),
			    "mounts[0].source: /no/such/file: No such file or directory");
}

/* The guest checks what may be executed, and to whom a file gives rights: it has to be told. */
static void what_holds_for_a_tree_is_sent(void **state)
{
	char *options[] = { (char *)"rbind", (char *)"rro", (char *)"rnoexec", (char *)"rnosuid",
			    (char *)"rnodev", (char *)"rnoatime", (char *)"symfollow",
			    (char *)"rnosymfollow", NULL };
	struct oci_mount m = { .destination = (char *)"/x", .type = (char *)"bind",
			       .source = (char *)"/tmp", .options = options };
	const struct oci_spec spec = { .mounts = &m, .num_mounts = 1 };
	cleanup_arena struct arena a = { NULL };
	struct launch_plan plan;

	(void)state;
	assert_int_equal(launch_plan(&spec, "/", &a, &plan, NULL), 0);
	assert_true(plan.mounts[0].flags == (MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV |
					     MS_NOATIME | 256 /* MS_NOSYMFOLLOW */));
	assert_false(plan.mounts[0].clear_flags & plan.mounts[0].flags);
	assert_true(plan.exports[0].plan.flags & MS_RDONLY);
}

static void fifos_are_refused(void **state)
{
	cleanup_arena struct arena a = { NULL };
	cleanup_error struct error *err = NULL;
	char path[] = "/tmp/krun-gpu-fifo-XXXXXX";
	struct launch_plan plan;

	(void)state;
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(plan_one_bind(&a, path, "/", &plan, &err), -1);
	assert_non_null(strstr(error_msg(err), "is a FIFO of the host's"));
	unlink(path);
}

static void only_stream_sockets_are_reached(void **state)
{
	static const struct {
		int type;
		const char *why; /* NULL: connected through to */
	} cases[] = {
		{ SOCK_STREAM, NULL },
		{ SOCK_DGRAM, "is a socket of datagrams" },
		{ SOCK_SEQPACKET, "is a socket of sequenced packets" },
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup_arena struct arena a = { NULL };
	char path[] = "/tmp/krun-gpu-sock-XXXXXX";
	struct launch_plan plan;

	(void)state;
	close(mkstemp(path));
	strcpy(addr.sun_path, path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_close int sock = socket(AF_UNIX, cases[i].type | SOCK_NONBLOCK, 0);
		cleanup_error struct error *err = NULL;

		unlink(path);
		assert_int_equal(bind(sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
		if (cases[i].type != SOCK_DGRAM)
			assert_int_equal(listen(sock, 1), 0);
		assert_int_equal(plan_one_bind(&a, path, "/", &plan, &err), cases[i].why ? -1 : 0);
		if (cases[i].why)
			assert_non_null(strstr(error_msg(err), cases[i].why));
		else
			assert_int_equal(accept(sock, NULL, NULL), -1); /* it has heard nothing */
	}
	/* Nobody listens: somebody may yet. */
	assert_int_equal(plan_one_bind(&a, path, "/", &plan, NULL), 0);
	assert_int_equal(plan.num_sockets, 1);
	unlink(path);
}

static void nodes_for_computing_need_a_gpu(void **state)
{
	struct oci_device d[] = { { 'c', (char *)"/dev/nvidia-uvm", 511, 0, 0666, 0, 0 },
				  { 'c', (char *)"/dev/nvidia0", 195, 0, 0666, 0, 0 } };
	struct oci_spec spec = { .devices = d, .num_devices = 2 };
	cleanup_arena struct arena a = { NULL };
	cleanup_error struct error *err = NULL;
	struct launch_plan plan;

	(void)state;
	assert_int_equal(launch_plan(&spec, "/", &a, &plan, NULL), 0);
	assert_true(plan.gpu);
	spec.num_devices = 1;
	assert_int_equal(launch_plan(&spec, "/", &a, &plan, &err), -1);
	assert_non_null(strstr(error_msg(err), "/dev/nvidia-uvm is of no use without a GPU"));
	spec.resources.all_devices = true;
	assert_int_equal(launch_plan(&spec, "/", &a, &plan, NULL), 0);
	assert_false(plan.gpu);
}

static void the_guest_keeps_huge_pages(void **state)
{
	struct oci_hugepage_limit limits[] = { { (char *)"2MB", 0 }, { (char *)"1GB", 1 << 30 } };
	struct oci_pair unified[] = { { (char *)"memory.swap.max", (char *)"1" },
				      { (char *)"hugetlb.2MB.max", (char *)"2097152" } };
	const struct oci_resources r = { .hugepages = limits, .num_hugepages = 2,
					 .unified = unified, .num_unified = 2 };
	cleanup_arena struct arena a = { NULL };
	struct agent_pair *files;
	size_t count;

	(void)state;
	assert_int_equal(launch_guest_cgroup(&r, &a, &files, &count, NULL), 0);
	assert_int_equal(count, 3);
	assert_string_equal(files[0].key, "hugetlb.2MB.max");
	assert_string_equal(files[0].value, "0");
	assert_string_equal(files[1].key, "hugetlb.1GB.max");
	assert_string_equal(files[1].value, "1073741824");
	assert_string_equal(files[2].value, "2097152");
	assert_null(cgroup_needed(&(struct oci_resources){ .hugepages = limits, .num_hugepages = 2 }));
}

static void the_guest_gets_its_half(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	char *args[] = { (char *)"a", NULL };
	struct oci_namespace ns[] = { { (char *)"network", CLONE_NEWNET, NULL },
				      { (char *)"pid", CLONE_NEWPID, NULL } };
	struct oci_pair unified[] = { { (char *)"memory.high", (char *)"7" },
				      { (char *)"cpu.weight", (char *)"8" } };
	cleanup_spec struct oci_spec spec = {
		.process = { .args = args, .cwd = (char *)"/" }, .namespaces = ns,
		.num_namespaces = 2,
		.resources = { .pids_limit = 5, .has_memory_limit = true, .memory_limit = -1,
			       .cpu_quota = 150000,
			       .unified = unified, .num_unified = 2 },
	};
	struct launch_plan plan = { 0 };
	struct net_found net = { .interfaces = { { .name = (char *)"eth7", .mtu = 1400 } },
				 .count = 1 };
	struct agent_container c = { 0 };
	struct wire_reader r;

	(void)state;
	assert_int_equal(launch_guest_encode(&spec, &plan, &net, "{}", true, &spec.arena, &w,
					     NULL), 0);
	r = WIRE_READER(w.data, w.len);
	assert_int_equal(agent_container_decode(&r, &c), 0);
	assert_true(c.namespaces == (CLONE_NEWNS | CLONE_NEWPID));
	assert_true(c.process.stdin_open);
	assert_int_equal(c.num_interfaces, 1);
	assert_string_equal(c.interfaces[0].name, "eth7");
	assert_int_equal(c.num_cgroup, 4);
	assert_string_equal(c.cgroup[0].value, "max");
	assert_string_equal(c.cgroup[1].key, "pids.max");
	assert_string_equal(c.cgroup[2].key, "cpu.max");
	assert_string_equal(c.cgroup[2].value, "150000 100000");
	assert_string_equal(c.cgroup[3].key, "memory.high");
	agent_container_release(&c);
	assert_string_equal(cgroup_needed(&spec.resources), "cpu.quota");
	spec.resources.cpu_quota = 0;
	assert_string_equal(cgroup_needed(&spec.resources), "unified");
}

static void namespaces_of_the_microvm_are_named(void **state)
{
	cleanup_wire struct wire_writer w = { 0 };
	char *args[] = { (char *)"a", NULL }, text[1024];
	struct oci_namespace ns[] = { { (char *)"pid", CLONE_NEWPID, NULL } };
	cleanup_spec struct oci_spec spec = { .process = { .args = args, .cwd = (char *)"/" },
					      .namespaces = ns, .num_namespaces = 1 };
	const struct launch_plan plan = { 0 };
	const struct net_found net = { 0 };
	int log[2];
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(log), 0);
	log_init("test", log[1], LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
	assert_int_equal(launch_guest_encode(&spec, &plan, &net, "{}", true, &spec.arena, &w, NULL), 0);
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	n = read(log[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, "test: linux.namespaces: no ipc namespace: the container shares the "
			    "microVM's, not the host's\n"
			    "test: linux.namespaces: no cgroup namespace: the container shares the "
			    "microVM's, not the host's\n");
	close(log[0]);
	close(log[1]);
}

static void cgroup_paths_stay_inside(void **state)
{
	cleanup_arena struct arena a = { NULL };

	(void)state;
	assert_string_equal(cgroup_path("/a/b", "id", &a, NULL), "/sys/fs/cgroup/a/b");
	assert_string_equal(cgroup_path(NULL, "id", &a, NULL), "/sys/fs/cgroup/id");
	assert_string_equal(cgroup_path("a..b", "id", &a, NULL), "/sys/fs/cgroup/a..b");
	assert_null(cgroup_path("/a/../..", "id", &a, NULL));
	assert_null(cgroup_path("..", "id", &a, NULL));
	assert_null(cgroup_path("/", "id", &a, NULL));
	assert_null(cgroup_path("///", "id", &a, NULL));
	assert_null(cgroup_path("/.", "id", &a, NULL));
	assert_null(cgroup_path("a/./b", "id", &a, NULL));
	assert_string_equal(cgroup_path("/.a/", "id", &a, NULL), "/sys/fs/cgroup/.a/");
}

static void systemd_scopes_are_named(void **state)
{
	static const struct {
		const char *wanted, *slice, *unit; /* no unit: refused */
	} cases[] = {
		{ "machine.slice:libpod:abc", "machine.slice", "libpod-abc.scope" },
		{ "a-b.slice::abc", "a-b.slice", "abc.scope" },
		{ "/a/b", NULL, NULL }, { "a:b", NULL, NULL }, { "a:b:c:d", NULL, NULL },
		{ "a.slice:b:", NULL, NULL }, { "a/b:c:d", NULL, NULL }, { "a:b:c d", NULL, NULL },
		{ "a:b:c\n", NULL, NULL },
	};
	cleanup_arena struct arena a = { NULL };
	struct systemd_scope scope;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (systemd_scope_parse(cases[i].wanted, "id", &a, &scope, NULL) < 0) {
			if (cases[i].unit)
				fail_msg("refused: %s", cases[i].wanted);
			continue;
		}
		assert_non_null(cases[i].unit);
		assert_string_equal(scope.slice, cases[i].slice);
		assert_string_equal(scope.unit, cases[i].unit);
	}
	assert_int_equal(systemd_scope_parse("", "id", &a, &scope, NULL), 0);
	assert_string_equal(scope.unit, "krun-gpu-id.scope");
}

static int load_host_config(const char *text, struct host_config *cfg, struct error **err)
{
	char path[] = "/tmp/krun-gpu-conf-XXXXXX";
	int fd = mkstemp(path), r;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = host_config_load(path, cfg, err);
	unlink(path);
	return r;
}

static void host_configuration(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "kernel", ":1: expected key = value" },
		{ "\n# c\nfoo = 1\n", ":3: unknown key \"foo\"" },
		{ "kernel = vmlinux", "absolute path" },
		{ "software-gpu = maybe", "expected yes or no" },
	};
	struct host_config cfg = { 0 };

	(void)state;
	assert_int_equal(load_host_config("# x\n\n kernel =  /k \nsoftware-gpu=yes\n"
					  "kernel-options = a=b c", &cfg, NULL), 0);
	assert_string_equal(cfg.kernel, "/k");
	assert_string_equal(cfg.kernel_options, "a=b c");
	assert_true(cfg.software_gpu);
	assert_false(cfg.guest_console);
	host_config_release(&cfg);
	assert_int_equal(host_config_load("/no/such/file", &cfg, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cleanup_error struct error *err = NULL;

		assert_int_equal(load_host_config(bad[i].text, &cfg, &err), -1);
		if (!strstr(error_msg(err), bad[i].why))
			fail_msg("%s", error_msg(err));
		host_config_release(&cfg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_by_name_and_number),
		cmocka_unit_test(cpu_lists),
		cmocka_unit_test(sizes_follow_the_limits),
		cmocka_unit_test(gpu_memory_fits_the_limits),
		cmocka_unit_test(host_limits_follow_the_containers),
		cmocka_unit_test(numbers_of_cgroup_files),
		cmocka_unit_test(devices_are_the_guests_or_refused),
		cmocka_unit_test(nodes_of_no_device_are_made),
		cmocka_unit_test(bind_mounts_are_exported),
		cmocka_unit_test(what_holds_for_a_tree_is_sent),
		cmocka_unit_test(fifos_are_refused),
		cmocka_unit_test(only_stream_sockets_are_reached),
		cmocka_unit_test(nodes_for_computing_need_a_gpu),
		cmocka_unit_test(the_guest_keeps_huge_pages),
		cmocka_unit_test(the_guest_gets_its_half),
		cmocka_unit_test(namespaces_of_the_microvm_are_named),
		cmocka_unit_test(cgroup_paths_stay_inside),
		cmocka_unit_test(systemd_scopes_are_named),
		cmocka_unit_test(host_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
