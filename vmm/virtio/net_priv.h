/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_VIRTIO_NET_PRIV_H
#define VMM_VIRTIO_NET_PRIV_H

/* Shared by net.c and net_*.c. */

#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <sys/uio.h>

#include "vmm/event_loop.h"
#include "vmm/virtio/net.h"

/* Newer than the kernel headers of some systems that this is built on. */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* Of the queue pair @pair, and of all of them; the control queue follows them. */
#define NET_QUEUE_RX(pair) (2 * (pair))
#define NET_QUEUE_TX(pair) (2 * (pair) + 1)

/* Virtio 1: always with num_buffers (5.1.6). */
#define NET_HDR_LEN ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define NET_ETH_LEN 14u
/* The largest that segmentation makes of one packet, its Ethernet header and a VLAN tag included. */
#define NET_FRAME_MAX (65535u + NET_ETH_LEN + 4u)
/* What is moved in one direction before the other gets its turn and the driver hears of it. */
#define NET_BATCH 16
#define NET_BATCH_BYTES (256u << 10)
/* Turns of both before who waits for the lock gets his. */
#define NET_ROUNDS 8u

#define NET_RX_IOV 1023
#define NET_RX_BUFFERS 512
/* With one more, of what the host's kernel takes from its stack; for more it allocates each time. */
#define NET_RX_FAST_IOV 7
/* Packets that get the whole vector after one that needed it. */
#define NET_RX_LARGE 64

/** struct net_buffer - a chain that the driver gave for received packets */
struct net_buffer {
	uint16_t head;
	uint16_t num_iov;
	uint32_t len;
};

/**
 * struct net_rx - chains taken from the rx queue and not used yet, in order
 *
 * While @packet is set, a packet of that length has been read, the first @landed bytes of it into
 * @iov up to @landed_iov, and the rest into @spill.
 */
struct net_rx {
	struct net_buffer buffers[NET_RX_BUFFERS];
	struct iovec iov[NET_RX_IOV + 1]; /* of all buffers; one more for the spill */
	size_t num_buffers, num_iov;
	size_t bytes;
	size_t packet, landed, landed_iov;
	unsigned int large; /* so many packets more get the whole vector */
	/* A buffer has room for the header, and a byte more tells a packet that is too long. */
	uint8_t spill[NET_FRAME_MAX + 1];
};

struct net;

/** struct net_pair - a receive and a transmit queue, and the thread that serves them */
struct net_pair {
	struct net *net; /* the one it belongs to */
	unsigned int index;
	/*
	 * Guards all that follows and the two queues. Held by the thread around each callback;
	 * whoever wants it may hold the machine's lock, never the other way round.
	 */
	pthread_mutex_t lock;
	int tap; /* owned: a queue of it; -1: the link is down */
	bool attached; /* the driver uses this pair, and the tap this queue */
	int vhost;     /* owned: /dev/vhost-net; -1: packets are moved here */
	int vhost_tap; /* what it was told to use */
	struct event_loop *loop; /* owned: the thread's */
	pthread_t thread;
	bool started;
	struct event_source tap_src, rx_src, tx_src;
	bool live;	    /* between activate and reset */
	bool rx_starving;   /* the driver has to give buffers first */
	bool tx_blocked;    /* the tap has to take packets first */
	const char *broken; /* why a queue is; told to the machine by the device's broken_fd */
	struct net_rx rx;
	struct virtq_chain chain; /* scratch: too large for a stack */
};

struct net {
	struct virtio_device dev;
	struct event_loop *machine_loop; /* borrowed */
	struct virtio_net_config config;
	int broken_fd; /* owned: an eventfd */
	struct event_source broken_src;
	struct event_source ctrl_src; /* on the first pair's loop, with its lock */
	unsigned int num_pairs;
	struct net_pair pairs[NET_PAIRS_MAX];
};

/**
 * net_rx_run() - move a batch of packets from the tap to the guest; with the pair's lock held
 *
 * Return: whether there were any. The driver is not told of them, as with net_tx_run().
 */
bool net_rx_run(struct net_pair *p);

/** net_rx_reset() - forget the driver's buffers */
void net_rx_reset(struct net_pair *p);

/** net_rx_drop() - a packet that waits for buffers is lost with the tap's queue that it came by */
void net_rx_drop(struct net_pair *p);

/** net_tx_run() - likewise from the guest to the tap */
bool net_tx_run(struct net_pair *p);

/**
 * net_tx_check() - may a packet with this header be handed to the tap? (5.1.6.2)
 * @hdr:      a copy; what has no meaning for the tap is cleared
 * @frame:    length of what follows the header
 * @features: negotiated
 */
bool net_tx_check(struct virtio_net_hdr_v1 *hdr, size_t frame, uint64_t features);

/** net_tap_set_offload() - what the tap may leave to a driver with these features; 0 or -errno */
int net_tap_set_offload(int tap, uint64_t features);

/** net_tap_set_queue() - attach or detach one queue of a tap that has several; 0 or -errno */
int net_tap_set_queue(int tap, bool attach);

/** net_ctrl_run() - obey the driver's commands (net_ctrl.c); with the first pair's lock held */
void net_ctrl_run(struct net *net);

/** net_ctrl_index() - the control queue, as features were negotiated; 0: there is none */
unsigned int net_ctrl_index(const struct net *net);

/** net_broken() - a queue is malformed: no more packets until reset */
void net_broken(struct net_pair *p, const char *why);

/*
 * net_pair.c: all but the first two with the pair's lock held, or before its thread is there. 0 or
 * -errno.
 */
int net_pair_init(struct net *net, unsigned int index);
void net_pair_release(struct net_pair *p);
/** net_pair_start() - start the thread that serves it */
int net_pair_start(struct net_pair *p);
/** net_pair_activate() - the driver has set up its queues, or not */
int net_pair_activate(struct net_pair *p);
void net_pair_reset(struct net_pair *p);
/** net_pair_attach() - does the driver use it? */
int net_pair_attach(struct net_pair *p, bool on);
/** net_pair_plug() - take a queue of a tap; closed when this fails */
int net_pair_plug(struct net_pair *p, int tap);
void net_pair_unplug(struct net_pair *p);
/** net_pair_watch() - wait for what is of use now */
int net_pair_watch(struct net_pair *p);

/** net_use_pairs() - attach the first @pairs, detach the others; with the first one's lock held */
int net_use_pairs(struct net *net, unsigned int pairs);

/*
 * net_vhost.c: a pair served by the kernel's vhost-net. 0 or -errno.
 */
/** net_vhost_offer() - take away what it cannot do */
int net_vhost_offer(const struct net_pair *p, uint64_t *features);
/** net_vhost_own() - make its thread, and tell it where guest memory is */
int net_vhost_own(const struct net_pair *p);
/** net_vhost_set_up() - tell it where the queues are; it does nothing with them yet */
int net_vhost_set_up(const struct net_pair *p);
/** net_vhost_update() - have it serve the queues with the present tap, or not */
int net_vhost_update(struct net_pair *p);

/** net_again() - look at a queue again, after everybody else had a turn */
void net_again(struct net *net, unsigned int queue);

static inline bool net_has(const struct net *net, unsigned int feature)
{
	return net->dev.features & (1ull << feature);
}

#endif
