/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static void read_full_tells_end_from_torn(void **state)
{
	char buf[8];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "abcdefghij", 10), 10);
	close(p[1]);
	assert_int_equal(fd_read_full(p[0], buf, 8), 1);
	assert_memory_equal(buf, "abcdefgh", 8);
	assert_int_equal(fd_read_full(p[0], buf, 8), -EPROTO);
	assert_int_equal(fd_read_full(p[0], buf, 8), 0);
	close(p[0]);
}

static void read_file_has_a_limit(void **state)
{
	cleanup_close int fd = memfd_create("unit", MFD_CLOEXEC);
	cleanup_free char *text = NULL;
	size_t len;

	(void)state;
	assert_int_equal(ftruncate(fd, 10000), 0);
	assert_int_equal(pwrite(fd, "hello", 5, 0), 5);
	text = fd_read_file(fd, 10000, &len);
	assert_non_null(text);
	assert_int_equal(len, 10000);
	assert_memory_equal(text, "hello", 6);
	assert_int_equal(text[len], 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_null(fd_read_file(fd, 9999, &len));
	assert_int_equal(errno, EFBIG);
}

static void keep_only_closes_the_rest(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int keep[3] = { 40, 20, 20 };

		if (dup2(0, 10) < 0 || dup2(0, 20) < 0 || dup2(0, 40) < 0 || dup2(0, 41) < 0)
			_exit(1);
		if (fd_keep_only(keep, 3))
			_exit(2);
		_exit(fcntl(10, F_GETFD) == -1 && fcntl(20, F_GETFD) >= 0 &&
			      fcntl(40, F_GETFD) >= 0 && fcntl(41, F_GETFD) == -1 &&
			      fcntl(2, F_GETFD) >= 0 ?
		      0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void flags_are_set_and_cleared(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_set_nonblock(p[0], true), 0);
	assert_true(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(p[0], false), 0);
	assert_false(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_cloexec(p[0], true), 0);
	assert_int_equal(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_set_nonblock(-1, true), -EBADF);
	close(p[0]);
	close(p[1]);
}

static void stolen_fds_stay_open(void **state)
{
	int fd = dup(0), kept;

	(void)state;
	{
		cleanup_close int mine = fd;

		kept = steal_fd(&mine);
		assert_int_equal(mine, -1);
	}
	assert_true(fcntl(kept, F_GETFD) >= 0);
	close(kept);
}

static void the_limit_is_raised(void **state)
{
	struct rlimit before, lim;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	lim = before;
	lim.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_true(fd_raise_limit() >= before.rlim_cur || before.rlim_cur > INT32_MAX);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_true(lim.rlim_cur == before.rlim_max);
	setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_full_tells_end_from_torn),
		cmocka_unit_test(read_file_has_a_limit),
		cmocka_unit_test(keep_only_closes_the_rest),
		cmocka_unit_test(flags_are_set_and_cleared),
		cmocka_unit_test(stolen_fds_stay_open),
		cmocka_unit_test(the_limit_is_raised),
	};

	return cmocka_run_group_tests_name("fd", tests, NULL, NULL);
}
