/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "oci/oci_spec.h"

static char dir[] = "/tmp/krun-gpu-spec-XXXXXX";

/* Loads @text as the bundle's config.json. */
static int load(const char *text, struct oci_spec *spec, struct error **err)
{
	cleanup_close int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = openat(dirfd, "config.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return oci_spec_load(dirfd, "config.json", spec, err);
}

#define PROCESS "\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"}"
#define ROOT "\"root\":{\"path\":\"rootfs\"}"
#define VERSION "\"ociVersion\":\"1.0.2\""
#define WITH(members) "{" VERSION "," PROCESS "," ROOT "," members "}"
#define WITH_LINUX(members) WITH("\"linux\":{" members "}")
#define WITH_PROCESS(members) \
	"{" VERSION "," ROOT ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"," members "}}"
#define WITH_MOUNT(members) WITH("\"mounts\":[{" members "}]")
#define WITH_TIME(offsets) \
	WITH_LINUX("\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{" offsets "}")
#define WITH_SECCOMP(members) WITH_LINUX("\"seccomp\":{" members "}")

static const struct {
	const char *config, *why;
} refused[] = {
	{ "", "not valid JSON" },
	{ "{", "not valid JSON" },
	{ "[]", "expected an object" },
	{ "7", "expected an object" },
	{ "{}", "root: missing" },
	{ "{" PROCESS "," ROOT "}", "ociVersion: missing" },
	{ "{\"ociVersion\":1," PROCESS "," ROOT "}", "ociVersion: expected a string" },
	{ "{\"ociVersion\":\"2.0.0\"," PROCESS "," ROOT "}", "2.0.0 is not supported" },
	{ "{\"ociVersion\":\"0.9\"," PROCESS "," ROOT "}", "0.9 is not supported" },
	{ "{\"ociVersion\":\"1.0.0-rc1\"," PROCESS "," ROOT "}", "is not supported" },
	{ "{" VERSION "," ROOT ",\"process\":{}}", "process.args: missing" },
	{ "{" VERSION "," PROCESS "}", "root: missing" },
	{ "{" VERSION "," PROCESS ",\"root\":{}}", "root.path: missing" },
	{ "{" VERSION "," PROCESS ",\"root\":[]}", "root: expected an object" },
	{ "{" VERSION "," PROCESS ",\"root\":{\"path\":3}}", "root.path: expected a string" },
	{ "{" VERSION "," PROCESS ",\"root\":{\"path\":\"a\",\"readonly\":\"no\"}}",
	  "root.readonly: expected true or false" },
	{ "{" VERSION "," ROOT ",\"process\":{\"cwd\":\"/\"}}", "process.args: missing" },
	{ "{" VERSION "," ROOT ",\"process\":{\"cwd\":\"/\",\"args\":[]}}", "process.args: missing" },
	{ "{" VERSION "," ROOT ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\",\"b\",3]}}",
	  "process.args[2]: expected a string" },
	{ "{" VERSION "," ROOT ",\"process\":{\"cwd\":\"/\",\"args\":\"sh\"}}",
	  "process.args: expected an array" },
	{ "{" VERSION "," ROOT ",\"process\":{\"cwd\":\"/\",\"args\":[\"a\\u0000b\"]}}",
	  "NUL character" },
	{ "{" VERSION "," ROOT ",\"process\":{\"args\":[\"sh\"],\"cwd\":\"tmp\"}}",
	  "process.cwd: expected an absolute path" },
	{ WITH_PROCESS("\"env\":[\"A=b\",\"C\"]"), "process.env[1]" },
	{ WITH_PROCESS("\"terminal\":1"), "process.terminal: expected true or false" },
	{ WITH_PROCESS("\"user\":{\"uid\":-1}"), "process.user.uid" },
	{ WITH_PROCESS("\"user\":{\"uid\":4294967296}"), "process.user.uid: expected a number below" },
	{ WITH_PROCESS("\"user\":{\"uid\":1.5}"), "process.user.uid: expected a whole number" },
	{ WITH_PROCESS("\"user\":{\"umask\":4096}"), "process.user.umask" },
	{ WITH_PROCESS("\"user\":{\"additionalGids\":[1,\"2\"]}"),
	  "process.user.additionalGids[1]: expected a group id" },
	{ WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]"),
	  "process.rlimits[0].type: unknown resource limit" },
	{ WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]"),
	  "process.rlimits[0].soft: is above hard" },
	{ WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
		       "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]"), "given twice" },
	{ WITH_PROCESS("\"oomScoreAdj\":2000"), "process.oomScoreAdj" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_X\"}"),
	  "process.scheduler.policy: unknown value SCHED_X" },
	{ WITH_PROCESS("\"scheduler\":{}"), "process.scheduler.policy: missing" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"nice\":20}"),
	  "process.scheduler.nice: expected a number from -20 to 19" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_FIFO\",\"priority\":0}"),
	  "process.scheduler.priority: expected a number from 1 to 99" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"priority\":4294967297}"),
	  "process.scheduler.priority: is for" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_IDLE\",\"deadline\":5}"),
	  "is for SCHED_DEADLINE" },
	{ WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":[\"X\"]}"),
	  "process.scheduler.flags: unknown flag X" },
	{ WITH_PROCESS("\"ioPriority\":{}"), "process.ioPriority.class: missing" },
	{ WITH_PROCESS("\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}"),
	  "process.ioPriority.priority: expected a number from 0 to 7" },
	{ WITH_PROCESS("\"execCPUAffinity\":{}"), "process.execCPUAffinity" },
	{ WITH("\"mounts\":{}"), "mounts: expected an array" },
	{ WITH("\"mounts\":[7]"), "mounts[0]: expected an object" },
	{ WITH_MOUNT("\"type\":\"proc\""), "mounts[0].destination: missing" },
	{ WITH_MOUNT("\"destination\":\"\",\"type\":\"proc\""), "mounts[0].destination: missing" },
	{ WITH_MOUNT("\"destination\":\"/x\",\"type\":\"ext4\",\"source\":\"/dev/sda\""),
	  "mounts[0].type" },
	{ WITH_MOUNT("\"destination\":\"/x\",\"type\":\"bind\""), "mounts[0].source: missing" },
	{ WITH_MOUNT("\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/\","
		     "\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]"),
	  "mounts[0]: an idmapped mount needs uidMappings and gidMappings" },
	{ WITH("\"hooks\":{\"prestart\":[{\"path\":\"x\"}]}"), "hooks.prestart[0].path" },
	{ WITH("\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}"),
	  "hooks.prestart[0].timeout" },
	{ WITH("\"hooks\":{\"startContainer\":[{\"path\":\"x\"}]}"), "hooks.startContainer[0].path" },
	{ WITH("\"annotations\":{\"a\":1}"), "annotations.a: expected a string" },
	{ WITH("\"hostname\":\"x\""), "hostname: needs a uts namespace" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"pod\"}]"), "linux.namespaces[0].type: unknown" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]"), "given twice" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"user\"}]"), "linux.uidMappings: missing" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"user\"}],\"uidMappings\":["
		     "{\"containerID\":0,\"hostID\":1,\"size\":1}]"), "linux.gidMappings: missing" },
	{ WITH_LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":1}]"),
	  "linux.uidMappings[0].size: missing" },
	{ WITH_LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":0}]"),
	  "linux.uidMappings[0].size: the range is empty" },
	{ WITH_LINUX("\"gidMappings\":[{\"containerID\":1,\"hostID\":1,\"size\":4294967295}]"),
	  "linux.gidMappings[0].size: the range" },
	{ WITH_LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":10,\"size\":10},"
		     "{\"containerID\":20,\"hostID\":19,\"size\":1}]"),
	  "linux.uidMappings[1]: overlaps" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"}]"),
	  "cannot join the host's pid namespace" },
	{ WITH_LINUX("\"namespaces\":[{\"type\":\"network\",\"path\":\"x\"}]"),
	  "linux.namespaces[0].path: expected an absolute path" },
	{ WITH_LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":1,\"size\":1}]"),
	  "linux.uidMappings: needs a user namespace" },
	{ WITH_LINUX("\"devices\":[{\"path\":\"/dev/x\",\"type\":\"z\"}]"),
	  "linux.devices[0].type" },
	{ WITH_LINUX("\"devices\":[{\"path\":\"x\",\"type\":\"c\"}]"), "linux.devices[0].path" },
	{ WITH_LINUX("\"devices\":[{\"path\":\"/x\",\"type\":\"c\",\"major\":-5}]"),
	  "linux.devices[0].major" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"limit\":\"1g\"}}"),
	  "linux.resources.memory.limit: expected a whole number" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"limit\":100,\"swap\":50}}"),
	  "linux.resources.memory.swap" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"kernel\":100}}"),
	  "linux.resources.memory.kernel: cgroup v2" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"disableOOMKiller\":true}}"), "disableOOMKiller" },
	{ WITH_LINUX("\"resources\":{\"cpu\":{\"realtimeRuntime\":5}}"), "realtimeRuntime" },
	{ WITH_LINUX("\"resources\":{\"blockIO\":{\"weight\":5}}"), "blockIO.weight" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"swap\":50}}"),
	  "linux.resources.memory.swap: it counts memory and swap together, and there is no" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"limit\":-1,\"swap\":50}}"),
	  "linux.resources.memory.swap: it counts" },
	{ WITH_LINUX("\"resources\":{\"memory\":{\"checkBeforeUpdate\":1}}"),
	  "linux.resources.memory.checkBeforeUpdate: expected true or false" },
	{ WITH_LINUX("\"resources\":{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,"
		     "\"weight\":50,\"leafWeight\":50}]}}"),
	  "linux.resources.blockIO.weightDevice[0].leafWeight: cgroup v2 has no such limit" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":{}}"),
	  "linux.resources.hugepageLimits: expected an array" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":[{}]}"), "hugepageLimits" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":0}]}"),
	  "linux.resources.hugepageLimits[0].pageSize" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2M\",\"limit\":0}]}"),
	  "linux.resources.hugepageLimits[0].pageSize" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2MB\"}]}"),
	  "linux.resources.hugepageLimits[0].limit: missing" },
	{ WITH_LINUX("\"resources\":{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":-1}]}"),
	  "linux.resources.hugepageLimits[0].limit: expected a whole number" },
	{ WITH_LINUX("\"resources\":{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}}}"),
	  "linux.resources.rdma: not supported for a microVM" },
	{ WITH_LINUX("\"resources\":{\"network\":{\"classID\":1}}"), "linux.resources.network" },
	{ WITH_LINUX("\"resources\":{\"pids\":7}"), "linux.resources.pids: expected an object" },
	{ WITH_LINUX("\"intelRdt\":{\"closID\":\"x\"}"),
	  "linux.intelRdt: not supported for a container in a microVM" },
	{ WITH_LINUX("\"netDevices\":{\"eth0\":{\"name\":\"x\"}}"),
	  "linux.netDevices: not supported for a container in a microVM" },
	{ WITH_LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\"}"),
	  "linux.memoryPolicy: not supported for a container in a microVM" },
	{ WITH_LINUX("\"mountLabel\":7"), "linux.mountLabel: expected a string" },
	{ WITH("\"vm\":{\"kernel\":{\"path\":\"/k\"}}"), "vm: not supported: the host's" },
	{ WITH("\"vm\":[]"), "vm: expected an object" },
	{ WITH_LINUX("\"personality\":{\"domain\":\"BSD\"}"), "linux.personality.domain: unknown" },
	{ WITH_LINUX("\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"X\"]}"),
	  "linux.personality.flags" },
	{ WITH_LINUX("\"timeOffsets\":{\"monotonic\":{}}"), "linux.timeOffsets: needs a time namespace" },
	{ WITH_TIME("\"realtime\":{}"), "linux.timeOffsets.realtime: no clock" },
	{ WITH_TIME("\"boottime\":5"), "linux.timeOffsets.boottime: expected an object" },
	{ WITH_TIME("\"boottime\":{\"secs\":\"1\"}"), "linux.timeOffsets.boottime.secs" },
	{ WITH_TIME("\"boottime\":{\"nanosecs\":1000000000}"), "boottime.nanosecs: is a second" },
	{ WITH_LINUX("\"maskedPaths\":[\"proc\"]"), "linux.maskedPaths[0]" },
	{ WITH_LINUX("\"sysctl\":{\"../x\":\"1\"}"), "linux.sysctl" },
	{ WITH_LINUX("\"sysctl\":{\"net.//.kernel\":\"1\"}"), "linux.sysctl: net.//.kernel is not" },
	{ WITH_LINUX("\"rootfsPropagation\":\"sideways\""), "linux.rootfsPropagation" },
	{ WITH_SECCOMP("\"syscalls\":[]"), "linux.seccomp.defaultAction: missing" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_X\""), "unknown action SCMP_ACT_X" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_NOTIFY\""), "SCMP_ACT_NOTIFY is not supported" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\""),
	  "linux.seccomp.listenerPath" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"VAX\"]"),
	  "linux.seccomp.architectures[0]" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"X\"]"),
	  "linux.seccomp.flags[0]" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],"
		       "\"action\":\"SCMP_ACT_ALLOW\"}]"), "linux.seccomp.syscalls[0].names" },
	{ WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		       "\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}]"),
	  "linux.seccomp.syscalls[0].args[0].index" },
};

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		cleanup_spec struct oci_spec spec = { 0 };
		cleanup_error struct error *err = NULL;

		if (load(refused[i].config, &spec, &err) == 0)
			fail_msg("accepted: %s", refused[i].config);
		if (!strstr(error_msg(err), refused[i].why))
			fail_msg("%s\n gave: %s\n not: %s", refused[i].config, error_msg(err),
				 refused[i].why);
	}
}

static void deep_nesting_is_refused(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 };
	cleanup_error struct error *err = NULL;
	char text[4096];

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(load(text, &spec, &err), -1);
	assert_non_null(strstr(error_msg(err), "nested too deep"));
}

static void a_missing_file_is_named(void **state)
{
	cleanup_close int dirfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_spec struct oci_spec spec = { 0 };
	cleanup_error struct error *err = NULL;

	(void)state;
	assert_int_equal(oci_spec_load(dirfd, "no-config.json", &spec, &err), -1);
	assert_string_equal(error_msg(err), "cannot read no-config.json: No such file or directory");
}

static const char full[] =
"{ \"ociVersion\": \"1.2.0\", \"unknown\": { \"x\": [] }, \"hostname\": \"h\", \"domainname\": null,"
"  \"root\": { \"path\": \"rootfs\", \"readonly\": true },"
"  \"annotations\": { \"krun.cpus\": \"3\" },"
"  \"hooks\": { \"poststop\": [ { \"path\": \"/bin/true\", \"args\": [ \"true\", \"x\" ],"
"                             \"env\": [ \"A=b\" ], \"timeout\": 9 } ] },"
"  \"process\": { \"terminal\": true, \"consoleSize\": { \"height\": 25, \"width\": 80 },"
"    \"user\": { \"uid\": 4294967295, \"gid\": 2, \"umask\": 18, \"additionalGids\": [ 3, 4 ] },"
"    \"args\": [ \"a\", \"b\" ], \"env\": [ \"X=\" ], \"cwd\": \"/w\","
"    \"capabilities\": { \"bounding\": [ \"CAP_CHOWN\", \"CAP_KILL\", \"CAP_NO_SUCH\" ],"
"                      \"permitted\": [ \"CAP_SYS_ADMIN\", \"CAP_KILL\" ],"
"                      \"inheritable\": [ \"CAP_SYS_ADMIN\" ],"
"                      \"ambient\": [ \"CAP_KILL\", \"CAP_SYS_ADMIN\" ] },"
"    \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"soft\": 5,"
"                   \"hard\": 18446744073709551615 } ],"
"    \"noNewPrivileges\": true, \"oomScoreAdj\": -7 },"
"  \"mounts\": [ { \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" } ],"
"  \"linux\": {"
"    \"namespaces\": [ { \"type\": \"uts\" }, { \"type\": \"network\", \"path\": \"/run/n\" } ],"
"    \"devices\": [ { \"path\": \"/dev/f\", \"type\": \"c\", \"major\": 10, \"minor\": 229 } ],"
"    \"resources\": { \"memory\": { \"limit\": 1048576 }, \"pids\": { \"limit\": -1 },"
"      \"devices\": [ { \"allow\": true, \"access\": \"rwm\" } ],"
"      \"cpu\": { \"quota\": -1, \"shares\": 512, \"cpus\": \"0-1\" },"
"      \"hugepageLimits\": [ { \"pageSize\": \"2MB\", \"limit\": 0 },"
"                            { \"pageSize\": \"1GB\", \"limit\": 1073741824 } ],"
"      \"unified\": { \"memory.high\": \"5\" } },"
"    \"mountLabel\": \"a:b:c\","
"    \"sysctl\": { \"net.ipv4.ip_forward\": \"1\" }, \"intelRdt\": {},"
"    \"rootfsPropagation\": \"rslave\", \"maskedPaths\": [ \"/proc/kcore\" ] } }";

static void a_full_configuration_is_read(void **state)
{
	cleanup_spec struct oci_spec s = { 0 };
	cleanup_error struct error *err = NULL;

	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	if (load(full, &s, &err) < 0)
		fail_msg("%s", error_msg(err));
	assert_true(s.root_readonly);
	assert_string_equal(s.hostname, "h");
	assert_null(s.domainname);
	assert_string_equal(oci_spec_annotation(&s, "krun.cpus"), "3");
	assert_null(oci_spec_annotation(&s, "krun.cpu"));
	assert_int_equal(s.hooks[OCI_HOOK_POSTSTOP].count, 1);
	assert_int_equal(s.hooks[OCI_HOOK_POSTSTOP].hooks[0].timeout, 9);
	assert_string_equal(s.hooks[OCI_HOOK_POSTSTOP].hooks[0].args[1], "x");
	assert_true(s.process.terminal);
	assert_int_equal(s.process.rows, 25);
	assert_int_equal(s.process.columns, 80);
	assert_true(s.process.uid == UINT32_MAX);
	assert_true(s.process.has_umask);
	assert_int_equal(s.process.umask, 022);
	assert_int_equal(s.process.num_additional_gids, 2);
	assert_int_equal(s.process.additional_gids[1], 4);
	assert_true(s.process.capabilities[OCI_CAP_BOUNDING] == (1u << 0 | 1u << 5));
	assert_true(s.process.capabilities[OCI_CAP_AMBIENT] == 1u << 21);
	assert_int_equal(s.process.rlimits[0].resource, RLIMIT_NOFILE);
	assert_true(s.process.rlimits[0].hard == UINT64_MAX);
	assert_int_equal(s.process.oom_score_adj, -7);
	assert_string_equal(oci_spec_namespace(&s, CLONE_NEWNET)->path, "/run/n");
	assert_null(oci_spec_namespace(&s, CLONE_NEWPID));
	assert_int_equal(s.devices[0].minor, 229);
	assert_int_equal(s.devices[0].mode, 0666);
	assert_int_equal(s.resources.memory_limit, 1048576);
	assert_int_equal(s.resources.pids_limit, -1);
	assert_true(s.resources.all_devices);
	assert_string_equal(s.resources.cpus, "0-1");
	assert_int_equal(s.resources.num_hugepages, 2);
	assert_string_equal(s.resources.hugepages[0].page_size, "2MB");
	assert_int_equal(s.resources.hugepages[1].limit, 1 << 30);
	assert_string_equal(s.resources.unified[0].value, "5");
	assert_string_equal(s.mount_label, "a:b:c");
	assert_string_equal(s.masked_paths[0], "/proc/kcore");
}

/* A configuration is read by each command: whoever makes the container says what it goes without. */
static void what_is_to_be_warned_of_is_kept(void **state)
{
	cleanup_spec struct oci_spec s = { 0 };
	char log[] = "/tmp/krun-gpu-log-XXXXXX";
	int fd = mkstemp(log);

	(void)state;
	log_init("test", fd, LOG_FORMAT_TEXT, LOG_LEVEL_DEBUG);
	assert_int_equal(load(full, &s, NULL), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	close(fd);
	unlink(log);
	assert_string_equal(s.process.warnings[0],
			    "process.capabilities.bounding: unknown capability CAP_NO_SUCH");
	assert_non_null(strstr(s.process.warnings[1], "process.capabilities.ambient: what is not"));
	assert_null(s.process.warnings[2]);
}

/* Whatever is cut off or flipped: an answer, and no fault (the sanitizers watch). */
static void damaged_configurations_do_no_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(full) - 1; i += 3) {
		cleanup_spec struct oci_spec cut = { 0 }, flipped = { 0 };
		char text[sizeof(full)];

		memcpy(text, full, sizeof(full));
		text[i] ^= 0x15;
		if (text[i])
			load(text, &flipped, NULL);
		memcpy(text, full, i);
		text[i] = 0;
		assert_int_equal(load(text, &cut, NULL), -1);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/config.json", dir);
	unlink(path);
	return rmdir(dir);
}

static void clocks_have_offsets(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 }, none = { 0 };

	(void)state;
	assert_int_equal(load(WITH_TIME("\"monotonic\":{\"secs\":-5,\"nanosecs\":7},"
					"\"boottime\":{\"secs\":86400}"), &spec, NULL), 0);
	assert_true(spec.time_offsets[OCI_CLOCK_MONOTONIC].secs == -5);
	assert_int_equal(spec.time_offsets[OCI_CLOCK_MONOTONIC].nanosecs, 7);
	assert_true(spec.time_offsets[OCI_CLOCK_BOOTTIME].secs == 86400);
	/* engines write empty objects */
	assert_int_equal(load(WITH_LINUX("\"timeOffsets\":{}"), &none, NULL), 0);
	assert_false(none.has_time_offsets);
}

static void relative_destinations_are_the_roots(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 }, up = { 0 };

	(void)state;
	assert_int_equal(load(WITH_MOUNT("\"destination\":\"a/b\",\"type\":\"proc\""), &spec, NULL), 0);
	assert_string_equal(spec.mounts[0].destination, "/a/b");
	assert_int_equal(load(WITH_MOUNT("\"destination\":\"../../x\",\"type\":\"proc\""), &up, NULL), 0);
	assert_string_equal(up.mounts[0].destination, "/../../x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(a_full_configuration_is_read),
		cmocka_unit_test(what_is_to_be_warned_of_is_kept),
		cmocka_unit_test(damaged_configurations_do_no_harm),
		cmocka_unit_test(clocks_have_offsets),
		cmocka_unit_test(relative_destinations_are_the_roots),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
