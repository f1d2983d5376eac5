/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_MMIO_BUS_H
#define VMM_MMIO_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MMIO_BUS_MAX 16

/** struct mmio_range - addresses that somebody answers for; @offset is relative to @base */
struct mmio_range {
	uint64_t base, size;
	void (*read)(void *data, uint64_t offset, void *buf, size_t len);
	void (*write)(void *data, uint64_t offset, const void *buf, size_t len);
	void *data; /* borrowed */
};

/** struct mmio_bus - who answers where; zero to begin */
struct mmio_bus {
	struct mmio_range ranges[MMIO_BUS_MAX];
	size_t count;
};

/** mmio_bus_add() - 0, -ENOSPC, or -EEXIST for an overlap */
int mmio_bus_add(struct mmio_bus *bus, const struct mmio_range *range);

/** mmio_bus_access() - the guest reads (where nobody answers: all ones) or writes */
void mmio_bus_access(const struct mmio_bus *bus, uint64_t gpa, void *buf, size_t len, bool write);

#endif
