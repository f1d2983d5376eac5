/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Our machine has no ACPI: CPUs, I/O APIC and interrupt lines are told by an MP table (Intel
 * MultiProcessor Specification 1.4, chapter 4). It consists of the floating pointer structure, the
 * configuration header, and entries in ascending order of their type.
 */
#include "vmm/arch/x86_64/mptable.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "vmm/arch/x86_64/layout.h"
#include "vmm/guest_memory.h"

#define SPEC_1_4 4
#define APIC_VERSION 0x14 /* integrated local APIC; the I/O APIC's is 0x11 */
#define IO_APIC_VERSION 0x11
#define CPU_ENABLED 1
#define CPU_BOOT 2
#define APIC_USABLE 1
#define ISA_IRQS 16

enum mp_type { MP_PROCESSOR, MP_BUS, MP_IO_APIC, MP_INT_SOURCE, MP_LOCAL_INT };
enum mp_int_type { MP_INT, MP_NMI, MP_SMI, MP_EXT_INT };

struct mp_floating {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t spec;
	uint8_t checksum;
	uint8_t features[5];
} __attribute__((packed));

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t spec;
	uint8_t checksum;
	char oem[8];
	char product[12];
	uint32_t oem_table;
	uint16_t oem_size;
	uint16_t entries;
	uint32_t local_apic;
	uint16_t ext_length;
	uint8_t ext_checksum;
	uint8_t reserved;
} __attribute__((packed));

struct mp_processor {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features;
	uint32_t reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct mp_io_apic {
	uint8_t type, id, version, flags;
	uint32_t address;
} __attribute__((packed));

/* Interrupt sources of the I/O APIC and of the local APICs look alike. */
struct mp_int {
	uint8_t type, int_type;
	uint16_t flags; /* 0: polarity and trigger as usual on this bus, for ISA edge and high */
	uint8_t bus, bus_irq, apic_id, pin;
} __attribute__((packed));

/* The table in the making: @at grows from the header on. */
struct mp_table {
	uint8_t bytes[sizeof(struct mp_floating) + sizeof(struct mp_header) +
		      MPTABLE_MAX_CPUS * sizeof(struct mp_processor) + sizeof(struct mp_bus) +
		      sizeof(struct mp_io_apic) + (ISA_IRQS + 2) * sizeof(struct mp_int)];
	size_t at;
	uint16_t entries;
};

static uint8_t checksum(const void *p, size_t len)
{
	const uint8_t *byte = p;
	uint8_t sum = 0;

	while (len--)
		sum += *byte++;
	return (uint8_t)-sum;
}

static void add(struct mp_table *t, const void *entry, size_t len)
{
	memcpy(t->bytes + t->at, entry, len);
	t->at += len;
	t->entries++;
}

static void add_processors(struct mp_table *t, unsigned int cpus)
{
	for (unsigned int i = 0; i < cpus; i++) {
		const struct mp_processor p = {
			.type = MP_PROCESSOR,
			.apic_id = (uint8_t)i,
			.apic_version = APIC_VERSION,
			.flags = CPU_ENABLED | (i == 0 ? CPU_BOOT : 0),
		};

		add(t, &p, sizeof(p));
	}
}

static void add_interrupts(struct mp_table *t, uint8_t io_apic_id)
{
	const struct mp_int ext = { .type = MP_LOCAL_INT, .int_type = MP_EXT_INT };
	const struct mp_int nmi = {
		.type = MP_LOCAL_INT, .int_type = MP_NMI, .apic_id = 0xff /* all */, .pin = 1,
	};

	for (uint8_t irq = 0; irq < ISA_IRQS; irq++) {
		const struct mp_int source = {
			.type = MP_INT_SOURCE, .int_type = MP_INT,
			.bus_irq = irq, .apic_id = io_apic_id, .pin = irq,
		};

		add(t, &source, sizeof(source));
	}
	add(t, &ext, sizeof(ext));
	add(t, &nmi, sizeof(nmi));
}

static void finish(struct mp_table *t)
{
	struct mp_floating floating = {
		.signature = "_MP_",
		.table = LAYOUT_MP_TABLE + sizeof(floating),
		.length = 1,
		.spec = SPEC_1_4,
	};
	struct mp_header header = {
		.signature = "PCMP",
		.length = (uint16_t)(t->at - sizeof(floating)),
		.spec = SPEC_1_4,
		.oem = "KRUNGPU ",
		.product = "MICROVM     ",
		.entries = t->entries,
		.local_apic = LAYOUT_LOCAL_APIC,
	};
	uint8_t *const table = t->bytes + sizeof(floating);

	floating.checksum = checksum(&floating, sizeof(floating));
	memcpy(t->bytes, &floating, sizeof(floating));
	memcpy(table, &header, sizeof(header));
	header.checksum = checksum(table, header.length);
	memcpy(table, &header, sizeof(header));
}

int mptable_write(const struct guest_memory *gm, unsigned int cpus, struct error **err)
{
	const struct mp_bus isa = { .type = MP_BUS, .id = 0, .name = "ISA   " };
	const struct mp_io_apic io_apic = {
		.type = MP_IO_APIC, .id = (uint8_t)cpus, .version = IO_APIC_VERSION,
		.flags = APIC_USABLE, .address = LAYOUT_IO_APIC,
	};
	struct mp_table t = { .at = sizeof(struct mp_floating) + sizeof(struct mp_header) };

	_Static_assert(sizeof(t.bytes) <= LAYOUT_MP_TABLE_END - LAYOUT_MP_TABLE,
		       "the largest MP table fits");
	if (cpus == 0 || cpus > MPTABLE_MAX_CPUS)
		return error_set(err, EINVAL, "an MP table cannot describe %u vCPUs", cpus);
	add_processors(&t, cpus);
	add(&t, &isa, sizeof(isa));
	add(&t, &io_apic, sizeof(io_apic));
	add_interrupts(&t, (uint8_t)cpus);
	finish(&t);
	if (guest_memory_write(gm, LAYOUT_MP_TABLE, t.bytes, t.at))
		return error_set(err, 0, "too little RAM for an MP table");
	return 0;
}
