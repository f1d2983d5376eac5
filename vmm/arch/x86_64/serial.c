/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/arch/x86_64/serial.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define COM1 0x3f8u
#define COM1_PORTS 8u
#define REG_DATA 0u
#define REG_INTERRUPT_ID 2u
#define REG_LINE_STATUS 5u
#define NO_INTERRUPT 0x01u
#define TRANSMITTER_EMPTY 0x60u

void serial_flush(struct serial *s)
{
	struct pollfd p = { .fd = s->out_fd, .events = POLLOUT };

	/* Best effort: a reader that does not read must not hold up a vCPU. */
	if (s->out_fd >= 0 && s->len && poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) &&
	    s->written + s->len <= SERIAL_MAX_BYTES) {
		const ssize_t n = write(s->out_fd, s->line, s->len);

		s->written += n > 0 ? (size_t)n : 0;
	}
	s->len = 0;
}

static void serial_put(struct serial *s, char c)
{
	s->line[s->len++] = c;
	if (c == '\n' || s->len == sizeof(s->line))
		serial_flush(s);
}

bool serial_is_data(uint16_t port)
{
	return port == COM1 + REG_DATA;
}

void serial_access(struct serial *s, uint16_t port, void *buf, size_t len, bool write)
{
	uint8_t *byte = buf;

	if (port < COM1 || port >= COM1 + COM1_PORTS || len != 1) {
		if (!write)
			memset(buf, 0xff, len);
		return;
	}
	if (write) {
		if (port - COM1 == REG_DATA)
			serial_put(s, (char)*byte);
		return;
	}
	switch (port - COM1) {
	case REG_INTERRUPT_ID:
		*byte = NO_INTERRUPT;
		break;
	case REG_LINE_STATUS:
		*byte = TRANSMITTER_EMPTY;
		break;
	default:
		*byte = 0;
		break;
	}
}
