/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/wire.h"
#include "oci/oci_state.h"

static char root[64];

static int make_root(void **state)
{
	(void)state;
	strcpy(root, "/tmp/krun-gpu-state-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	return rmdir(root); /* fails when a test leaves something behind */
}

static void ids(void **state)
{
	static const char *const good[] = { "a", "a.b-c_d+1", "..a", "0123456789abcdef" };
	static const char *const bad[] = { "", ".", "..", "a/b", "/a", "a b", "a\n", "ä", "a:b", "*" };
	char longest[202];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(oci_id_check(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(oci_id_check(bad[i], NULL), -1);
	memset(longest, 'a', 201);
	longest[201] = 0;
	assert_int_equal(oci_id_check(longest, NULL), -1);
	longest[200] = 0;
	assert_int_equal(oci_id_check(longest, NULL), 0);
}

static struct oci_state example(void)
{
	return (struct oci_state){
		.id = (char *)"c", .bundle = (char *)"/b\"ü\xff", .rootfs = (char *)"/b/r",
		.created = (char *)"2026-01-01T00:00:00Z", .owner = (char *)"root",
		.cgroup = (char *)"/sys/fs/cgroup/c", .status = OCI_STATUS_RUNNING,
		.vmm = process_ref_of(getpid()), .workers = { { 17, UINT64_C(1) << 50 }, { 18, 0 } },
		.num_workers = 2,
	};
}

static void what_is_written_is_read(void **state)
{
	cleanup_state struct oci_state read = { 0 };
	struct oci_state s = example();
	int dirfd = oci_state_create(root, "c", NULL);
	struct stat st;

	(void)state;
	assert_true(dirfd >= 0);
	assert_int_equal(fstat(dirfd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(oci_state_write(dirfd, &s, NULL), 0);
	assert_int_equal(oci_state_read(dirfd, "c", &read, NULL), 0);
	assert_string_equal(read.bundle, "/b\"ü\xef\xbf\xbd");
	assert_string_equal(read.cgroup, s.cgroup);
	assert_int_equal(read.status, OCI_STATUS_RUNNING);
	assert_int_equal(read.vmm.pid, getpid());
	assert_true(read.vmm.start == s.vmm.start);
	assert_int_equal(read.num_workers, 2);
	assert_true(read.workers[0].start == UINT64_C(1) << 50);
	assert_int_equal(oci_state_remove(root, "c", dirfd, NULL), 0);
	close(dirfd);
}

/* The same pid with another start time is another process. */
static void a_container_without_vmm_is_stopped(void **state)
{
	cleanup_state struct oci_state read = { 0 };
	struct oci_state s = example();
	int dirfd = oci_state_create(root, "c", NULL);

	(void)state;
	s.vmm.start++;
	assert_int_equal(oci_state_write(dirfd, &s, NULL), 0);
	assert_int_equal(oci_state_read(dirfd, "c", &read, NULL), 0);
	assert_int_equal(read.status, OCI_STATUS_STOPPED);
	assert_int_equal(oci_state_remove(root, "c", dirfd, NULL), 0);
	close(dirfd);
}

static void a_second_create_is_refused(void **state)
{
	cleanup_error struct error *err = NULL;
	struct oci_state s = example();
	int dirfd = oci_state_create(root, "c", NULL);

	(void)state;
	/* while it is being created, and after that */
	assert_int_equal(oci_state_create(root, "c", &err), -1);
	assert_non_null(strstr(error_msg(err), "already exists"));
	assert_int_equal(oci_state_write(dirfd, &s, NULL), 0);
	close(dirfd);
	assert_int_equal(oci_state_create(root, "c", &err), -1);
	dirfd = oci_state_open(root, "c", NULL);
	assert_int_equal(oci_state_remove(root, "c", dirfd, NULL), 0);
	close(dirfd);
	assert_int_equal(oci_state_open(root, "c", &err), -1);
	assert_string_equal(error_msg(err), "container c does not exist");
}

static void what_a_killed_create_left_is_replaced(void **state)
{
	struct oci_state s = example();
	int dirfd = oci_state_create(root, "c", NULL), again;

	(void)state;
	s.status = OCI_STATUS_CREATING;
	assert_int_equal(oci_state_write(dirfd, &s, NULL), 0);
	assert_int_equal(mkdirat(dirfd, OCI_EXPORT_DIR, 0700), 0);
	close(dirfd); /* as if it had died */
	again = oci_state_create(root, "c", NULL);
	assert_true(again >= 0);
	assert_int_equal(faccessat(again, OCI_STATUS_FILE, F_OK, 0), -1);
	assert_int_equal(oci_state_remove(root, "c", again, NULL), 0);
	close(again);
}

static void damaged_status_is_an_error(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"status\":\"odd\"}", "{\"status\":7}",
					   "{\"status\":\"created\",\"processes\":[7]}" };
	int dirfd = oci_state_create(root, "c", NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cleanup_state struct oci_state s = { 0 };
		int fd = openat(dirfd, OCI_STATUS_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_int_equal(write(fd, bad[i], strlen(bad[i])), strlen(bad[i]));
		close(fd);
		assert_int_equal(oci_state_read(dirfd, "c", &s, NULL), -1);
	}
	assert_int_equal(oci_state_remove(root, "c", dirfd, NULL), 0);
	close(dirfd);
}

static void containers_are_listed_in_order(void **state)
{
	int b = oci_state_create(root, "b", NULL), a = oci_state_create(root, "a", NULL);
	char **list = oci_state_list(root, NULL);

	(void)state;
	assert_string_equal(list[0], "a");
	assert_string_equal(list[1], "b");
	assert_null(list[2]);
	wire_strv_free(list);
	assert_int_equal(oci_state_remove(root, "a", a, NULL), 0);
	assert_int_equal(oci_state_remove(root, "b", b, NULL), 0);
	close(a);
	close(b);
	list = oci_state_list("/nonexistent/root", NULL);
	assert_null(list[0]);
	wire_strv_free(list);
}

static void a_process_is_ended_by_its_reference(void **state)
{
	pid_t pid = fork();
	struct process_ref ref, other;

	(void)state;
	if (!pid) {
		pause();
		_exit(0);
	}
	ref = other = process_ref_of(pid);
	other.start--;
	assert_true(process_ref_alive(&ref));
	assert_false(process_ref_alive(&other));
	assert_int_equal(process_ref_kill(&other, SIGKILL), -ESRCH);
	assert_int_equal(process_ref_end(&ref, 5000), 0);
	assert_false(process_ref_alive(&ref)); /* a zombie is gone */
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(process_ref_end(&ref, 5000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_container_without_vmm_is_stopped),
		cmocka_unit_test(a_second_create_is_refused),
		cmocka_unit_test(what_a_killed_create_left_is_replaced),
		cmocka_unit_test(damaged_status_is_an_error),
		cmocka_unit_test(containers_are_listed_in_order),
		cmocka_unit_test(a_process_is_ended_by_its_reference),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
