/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/vmm_proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

static void encode_nets(struct wire_writer *w, const struct vmm_config *c)
{
	for (size_t i = 0; i < VMM_NET_MAX; i++) {
		for (size_t n = 0; n < sizeof(c->net[i].mac); n++)
			wire_put_u8(w, c->net[i].mac[n]);
		wire_put_u32(w, c->net[i].mtu);
	}
	wire_put_u32(w, c->net_queues);
}

static void decode_nets(struct wire_reader *r, struct vmm_config *c)
{
	for (size_t i = 0; i < VMM_NET_MAX; i++) {
		for (size_t n = 0; n < sizeof(c->net[i].mac); n++)
			c->net[i].mac[n] = wire_get_u8(r);
		c->net[i].mtu = wire_get_u32(r);
	}
	c->net_queues = wire_get_u32(r);
}

void vmm_config_encode(struct wire_writer *w, const struct vmm_config *c)
{
	wire_put_u64(w, c->fd_mask);
	wire_put_u64(w, c->ram_bytes);
	wire_put_u32(w, c->vcpus);
	wire_put_u32(w, c->kernel);
	wire_put_str(w, c->kernel_path);
	wire_put_str(w, c->cmdline_extra);
	wire_put_u8(w, c->root_below);
	wire_put_u8(w, c->terminal);
	wire_put_u64(w, c->gpu_window);
	encode_nets(w, c);
	wire_put_u32(w, c->log_level);
	wire_put_u32(w, c->log_format);
	wire_put_bytes(w, c->guest, c->guest_len);
}

int vmm_config_decode(struct wire_reader *r, struct vmm_config *c)
{
	const char *guest;

	c->fd_mask = wire_get_u64(r);
	c->ram_bytes = wire_get_u64(r);
	c->vcpus = wire_get_u32(r);
	c->kernel = wire_get_u32(r);
	c->kernel_path = wire_get_str(r);
	c->cmdline_extra = wire_get_str(r);
	c->root_below = wire_get_u8(r);
	c->terminal = wire_get_u8(r);
	c->gpu_window = wire_get_u64(r);
	decode_nets(r, c);
	c->log_level = wire_get_u32(r);
	c->log_format = wire_get_u32(r);
	guest = wire_get_bytes(r, &c->guest_len);
	if (guest && wire_done(r)) {
		c->guest = malloc(c->guest_len + 1);
		if (c->guest) {
			memcpy(c->guest, guest, c->guest_len);
			return 0;
		}
	}
	vmm_config_release(c);
	return -1;
}

void vmm_config_release(struct vmm_config *c)
{
	free(c->kernel_path);
	free(c->cmdline_extra);
	free(c->guest);
	memset(c, 0, sizeof(*c));
}
