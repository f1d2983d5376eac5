/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-rng and virtio-console. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/fake_driver.h"
#include "tests/unit/unit.h"
#include "vmm/last_words.h"
#include "vmm/virtio/console.h"
#include "vmm/virtio/rng.h"

static struct last_words words;

static int setup(void **state)
{
	struct fake_driver *drv = calloc(1, sizeof(*drv));

	words = (struct last_words){ 0 };
	log_init("test", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	fake_driver_init(drv);
	*state = drv;
	return 0;
}

static int teardown(void **state)
{
	fake_driver_release(*state);
	free(*state);
	return 0;
}

static void test_rng(void **state)
{
	struct fake_driver *drv = *state;
	static const unsigned char zero[64];
	uint64_t gpa = fake_driver_alloc(drv, 8192);
	struct fake_buffer buf = { gpa, 64, true };
	uint16_t head, used_head;
	uint32_t len;

	assert_int_equal(fake_driver_start(drv, rng_create(&drv->mem, NULL)), 0);
	head = fake_driver_add(drv, 0, &buf, 1);
	fake_driver_kick(drv, 0);
	assert_true(fake_driver_used(drv, 0, &used_head, &len));
	assert_int_equal(used_head, head);
	assert_int_equal(len, 64);
	assert_memory_not_equal(fake_driver_ptr(drv, gpa, 64), zero, 64);
	assert_int_equal(drv->interrupts, 1);
	/* more than one request is worth */
	buf.len = 8192;
	fake_driver_add(drv, 0, &buf, 1);
	fake_driver_kick(drv, 0);
	assert_true(fake_driver_used(drv, 0, &used_head, &len));
	assert_true(len > 0 && len <= 8192);
	/* a request with nowhere to write */
	buf.writable = false;
	fake_driver_add(drv, 0, &buf, 1);
	fake_driver_kick(drv, 0);
	assert_true(fake_driver_used(drv, 0, &used_head, &len));
	assert_int_equal(len, 0);
	/* outside RAM */
	buf.gpa = 1ull << 40;
	fake_driver_add(drv, 0, &buf, 1);
	fake_driver_kick(drv, 0);
	assert_int_equal(drv->needs_reset, 1);
	fake_driver_kick(drv, 0);
	assert_false(fake_driver_used(drv, 0, &used_head, &len));
}

static void print(struct fake_driver *drv, uint64_t gpa, uint32_t len)
{
	uint16_t head;
	uint32_t used;

	fake_driver_add(drv, 1, &(struct fake_buffer){ gpa, len, false }, 1);
	fake_driver_kick(drv, 1);
	assert_true(fake_driver_used(drv, 1, &head, &used));
	assert_int_equal(used, 0);
}

static void test_console(void **state)
{
	struct fake_driver *drv = *state;
	uint64_t gpa = fake_driver_alloc(drv, 1 << 20);
	char buf[64], config[12];
	int out[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(fake_driver_start(drv, console_create(&drv->mem, out[1], &words, NULL)), 0);
	drv->dev->ops->config_read(drv->dev, 0, config, sizeof(config));
	fake_driver_add(drv, 0, &(struct fake_buffer){ gpa, 64, true }, 1);
	fake_driver_kick(drv, 0); /* input: kept, never used */
	memcpy(fake_driver_ptr(drv, gpa, 5), "Linux", 5);
	print(drv, gpa, 5);
	assert_int_equal(read(out[0], buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "Linux", 5);
	/* nobody reads: dropped, not waited for, although the pipe is in blocking mode */
	print(drv, gpa, 1 << 20);
	print(drv, gpa, 1 << 20);
	assert_int_equal(drv->needs_reset, 0);
	close(out[0]);
	close(out[1]);
}

static void test_console_limit(void **state)
{
	struct fake_driver *drv = *state;
	uint64_t gpa = fake_driver_alloc(drv, 1 << 20);
	char path[] = "/tmp/test-console-XXXXXX";
	int out = mkstemp(path);

	unlink(path);
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(fake_driver_start(drv, console_create(&drv->mem, out, &words, NULL)), 0);
	for (int i = 0; i < 20; i++)
		print(drv, gpa, 1 << 20);
	assert_int_equal(lseek(out, 0, SEEK_END), CONSOLE_MAX_BYTES);
	close(out);
}

static void test_console_without_fd(void **state)
{
	struct fake_driver *drv = *state;
	uint64_t gpa = fake_driver_alloc(drv, 4096);

	assert_int_equal(fake_driver_start(drv, console_create(&drv->mem, -1, &words, NULL)), 0);
	print(drv, gpa, 4096);
}

static void say(struct fake_driver *drv, uint64_t gpa, const char *text)
{
	memcpy(fake_driver_ptr(drv, gpa, 4096), text, strlen(text));
	print(drv, gpa, (uint32_t)strlen(text));
}

static void test_console_last_words(void **state)
{
	struct fake_driver *drv = *state;
	uint64_t gpa = fake_driver_alloc(drv, 4096);
	char longest[2000];

	assert_int_equal(fake_driver_start(drv, console_create(&drv->mem, -1, &words, NULL)), 0);
	assert_null(last_words(&words));
	memset(longest, 'x', sizeof(longest) - 1); /* cut, and forgotten with the line's end */
	longest[sizeof(longest) - 1] = 0;
	say(drv, gpa, longest);
	say(drv, gpa, "\nno panic\nkrun-gpu-agent: warning: a small thing\n[1] Kernel panic - not ");
	assert_null(last_words(&words));
	/* in two pieces, with bytes that a log must not see */
	say(drv, gpa, "syncing: VFS:\033[31m no \200root\r\n");
	assert_string_equal(last_words(&words), "Kernel panic - not syncing: VFS:[31m no root");
	say(drv, gpa, "krun-gpu-agent: a consequence\n");
	assert_string_equal(last_words(&words), "Kernel panic - not syncing: VFS:[31m no root");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_rng),
		T(test_console),
		T(test_console_limit),
		T(test_console_without_fd),
		T(test_console_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
