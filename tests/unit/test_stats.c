/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's texts to figures, and those to JSON. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/json_out.h"
#include "stats_parse.h"

static void limits_together(void **state)
{
	(void)state;
	assert_true(stats_add_limits(5, 7) == 12);
	assert_true(stats_add_limits(UINT64_MAX, 7) == UINT64_MAX);
	assert_true(stats_add_limits(7, UINT64_MAX) == UINT64_MAX);
	assert_true(stats_add_limits(UINT64_MAX - 1, 1) == UINT64_MAX);
	assert_true(stats_add_limits(0, 7) == 7);
}

static void devices(void **state)
{
	struct stats s = { 0 };

	(void)state;
	stats_parse_devices("8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=9 dios=8\n"
			    "nonsense\n"
			    "254:0 \n"
			    "8:0 rbytes=90430464 wbytes=299008000 rios=8950 wios=1252 dbytes=50331648 "
			    "dios=3021\n", &s);
	assert_int_equal(s.num_devices, 3);
	assert_int_equal(s.devices[0].major, 8);
	assert_int_equal(s.devices[0].minor, 16);
	assert_int_equal(s.devices[0].read_bytes, 1459200);
	assert_int_equal(s.devices[0].write_bytes, 314773504);
	assert_int_equal(s.devices[0].reads, 192);
	assert_int_equal(s.devices[0].writes, 353);
	assert_int_equal(s.devices[1].major, 254);
	assert_int_equal(s.devices[1].read_bytes, 0);
	assert_int_equal(s.devices[2].writes, 1252);
}

static void more_devices_than_there_is_room_for(void **state)
{
	struct stats s = { 0 };
	char text[STATS_DEVICES_MAX * 16] = "";

	(void)state;
	for (int i = 0; i < STATS_DEVICES_MAX + 9; i++)
		strcat(text, "1:1 rios=1\n");
	stats_parse_devices(text, &s);
	assert_int_equal(s.num_devices, STATS_DEVICES_MAX);
}

static const char net_dev[] =
"Inter-|   Receive                                                |  Transmit\n"
" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
"colls carrier compressed\n"
"    lo:    9       9    9    9    9     9          9         9        9       9    9    9    9     "
"9       9          9\n"
"  eth0:11 12 13 14 15 16 17 18 21 22 23 24 25 26 27 28\n"
"krun-tap2: 1 2 3 4 5 6 7 8 1 2 3 4 5 6 7 8\n"
"  eth1: 1 2 3\n"
"  net1: 31 0 0 0 0 0 0 0 41 0 0 0 0 0 0 0\n";

static void interfaces(void **state)
{
	const struct stats_interface *i;
	struct stats s = { 0 };

	(void)state;
	stats_parse_interfaces(net_dev, &s);
	assert_int_equal(s.num_interfaces, 2);
	i = &s.interfaces[0];
	assert_string_equal(i->name, "eth0");
	assert_int_equal(i->rx_bytes, 11);
	assert_int_equal(i->rx_packets, 12);
	assert_int_equal(i->rx_errors, 13);
	assert_int_equal(i->rx_dropped, 14);
	assert_int_equal(i->tx_bytes, 21);
	assert_int_equal(i->tx_packets, 22);
	assert_int_equal(i->tx_errors, 23);
	assert_int_equal(i->tx_dropped, 24);
	assert_string_equal(s.interfaces[1].name, "net1");
	assert_int_equal(s.interfaces[1].tx_bytes, 41);
}

/* As runc writes it on cgroup v2. */
static void the_event(void **state)
{
	struct stats s = { .memory = 5, .swap = 2, .swap_limit = 30 };
	cleanup_free char *text = NULL;
	struct json_out out;

	(void)state;
	stats_parse_devices("8:0 rbytes=1 wbytes=2 rios=3 wios=4\n", &s);
	stats_parse_interfaces(net_dev, &s);
	s.pages[1] = (struct stats_pages){ "1GB", 7, 8 };
	json_out_begin(&out, false);
	json_out_open(&out, NULL);
	stats_write(&out, &s);
	json_out_close(&out);
	text = json_out_end(&out);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"swap\":{\"limit\":30,\"usage\":7,"));
	assert_non_null(strstr(text, "\"blkio\":{\"ioServiceBytesRecursive\":["
			       "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":1},"
			       "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":2}],"
			       "\"ioServicedRecursive\":["
			       "{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":3},"
			       "{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":4}]}"));
	assert_non_null(strstr(text, "\"hugetlb\":{\"1GB\":{\"usage\":7,\"failcnt\":8}}"));
	assert_non_null(strstr(text, "\"network_interfaces\":[{\"Name\":\"eth0\",\"RxBytes\":11,"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_together),
		cmocka_unit_test(devices),
		cmocka_unit_test(more_devices_than_there_is_room_for),
		cmocka_unit_test(interfaces),
		cmocka_unit_test(the_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
