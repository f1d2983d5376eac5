/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

static const char spec_default[] =
"{\n"
"  \"ociVersion\": \"1.0.2\",\n"
"  \"process\": {\n"
"    \"terminal\": true,\n"
"    \"user\": { \"uid\": 0, \"gid\": 0 },\n"
"    \"args\": [ \"sh\" ],\n"
"    \"env\": [\n"
"      \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
"      \"TERM=xterm\"\n"
"    ],\n"
"    \"cwd\": \"/\",\n"
"    \"capabilities\": {\n"
"      \"bounding\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
"      \"effective\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ],\n"
"      \"permitted\": [ \"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\" ]\n"
"    },\n"
"    \"rlimits\": [ { \"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024 } ],\n"
"    \"noNewPrivileges\": true\n"
"  },\n"
"  \"root\": { \"path\": \"rootfs\", \"readonly\": true },\n"
"  \"hostname\": \"krun-gpu\",\n"
"  \"mounts\": [\n"
"    { \"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\" },\n"
"    { \"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
"      \"options\": [ \"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\" ] },\n"
"    { \"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", \"mode=0620\",\n"
"                   \"gid=5\" ] },\n"
"    { \"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\" ] },\n"
"    { \"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"nodev\" ] },\n"
"    { \"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"ro\" ] },\n"
"    { \"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\", \"source\": \"cgroup\",\n"
"      \"options\": [ \"nosuid\", \"noexec\", \"nodev\", \"relatime\", \"ro\" ] }\n"
"  ],\n"
"  \"linux\": {\n"
"    \"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },\n"
"    \"namespaces\": [\n"
"      { \"type\": \"pid\" }, { \"type\": \"network\" }, { \"type\": \"ipc\" },\n"
"      { \"type\": \"uts\" }, { \"type\": \"cgroup\" }, { \"type\": \"mount\" }\n"
"    ],\n"
"    \"maskedPaths\": [\n"
"      \"/proc/acpi\", \"/proc/asound\", \"/proc/kcore\", \"/proc/keys\",\n"
"      \"/proc/latency_stats\", \"/proc/timer_list\", \"/proc/timer_stats\",\n"
"      \"/proc/sched_debug\", \"/sys/firmware\", \"/proc/scsi\"\n"
"    ],\n"
"    \"readonlyPaths\": [\n"
"      \"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\", \"/proc/sysrq-trigger\"\n"
"    ]\n"
"  }\n"
"}\n";

/*
 * What a user without root has of it: a user namespace in which the user is root, and no other group,
 * so that a terminal's group is left out.
 */
static const struct {
	const char *from, *to;
} spec_rootless[] = {
	{ ", \"mode=0620\",\n                   \"gid=5\" ]", ", \"mode=0620\" ]" },
	{ "      { \"type\": \"pid\" },", "      { \"type\": \"user\" }, { \"type\": \"pid\" }," },
	{ "    \"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },\n", NULL },
};

struct spec_options {
	const char *bundle;
	bool rootless;
};

static int spec_option(void *data, int key, const char *value, struct error **err)
{
	struct spec_options *o = data;

	(void)err;
	if (key == 'b')
		o->bundle = value;
	else
		o->rootless = true;
	return 0;
}

static char *spec_replace(const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	char *out;

	if (!at || asprintf(&out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) < 0)
		return NULL;
	return out;
}

/* The default, or what a user without root has of it; malloc'ed. */
static char *spec_text(bool rootless)
{
	char *text = strdup(spec_default);
	char mappings[256];

	snprintf(mappings, sizeof(mappings),
		 "    \"uidMappings\": [ { \"containerID\": 0, \"hostID\": %u, \"size\": 1 } ],\n"
		 "    \"gidMappings\": [ { \"containerID\": 0, \"hostID\": %u, \"size\": 1 } ],\n",
		 geteuid(), getegid());
	for (size_t i = 0; rootless && text && i < sizeof(spec_rootless) / sizeof(*spec_rootless); i++) {
		const char *to = spec_rootless[i].to;
		char *next = spec_replace(text, spec_rootless[i].from, to ? to : mappings);

		free(text);
		text = next;
	}
	return text;
}

int cmd_spec(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "bundle", 'b', "DIR", "where to write config.json (default: .)" },
		{ "rootless", 256, NULL, "for a user without root: in a user namespace" },
		{ 0 },
	};
	static const struct command cmd = { "spec", "", "Write a config.json to begin with.",
					    options, 0, 0 };
	struct spec_options o = { .bundle = "." };
	cleanup_close int dirfd = -1, fd = -1;
	cleanup_free char *text = NULL;
	int first = command_parse(&cmd, argc, argv, spec_option, &o, err), r;

	(void)app;
	if (first <= 0)
		return first;
	text = spec_text(o.rootless);
	if (!text)
		return error_set(err, ENOMEM, "cannot write config.json");
	dirfd = open(o.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return error_set(err, errno, "cannot open the bundle %s", o.bundle);
	fd = openat(dirfd, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_set(err, errno, "cannot make config.json");
	r = fd_write_full(fd, text, strlen(text));
	return r < 0 ? error_set(err, -r, "cannot write config.json") : 0;
}
