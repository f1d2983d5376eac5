/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `exec` is told, and the process that comes of it. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "exec_options.h"

#define ARGS_MAX 32

/* `exec` with these words; they are split at spaces. */
static int parse(struct exec_options *o, const char *words, struct error **err)
{
	static char text[512], *argv[ARGS_MAX + 1];
	char *save = NULL;
	int argc = 0;

	snprintf(text, sizeof(text), "exec %s", words);
	for (char *w = strtok_r(text, " ", &save); w && argc < ARGS_MAX;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	*o = (struct exec_options){ 0 };
	return exec_options_parse(o, argc, argv, err);
}

static void parses(struct exec_options *o, const char *words)
{
	cleanup_error struct error *err = NULL;

	if (parse(o, words, &err) != 1)
		fail_msg("%s: %s", words, error_msg(err));
}

static void options_are_taken(void **state)
{
	struct exec_options o;

	(void)state;
	parses(&o, "c1 ls -l");
	assert_string_equal(o.id, "c1");
	assert_string_equal(o.args[0], "ls");
	assert_string_equal(o.args[1], "-l");
	assert_null(o.args[2]);
	assert_false(o.tty || o.detach || o.no_new_privs);
	parses(&o, "--tty --detach --pid-file /p --console-socket /s --cwd /w --no-new-privs c1 ls");
	assert_true(o.tty && o.detach && o.no_new_privs);
	assert_string_equal(o.pid_file, "/p");
	assert_string_equal(o.console_socket, "/s");
	assert_string_equal(o.cwd, "/w");
	parses(&o, "-t -d -e A=1 -e B= -u 7:8 -c CAP_KILL -c cap_chown -g 5 -g 6 c1 ls");
	assert_true(o.tty && o.detach);
	assert_int_equal(o.num_env, 2);
	assert_string_equal(o.env[1], "B=");
	assert_string_equal(o.user, "7:8");
	assert_int_equal(o.num_caps, 2);
	assert_int_equal(o.num_gids, 2);
	assert_int_equal(o.gids[1], 6);
	parses(&o, "--process=/f c1");
	assert_string_equal(o.process_file, "/f");
	parses(&o, "-p /f --tty --detach --pid-file=/p --console-socket=/s c1");
	parses(&o, "--preserve-fds 0 c1 ls");
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *words, *why;
	} refused[] = {
		{ "c1", "a command or --process is needed" },
		{ "--process /f c1 ls", "--process and a command exclude each other" },
		{ "--process /f --cwd / c1", "--process and --cwd exclude each other" },
		{ "--process /f --env A=b c1", "--process and --env exclude each other" },
		{ "--process /f --user 1 c1", "--process and --user exclude each other" },
		{ "--process /f --cap CAP_KILL c1", "--process and --cap exclude each other" },
		{ "--process /f --no-new-privs c1", "--process and --no-new-privs exclude" },
		{ "--process /f -g 1 c1", "--process and --additional-gids exclude each other" },
		{ "--env A c1 ls", "--env: expected NAME=VALUE, not A" },
		{ "--env =b c1 ls", "--env: expected NAME=VALUE" },
		{ "-g -1 c1 ls", "--additional-gids: expected a whole number" },
		{ "-g 4294967296 c1 ls", "--additional-gids: expected a whole number" },
		{ "--preserve-fds 1 c1 ls", "--preserve-fds: a file descriptor" },
		{ "--apparmor x c1 ls", "--apparmor: the process runs in the microVM" },
		{ "--process-label x c1 ls", "--process-label: the process runs in the microVM" },
		{ "--cgroup x c1 ls", "--cgroup: the process runs in the microVM" },
		{ "--frobnicate c1 ls", "unknown option --frobnicate" },
		{ "--cwd", "option --cwd needs a value" },
	};
	struct exec_options o;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		cleanup_error struct error *err = NULL;

		if (parse(&o, refused[i].words, &err) != -1)
			fail_msg("taken: %s", refused[i].words);
		if (!strstr(error_msg(err), refused[i].why))
			fail_msg("%s: %s", refused[i].words, error_msg(err));
	}
}

/* A container's own process, of which an exec takes what it was not told. */
static void container_init(struct oci_spec *spec)
{
	static char *args[] = { (char *)"init", NULL };
	static char *env[] = { (char *)"A=old", (char *)"AB=kept", NULL };
	static uint32_t gids[] = { 3 };

	oci_spec_release(spec);
	*spec = (struct oci_spec){
		.process = { .args = args, .env = env, .cwd = (char *)"/w", .terminal = true,
			     .rows = 5, .columns = 6, .uid = 1, .gid = 2, .additional_gids = gids,
			     .num_additional_gids = 1, .has_capabilities = true,
			     .apparmor_profile = (char *)"own", .selinux_label = (char *)"" },
	};
	spec->process.capabilities[OCI_CAP_BOUNDING] = 1;
}

static int process_of(const char *words, struct oci_spec *spec, struct oci_process *p,
		      struct error **err)
{
	struct exec_options o;

	container_init(spec);
	*p = (struct oci_process){ 0 };
	parses(&o, words);
	return exec_options_process(&o, spec, p, err);
}

static void the_process_is_the_containers_but_for_options(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 };
	struct oci_process p;

	(void)state;
	assert_int_equal(process_of("c1 ls", &spec, &p, NULL), 0);
	assert_string_equal(p.args[0], "ls");
	assert_string_equal(p.cwd, "/w");
	assert_false(p.terminal || p.no_new_privileges);
	assert_int_equal(p.rows, 0);
	assert_int_equal(p.uid, 1);
	assert_int_equal(p.gid, 2);
	assert_string_equal(p.env[0], "A=old");
	assert_true(p.capabilities[OCI_CAP_BOUNDING] == 1);
	assert_int_equal(process_of("-t -e A=new -e C=d --cwd /x --no-new-privs -g 9 --cap CAP_KILL "
				    "--cap cap_chown c1 ls", &spec, &p, NULL), 0);
	assert_true(p.terminal && p.no_new_privileges);
	assert_string_equal(p.cwd, "/x");
	assert_string_equal(p.env[0], "AB=kept");
	assert_string_equal(p.env[1], "A=new");
	assert_string_equal(p.env[2], "C=d");
	assert_null(p.env[3]);
	assert_int_equal(p.num_additional_gids, 2);
	assert_int_equal(p.additional_gids[0], 3);
	assert_int_equal(p.additional_gids[1], 9);
	assert_true(p.capabilities[OCI_CAP_BOUNDING] == (1u << 0 | 1u << 5));
	assert_true(p.capabilities[OCI_CAP_AMBIENT] == (1u << 0 | 1u << 5));
}

static void users(void **state)
{
	static const struct {
		const char *user;
		bool good;
		uint32_t uid, gid;
	} cases[] = {
		{ "7", true, 7, 2 }, { "7:8", true, 7, 8 }, { "0:0", true, 0, 0 },
		{ "4294967295", true, UINT32_MAX, 2 },
		{ "4294967296", false, 0, 0 }, { "7:4294967296", false, 0, 0 },
		{ "-1", false, 0, 0 }, { "7:", false, 0, 0 }, { ":8", false, 0, 0 },
		{ "root", false, 0, 0 }, { "7:x", false, 0, 0 }, { "7:8:9", false, 0, 0 },
		{ "99999999999999999999", false, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cleanup_spec struct oci_spec spec = { 0 };
		cleanup_error struct error *err = NULL;
		struct oci_process p;
		char words[64];

		snprintf(words, sizeof(words), "--user=%s c1 ls", cases[i].user);
		if ((process_of(words, &spec, &p, &err) == 0) != cases[i].good)
			fail_msg("%s: %s", cases[i].user, error_msg(err));
		if (cases[i].good) {
			assert_int_equal(p.uid, cases[i].uid);
			assert_int_equal(p.gid, cases[i].gid);
		} else {
			assert_non_null(strstr(error_msg(err), "--user: expected UID[:GID]"));
		}
	}
}

static void processes_are_checked(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 };
	cleanup_error struct error *err = NULL;
	struct oci_process p;

	(void)state;
	assert_int_equal(process_of("--cap CAP_NO_SUCH c1 ls", &spec, &p, &err), -1);
	assert_string_equal(error_msg(err), "--cap: unknown capability CAP_NO_SUCH");
	assert_int_equal(process_of("--cwd x c1 ls", &spec, &p, &err), -1);
	assert_non_null(strstr(error_msg(err), "process.cwd"));
}

/* The process of a file that holds this. */
static int process_of_json(const char *text, const char *words, struct oci_spec *spec,
			   struct oci_process *p, struct error **err)
{
	char path[] = "/tmp/krun-gpu-exec-XXXXXX", all[128];
	int fd = mkstemp(path), r;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(all, sizeof(all), "--process %s %s c1", path, words);
	r = process_of(all, spec, p, err);
	unlink(path);
	return r;
}

static void processes_of_files(void **state)
{
	cleanup_spec struct oci_spec spec = { 0 };
	cleanup_error struct error *err = NULL;
	struct oci_process p;

	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(process_of_json("{\"args\":[\"a\"],\"cwd\":\"/\",\"selinuxLabel\":\"\","
					 "\"apparmorProfile\":\"own\"}", "--tty", &spec, &p, NULL), 0);
	assert_true(p.terminal);
	assert_null(p.env);
	assert_int_equal(p.uid, 0);
	assert_int_equal(process_of_json("{\"args\":[\"a\"],\"cwd\":\"/\",\"apparmorProfile\":\"x\"}",
					 "", &spec, &p, &err), -1);
	assert_non_null(strstr(error_msg(err), "process.apparmorProfile: x is not the container's"));
	assert_int_equal(process_of_json("{\"args\":[\"a\"],\"cwd\":\"/\",\"selinuxLabel\":\"u:r:t\"}",
					 "", &spec, &p, &err), -1);
	assert_non_null(strstr(error_msg(err), "process.selinuxLabel: u:r:t is not the container's"));
	assert_int_equal(process_of_json("{\"cwd\":\"/\"}", "", &spec, &p, &err), -1);
	assert_non_null(strstr(error_msg(err), "process.args: missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_taken),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(the_process_is_the_containers_but_for_options),
		cmocka_unit_test(users),
		cmocka_unit_test(processes_are_checked),
		cmocka_unit_test(processes_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
