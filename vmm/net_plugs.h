/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_NET_PLUGS_H
#define VMM_NET_PLUGS_H

/*
 * What changes in the container's network while it runs, as krun-gpu-net sees it; and who is asked about
 * names in that namespace for the guest.
 */

struct container;
struct error;
struct event_loop;
struct net_plugs;
struct virtio_device;
struct vmm_config;

/**
 * net_plugs_create() - begin to listen
 * @sock: connected to krun-gpu-net; owned from now on, also when this fails
 * @nets: VMM_NET_MAX network devices, NULL where there is none; borrowed, as @cfg and @container
 */
struct net_plugs *net_plugs_create(struct event_loop *loop, int sock, const struct vmm_config *cfg,
				   struct virtio_device *const *nets, struct container *container,
				   struct error **err);

/** net_plugs_free() - harmless on NULL */
void net_plugs_free(struct net_plugs *np);

#endif
