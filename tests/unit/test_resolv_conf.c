/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which name server of a container's resolv.conf listens on the loopback interface. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "resolv_conf.h"

#define LOOPBACK 0x7f00000bu

struct text {
	const char *text;
	uint32_t address;
};

static void check(const struct text *table, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (resolv_conf_loopback(table[i].text, strlen(table[i].text)) != table[i].address)
			fail_msg("case %zu: %s", i, table[i].text);
}

static void a_server_of_the_loopback_interface_is_found(void **state)
{
	static const struct text table[] = {
		{ "nameserver 127.0.0.11\n", LOOPBACK },
		{ "nameserver 127.0.0.11", LOOPBACK },
		{ "nameserver\t 127.0.0.11 \r\n", LOOPBACK },
		{ "# made\nsearch a b\nnameserver 127.0.0.11\noptions edns0 ndots:0\n", LOOPBACK },
		{ "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 127.0.0.11\n", LOOPBACK },
		{ "nameserver 127.0.0.53\nnameserver 127.0.0.11\n", 0x7f000035 },
		{ "nameserver 127.255.255.254\n", 0x7ffffffe },
	};

	(void)state;
	check(table, sizeof(table) / sizeof(*table));
}

static void whatever_else_there_is_names_none(void **state)
{
	static const struct text table[] = {
		{ "", 0 },
		{ "\n\n", 0 },
		{ "nameserver", 0 },
		{ "nameserver \n", 0 },
		{ "nameserver 10.0.0.1\n", 0 },
		{ "nameserver 128.0.0.11\n", 0 },
		{ "nameserver ::1\n", 0 },
		{ "nameserver 127.0.0.11 127.0.0.12\n", 0 },
		{ "nameserver 127.0.0.011\n", 0 },
		{ "nameserver 127.11\n", 0 },
		{ "nameserver 127.0.0.11:53\n", 0 },
		{ "nameserver 127.0.0.256\n", 0 },
		{ "nameserver 127.0.0.111111111111111111111111\n", 0 },
		{ " nameserver 127.0.0.11\n", 0 },
		{ "#nameserver 127.0.0.11\n", 0 },
		{ "nameserver127.0.0.11\n", 0 },
		{ "nameservers 127.0.0.11\n", 0 },
		/* no C library asks a fourth */
		{ "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver ::2\nnameserver 127.0.0.11\n",
		  0 },
	};
	static const char nul[] = "nameserver 127.0.0.11\0.1\n";

	(void)state;
	check(table, sizeof(table) / sizeof(*table));
	assert_int_equal(resolv_conf_loopback(nul, sizeof(nul) - 1), 0);
	assert_int_equal(resolv_conf_loopback("nameserver 127.0.0.11", 20), 0x7f000001);
}

static void only_a_file_of_reasonable_size_is_read(void **state)
{
	char dir[] = "/tmp/krun-gpu-resolv-XXXXXX", path[64];
	FILE *f;

	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/resolv.conf", dir);
	assert_int_equal(resolv_conf_read_loopback(path), 0);
	assert_int_equal(resolv_conf_read_loopback(dir), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(resolv_conf_read_loopback(path), 0); /* without waiting for a writer */
	unlink(path);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("nameserver 127.0.0.11\n", f);
	fflush(f);
	assert_int_equal(resolv_conf_read_loopback(path), LOOPBACK);
	assert_int_equal(ftruncate(fileno(f), (64 << 10) + 1), 0);
	assert_int_equal(resolv_conf_read_loopback(path), 0);
	fclose(f);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_of_the_loopback_interface_is_found),
		cmocka_unit_test(whatever_else_there_is_names_none),
		cmocka_unit_test(only_a_file_of_reasonable_size_is_read),
	};

	return cmocka_run_group_tests_name("resolv.conf", tests, NULL, NULL);
}
