/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/mmio_bus.h"

#include <errno.h>
#include <string.h>

int mmio_bus_add(struct mmio_bus *bus, const struct mmio_range *range)
{
	for (size_t i = 0; i < bus->count; i++) {
		const struct mmio_range *r = &bus->ranges[i];

		if (range->base < r->base + r->size && r->base < range->base + range->size)
			return -EEXIST;
	}
	if (bus->count == MMIO_BUS_MAX)
		return -ENOSPC;
	bus->ranges[bus->count++] = *range;
	return 0;
}

static const struct mmio_range *range_find(const struct mmio_bus *bus, uint64_t gpa, size_t len)
{
	for (size_t i = 0; i < bus->count; i++) {
		const struct mmio_range *r = &bus->ranges[i];

		if (gpa >= r->base && gpa - r->base < r->size && len <= r->size - (gpa - r->base))
			return r;
	}
	return NULL;
}

void mmio_bus_access(const struct mmio_bus *bus, uint64_t gpa, void *buf, size_t len, bool write)
{
	const struct mmio_range *r = range_find(bus, gpa, len);

	if (!r) {
		if (!write)
			memset(buf, 0xff, len);
		return;
	}
	if (write)
		r->write(r->data, gpa - r->base, buf, len);
	else
		r->read(r->data, gpa - r->base, buf, len);
}
