/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_ARCH_X86_64_SERIAL_H
#define VMM_ARCH_X86_64_SERIAL_H

/*
 * The transmitter of a 16550 at port 0x3f8, and nothing else of it: for a kernel that dies before
 * it has a console (`earlyprintk=serial`, `console=ttyS0`). Every other port of the PC is absent.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a guest may write here in all: a log must not fill the host's disk. */
#define SERIAL_MAX_BYTES (1u << 20)

struct serial {
	int out_fd; /* borrowed; -1: dropped */
	char line[256];
	size_t len;
	size_t written;
};

/** serial_access() - the guest's IN (absent ports: all ones) or OUT of @len bytes */
void serial_access(struct serial *s, uint16_t port, void *buf, size_t len, bool write);

/** serial_is_data() - whether a byte written to @port is one that the guest prints */
bool serial_is_data(uint16_t port);

/** serial_flush() - write out a line that is not complete yet */
void serial_flush(struct serial *s);

#endif
