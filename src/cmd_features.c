/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "oci/json_out.h"
#include "oci/oci_mounts.h"
#include "oci/oci_seccomp.h"
#include "oci/oci_spec.h"

static void features_flag(struct json_out *out, const char *name, bool enabled)
{
	json_out_open(out, name);
	json_out_bool(out, "enabled", enabled);
	json_out_close(out);
}

static void features_capabilities(struct json_out *out)
{
	json_out_open_list(out, "capabilities");
	for (cap_value_t cap = 0; cap < 64; cap++) {
		char *name = cap_to_name(cap), upper[64];
		size_t n = 0;

		/* A capability that libcap has no name for is written as its number. */
		if (!name || *name != 'c') {
			cap_free(name);
			break;
		}
		for (; name[n] && n < sizeof(upper) - 1; n++)
			upper[n] = name[n] >= 'a' && name[n] <= 'z' ? (char)(name[n] - 32) : name[n];
		upper[n] = 0;
		json_out_string(out, NULL, upper);
		cap_free(name);
	}
	json_out_close_list(out);
}

static void features_linux(struct json_out *out)
{
	static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network", "pid", "time",
						  "user", "uts", NULL };

	json_out_open(out, "linux");
	json_out_strings(out, "namespaces", namespaces);
	features_capabilities(out);
	json_out_open(out, "cgroup");
	json_out_bool(out, "v1", false);
	json_out_bool(out, "v2", true);
	json_out_bool(out, "systemd", true);
	json_out_bool(out, "systemdUser", true);
	json_out_bool(out, "rdma", false);
	json_out_close(out);
	json_out_open(out, "seccomp");
	json_out_bool(out, "enabled", true);
	json_out_strings(out, "actions", oci_seccomp_action_names());
	json_out_strings(out, "operators", oci_seccomp_operator_names());
	json_out_strings(out, "archs", oci_seccomp_arch_names());
	json_out_strings(out, "knownFlags", oci_seccomp_flag_names());
	json_out_strings(out, "supportedFlags", oci_seccomp_flag_names());
	json_out_close(out);
	features_flag(out, "apparmor", true);
	features_flag(out, "selinux", true);
	features_flag(out, "intelRdt", false);
	json_out_open(out, "mountExtensions");
	features_flag(out, "idmap", true);
	json_out_close(out);
	json_out_close(out);
}

int cmd_features(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command cmd = {
		"features", "", "List what this runtime supports (runtime specification: "
		"Features).", NULL, 0, 0,
	};
	static const char *const hooks[] = { "prestart", "createRuntime", "createContainer",
					     "startContainer", "poststart", "poststop", NULL };
	cleanup_free char *text = NULL;
	struct json_out out;
	int first = command_parse(&cmd, argc, argv, NULL, NULL, err);

	(void)app;
	if (first <= 0)
		return first;
	json_out_begin(&out, true);
	json_out_open(&out, NULL);
	json_out_string(&out, "ociVersionMin", "1.0.0");
	json_out_string(&out, "ociVersionMax", "1.2.0");
	json_out_strings(&out, "hooks", hooks);
	json_out_strings(&out, "mountOptions", oci_mount_option_names());
	features_linux(&out);
	json_out_open(&out, "annotations");
	json_out_string(&out, "krun-gpu.version", PACKAGE_VERSION);
	json_out_close(&out);
	json_out_close(&out);
	text = json_out_end(&out);
	if (!text)
		return error_set(err, ENOMEM, "cannot write the features");
	fputs(text, stdout);
	return fflush(stdout) ? error_set(err, errno, "cannot write to standard output") : 0;
}
