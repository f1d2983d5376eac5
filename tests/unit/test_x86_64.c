/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an x86-64 guest is told of its machine: MP table, boot parameters, CPUID, ports. */
#include <asm/bootparam.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/unit.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/cpuid.h"
#include "vmm/arch/x86_64/mptable.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

#define MIB (1ull << 20)

static int set_up(void **state)
{
	static struct guest_memory gm;

	*state = &gm;
	return guest_memory_create(&gm, 64 * MIB, ARCH_LOW_RAM_MAX, NULL);
}

static int tear_down(void **state)
{
	guest_memory_release(*state);
	return 0;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len--)
		s += *p++;
	return s;
}

/* Read a table as the specification says; the number of entries of each type. */
static void mp_parse(const struct guest_memory *gm, unsigned int found[5])
{
	static const size_t sizes[5] = { 20, 8, 8, 8, 8 };
	const uint8_t *floating = guest_memory_ptr(gm, LAYOUT_MP_TABLE, 16), *table, *at;
	uint16_t length, entries;
	uint32_t gpa;

	assert_memory_equal(floating, "_MP_", 4);
	assert_int_equal(sum(floating, 16), 0);
	memcpy(&gpa, floating + 4, sizeof(gpa));
	table = guest_memory_ptr(gm, gpa, 44);
	assert_memory_equal(table, "PCMP", 4);
	memcpy(&length, table + 4, sizeof(length));
	memcpy(&entries, table + 34, sizeof(entries));
	assert_int_equal(sum(table, length), 0);
	memset(found, 0, 5 * sizeof(found[0]));
	for (at = table + 44; entries; entries--) {
		assert_true(at[0] < 5);
		found[at[0]]++;
		at += sizes[at[0]];
	}
	assert_ptr_equal(at, table + length);
}

static void the_mp_table_adds_up(void **state)
{
	static const unsigned int cpus[] = { 1, 2, 64, MPTABLE_MAX_CPUS };
	const struct guest_memory *gm = *state;
	unsigned int found[5];

	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		assert_int_equal(mptable_write(gm, cpus[i], NULL), 0);
		mp_parse(gm, found);
		assert_int_equal(found[0], cpus[i]);
		assert_int_equal(found[1], 1);
		assert_int_equal(found[2], 1);
		assert_int_equal(found[3], 16);
		assert_int_equal(found[4], 2);
	}
	assert_int_equal(mptable_write(gm, 0, NULL), -1);
	assert_int_equal(mptable_write(gm, MPTABLE_MAX_CPUS + 1, NULL), -1);
}

static void boot_parameters_describe_ram(void **state)
{
	const struct guest_memory *gm = *state;
	const struct kernel_image kernel = { .entry = 16 * MIB };
	const struct arch_boot boot = {
		.kernel = &kernel, .cmdline = "quiet", .initramfs_gpa = 32 * MIB,
		.initramfs_size = 4711, .vcpus = 2,
	};
	const struct boot_params *bp = guest_memory_ptr(gm, LAYOUT_ZERO_PAGE, sizeof(*bp));
	uint64_t ram = 0;

	assert_int_equal(arch_boot_write(gm, &boot, NULL), 0);
	assert_int_equal(bp->hdr.boot_flag, 0xaa55);
	assert_int_equal(bp->hdr.ramdisk_image, 32 * MIB);
	assert_int_equal(bp->hdr.ramdisk_size, 4711);
	assert_string_equal(guest_memory_ptr(gm, bp->hdr.cmd_line_ptr, 6), "quiet");
	for (unsigned int i = 0; i < bp->e820_entries; i++) {
		/* Ascending, and without gaps below 4 GiB. */
		if (i)
			assert_int_equal(bp->e820_table[i].addr, bp->e820_table[i - 1].addr +
					 bp->e820_table[i - 1].size);
		ram += bp->e820_table[i].size;
	}
	assert_int_equal(ram, 64 * MIB);
}

static void a_long_command_line_is_refused(void **state)
{
	const struct guest_memory *gm = *state;
	const struct kernel_image kernel = { .entry = 16 * MIB };
	struct arch_boot boot = { .kernel = &kernel, .vcpus = 1 };
	char line[LAYOUT_CMDLINE_MAX + 1];
	struct error *err = NULL;

	memset(line, 'x', sizeof(line));
	line[LAYOUT_CMDLINE_MAX] = 0;
	boot.cmdline = line;
	assert_int_equal(arch_boot_write(gm, &boot, &err), -1);
	assert_non_null(strstr(error_msg(err), "command line"));
	error_free(&err);
	line[LAYOUT_CMDLINE_MAX - 1] = 0;
	assert_int_equal(arch_boot_write(gm, &boot, NULL), 0);
}

static struct kvm_cpuid2 *cpuid_of(const struct kvm_cpuid_entry2 *entries, uint32_t n)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + 256 * sizeof(c->entries[0]));

	assert_non_null(c);
	memcpy(c->entries, entries, n * sizeof(entries[0]));
	c->nent = n;
	return c;
}

static const struct kvm_cpuid_entry2 *leaf(const struct kvm_cpuid2 *c, uint32_t function,
					   uint32_t index)
{
	for (uint32_t i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && c->entries[i].index == index)
			return &c->entries[i];
	fail_msg("leaf 0x%x.%u is missing", function, index);
	return NULL;
}

static void cpuid_tells_our_topology(void **state)
{
	const struct kvm_cpuid_entry2 host[] = {
		{ .function = 0x1, .ebx = 0xffff0800, .ecx = 1u << 5 },
		{ .function = 0x4, .index = 0, .eax = 0xfc0fc121 }, /* L1, of a host with siblings */
		{ .function = 0x4, .index = 3, .eax = 0xfc0fc163 }, /* L3 */
		{ .function = 0x4, .index = 4 },
		{ .function = 0xa, .eax = 0x07300404 },
		{ .function = 0xb, .index = 0, .eax = 1, .ebx = 2 },
		{ .function = 0x80000001, .ecx = 1u << 2 | 1u << 22 | 1u << 23 },
		{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x707f },
		{ .function = 0x8000001e, .eax = 99, .ebx = 0x163, .ecx = 0x301 },
	};
	const struct cpuid_topology t = { .id = 4, .cpus = 5, .tsc_deadline = true };
	struct kvm_cpuid2 *c = cpuid_of(host, sizeof(host) / sizeof(host[0]));

	(void)state;
	cpuid_adapt(c, &t);
	assert_int_equal(leaf(c, 1, 0)->ebx, 4u << 24 | 5u << 16 | 0x0800);
	assert_int_equal(leaf(c, 1, 0)->ecx, 1u << 31 | 1u << 24); /* hypervisor, deadline, no VMX */
	assert_int_equal(leaf(c, 1, 0)->edx, 1u << 28);
	assert_int_equal(leaf(c, 4, 0)->eax, 7u << 26 | 0x121); /* an L1 of one's own */
	assert_int_equal(leaf(c, 4, 3)->eax, 7u << 26 | 7u << 14 | 0x163); /* a common L3 */
	assert_int_equal(leaf(c, 4, 4)->eax, 0);
	assert_int_equal(leaf(c, 0xa, 0)->eax, 0);
	assert_int_equal(leaf(c, 0xb, 0)->ebx, 1);
	assert_int_equal(leaf(c, 0xb, 0)->eax, 0);
	assert_int_equal(leaf(c, 0xb, 0)->edx, 4);
	assert_int_equal(leaf(c, 0xb, 1)->eax, 3); /* ids 0 to 4 take three bits */
	assert_int_equal(leaf(c, 0xb, 1)->ebx, 5);
	assert_int_equal(leaf(c, 0xb, 1)->ecx, 2u << 8 | 1);
	assert_int_equal(leaf(c, 0xb, 2)->ecx, 2); /* the end */
	assert_int_equal(leaf(c, 0xb, 2)->ebx, 0);
	assert_int_equal(leaf(c, 0x80000001, 0)->ecx, 1u << 22); /* no SVM, no counters */
	assert_int_equal(leaf(c, 0x80000008, 0)->ecx, 0x3004);
	assert_int_equal(leaf(c, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(leaf(c, 0x8000001e, 0)->eax, 4);
	assert_int_equal(leaf(c, 0x8000001e, 0)->ebx, 4);
	assert_int_equal(leaf(c, 0x8000001e, 0)->ecx, 0);
	for (uint32_t i = 0; i < c->nent; i++)
		assert_int_not_equal(c->entries[i].function, 0x1f); /* not offered, not invented */
	free(c);
}

static void one_cpu_is_no_multiprocessor(void **state)
{
	const struct kvm_cpuid_entry2 host[] = {
		{ .function = 0x1, .edx = 1u << 28 },
		{ .function = 0x80000001, .ecx = 1u << 1 },
	};
	const struct cpuid_topology t = { .cpus = 1 };
	struct kvm_cpuid2 *c = cpuid_of(host, sizeof(host) / sizeof(host[0]));

	(void)state;
	cpuid_adapt(c, &t);
	assert_int_equal(leaf(c, 1, 0)->edx, 0);
	assert_int_equal(leaf(c, 1, 0)->ecx, 1u << 31);
	assert_int_equal(leaf(c, 0x80000001, 0)->ecx, 0);
	free(c);
}

static void the_serial_port_transmits(void **state)
{
	struct serial s = { 0 };
	char buf[300];
	uint32_t v = 'x';
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	s.out_fd = p[1];
	for (const char *c = "panic\nhalf"; *c; c++)
		serial_access(&s, 0x3f8, (void *)c, 1, true);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "panic\n", 6);
	serial_flush(&s);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 4);
	serial_access(&s, 0x3f9, &v, 1, true);
	serial_access(&s, 0x80, &v, 1, true);
	serial_access(&s, 0x3f8, &v, 4, true);
	assert_int_equal(s.len, 0);
	serial_access(&s, 0x3fd, &v, 1, false);
	assert_int_equal(v & 0xff, 0x60);
	serial_access(&s, 0xcf8, &v, 4, false);
	assert_int_equal(v, UINT32_MAX);
	for (int i = 0; i < 300; i++) /* a line longer than the buffer */
		serial_access(&s, 0x3f8, "y", 1, true);
	assert_int_equal(read(p[0], buf, sizeof(buf)), sizeof(s.line));
	s.written = SERIAL_MAX_BYTES;
	serial_access(&s, 0x3f8, "\n", 1, true); /* enough is enough */
	close(p[1]);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 0);
	close(p[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_mp_table_adds_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(boot_parameters_describe_ram, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_long_command_line_is_refused, set_up, tear_down),
		cmocka_unit_test(cpuid_tells_our_topology),
		cmocka_unit_test(one_cpu_is_no_multiprocessor),
		cmocka_unit_test(the_serial_port_transmits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
